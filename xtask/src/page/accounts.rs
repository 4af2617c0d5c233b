//! Who owns what a file server keeps, and how much of it that may be.

use std::collections::BTreeSet;

use super::check::Checker;
use super::schema::{Name, RawAccount, RawTask};

impl<'c> Checker<'c, '_> {
    /// A server knows the accounts of its clients by the arguments that it is started
    /// with.
    pub(super) fn accounts(&mut self, server: &'c RawTask) -> Vec<String> {
        let (mut ids, mut clients) = (BTreeSet::new(), BTreeSet::new());
        let mut arguments = Vec::new();
        for raw in &server.accounts {
            let client = self.account_client(server, raw);
            let id = *raw.id.get_ref();
            if !ids.insert(id) {
                let text = format!("{id} is the id of another account");
                self.problems.add(raw.id.span(), text);
            }
            if !clients.insert(client.clone()) {
                let text = format!("`{client}` has an account already");
                self.problems.add(raw.client.span(), text);
            }
            let limit = |limit: Option<u64>| limit.map_or("-".into(), |limit| limit.to_string());
            let (bytes, files) = (limit(raw.bytes.map(|size| size.0)), limit(raw.files));
            arguments.push(format!("account:{id}={client},{bytes},{files}"));
        }
        arguments
    }

    /// How a server knows a client: by its name, and before that the name of who speaks
    /// for it.
    fn account_client(&mut self, server: &RawTask, raw: &RawAccount) -> String {
        let client = raw.client.get_ref();
        let Some(through) = &raw.through else {
            self.must_use(&raw.client, server);
            return client.clone();
        };
        self.must_use(through, server);
        let tasks = &self.raw.tasks;
        if let Some(speaker) = tasks.iter().find(|task| task.name == *through) {
            self.must_use(&raw.client, speaker);
        }
        format!("{}/{client}", through.get_ref())
    }

    /// There is a task of that name, which uses something that the server provides.
    fn must_use(&mut self, client: &Name, server: &RawTask) {
        let mut tasks = self.raw.tasks.iter();
        let Some(task) = tasks.find(|task| task.name.get_ref() == client.get_ref()) else {
            let text = format!("there is no task `{}`", client.get_ref());
            return self.problems.add(client.span(), text);
        };
        let provides = |name: &Name| {
            server
                .provides
                .iter()
                .any(|own| own.get_ref() == name.get_ref())
        };
        let mut uses = task.uses.iter();
        if !uses.any(|(name, raw)| provides(raw.endpoint.as_ref().unwrap_or(name))) {
            let (name, server) = (client.get_ref(), server.name.get_ref());
            let text = format!("`{name}` uses nothing that `{server}` provides");
            self.problems.add(client.span(), text);
        }
    }
}
