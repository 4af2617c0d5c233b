//! What is wrong with a page as a whole, and its compiled form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tessera_page::{Page, Power, Right, SUPERVISOR, SystemObject};

use super::cycles::{self, Calls};
use super::problem::Problems;
use super::schema::{Name, RawPage, RawTask};
use super::units::Size;
use super::{CheckedPage, problem};
use crate::workspace::Programs;

/// Longest name of a capability, as start information has it.
pub(super) const LONGEST_NAME: usize = 24;

/// Checks `raw` and compiles it. The result is worth something only if no
/// problem was added.
pub fn check(
    raw: &RawPage,
    folder: &Path,
    programs: &Programs,
    problems: &mut Problems<'_>,
) -> CheckedPage {
    let mut checker = Checker {
        raw,
        programs,
        problems,
        providers: BTreeMap::new(),
    };
    checker.names();
    let tasks = raw.tasks.iter().map(|task| checker.task(task)).collect();
    checker.devices();
    checker.cycles();
    checker.far_only();
    checker.budget();
    checker.time();

    let mut all = BTreeSet::from([SUPERVISOR.to_string()]);
    let extra = raw
        .programs
        .iter()
        .chain(raw.tasks.iter().map(|task| &task.program));
    for program in extra {
        checker.program(program);
        all.insert(program.get_ref().clone());
    }
    for file in raw.files.values() {
        if !folder.join(file.get_ref()).is_file() {
            checker.problems.add(
                file.span(),
                format!("there is no file `{}`", file.get_ref()),
            );
        }
    }
    CheckedPage {
        page: Page {
            name: raw.name.get_ref().clone(),
            ram: raw.ram.get_ref().0,
            supervisor_quota: raw.supervisor_quota.get_ref().0,
            tasks,
            programs: raw
                .programs
                .iter()
                .map(|name| name.get_ref().clone())
                .collect(),
        },
        programs: all.into_iter().collect(),
        files: raw
            .files
            .iter()
            .map(|(name, path)| (name.get_ref().clone(), folder.join(path.get_ref())))
            .collect(),
    }
}

pub(super) struct Checker<'c, 't> {
    pub(super) raw: &'c RawPage,
    programs: &'c Programs,
    pub(super) problems: &'c mut Problems<'t>,
    /// Endpoint and the task that serves it.
    pub(super) providers: BTreeMap<&'c str, &'c RawTask>,
}

impl<'c> Checker<'c, '_> {
    /// Names of tasks and endpoints are well formed, unique and not taken.
    fn names(&mut self) {
        let raw = self.raw;
        self.well_formed(&raw.name);
        let mut tasks = BTreeSet::from([SUPERVISOR]);
        for task in &raw.tasks {
            self.well_formed(&task.name);
            let name = task.name.get_ref().as_str();
            if name == SUPERVISOR {
                let text = "`init` is the supervisor, which the kernel starts: no page lists it";
                self.problems.add(task.name.span(), text);
            } else if !tasks.insert(name) {
                self.problems
                    .add(task.name.span(), format!("there are two tasks `{name}`"));
            }
            for endpoint in &task.provides {
                self.endpoint(endpoint, task);
            }
        }
    }

    fn endpoint(&mut self, endpoint: &'c Name, task: &'c RawTask) {
        self.well_formed(endpoint);
        let name = endpoint.get_ref().as_str();
        if Power::from_name(name).is_some() || SystemObject::from_name(name).is_some() {
            let text = format!("`{name}` is a name of the system's own, choose another");
            self.problems.add(endpoint.span(), text);
        } else if let Some(other) = self.providers.insert(name, task) {
            let text = format!(
                "endpoint `{name}` is provided by `{}` too",
                other.name.get_ref()
            );
            self.problems.add(endpoint.span(), text);
        }
    }

    pub(super) fn well_formed(&mut self, name: &Name) {
        let text = name.get_ref();
        let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(right) {
            let rule = format!(
                "`{text}` is no name: use lower case letters, digits and `-`, at most {LONGEST_NAME}"
            );
            self.problems.add(name.span(), rule);
        }
    }

    /// A device has one driver.
    fn devices(&mut self) {
        let mut owners = BTreeMap::new();
        for task in &self.raw.tasks {
            for device in &task.devices {
                if device.compatible.is_empty() == device.virtio.is_none() {
                    let text = format!(
                        "device `{}` needs at least one `compatible` string to be found by, \
                         or a type in `virtio`",
                        device.name.get_ref()
                    );
                    self.problems.add(device.name.span(), text);
                }
                let compatible = device.compatible.iter().map(|name| (name, String::new()));
                let virtio = device.virtio.iter();
                let virtio = virtio.map(|name| (name, format!(" {}", device.index)));
                for (name, index) in compatible.chain(virtio) {
                    let (key, owner) = (format!("{}{index}", name.get_ref()), task.name.get_ref());
                    if let Some(other) = owners.insert(key.clone(), owner) {
                        let text = format!("device `{key}` is driven by `{other}` already");
                        self.problems.add(name.span(), text);
                    }
                }
            }
        }
    }

    fn cycles(&mut self) {
        let mut calls = Calls::new();
        for task in &self.raw.tasks {
            let callees = task.uses.iter().filter(|(_, raw)| {
                raw.rights
                    .iter()
                    .any(|right| right.get_ref() == Right::Call.name())
            });
            let callees = callees.filter_map(|(name, raw)| {
                let endpoint = raw.endpoint.as_ref().unwrap_or(name).get_ref();
                self.providers
                    .get(endpoint.as_str())
                    .map(|task| task.name.get_ref().as_str())
            });
            calls.insert(task.name.get_ref(), callees.collect());
        }
        for cycle in cycles::find(&calls) {
            let start = self
                .raw
                .tasks
                .iter()
                .find(|task| task.name.get_ref() == cycle[0]);
            let span = start.map_or(0..0, |task| task.name.span());
            let text = format!(
                "these calls could wait for each other: {}",
                cycle.join(" -> ")
            );
            self.problems.add(span, text);
        }
    }

    /// Who demands that a server stands alone must not meet one with company.
    fn far_only(&mut self) {
        for task in &self.raw.tasks {
            for (name, raw) in &task.uses {
                let endpoint = raw.endpoint.as_ref().unwrap_or(name).get_ref();
                let demand = raw
                    .rights
                    .iter()
                    .find(|right| right.get_ref() == Right::FarOnly.name());
                let server = self.providers.get(endpoint.as_str());
                if let (Some(right), Some(server)) = (demand, server)
                    && !server.cell_mates.is_empty()
                {
                    let text = format!(
                        "`far-only` demands that `{}` stands alone, but it lists cell-mates",
                        server.name.get_ref()
                    );
                    self.problems.add(right.span(), text);
                }
            }
        }
    }

    fn budget(&mut self) {
        let quotas = self.raw.tasks.iter().map(|task| task.quota.get_ref().0);
        let sum = quotas.fold(self.raw.supervisor_quota.get_ref().0, u64::saturating_add);
        let ram = self.raw.ram.get_ref().0;
        if sum >= ram {
            let text = format!(
                "the quotas add up to {}, but there are only {} of RAM, kernel and image included",
                Size(sum),
                Size(ram)
            );
            self.problems.add(self.raw.ram.span(), text);
        }
    }

    /// What is promised on a core can be kept. A task without a core may come to
    /// any.
    fn time(&mut self) {
        for core in 0..8 {
            let (mut sum, mut last) = (0, None);
            for task in &self.raw.tasks {
                let elsewhere = task.core.as_ref().is_some_and(|own| *own.get_ref() != core);
                if let Some(raw) = task.reservation.as_ref().filter(|_| !elsewhere) {
                    let (budget, period) = (raw.get_ref().budget.0, raw.get_ref().period.0);
                    // More than a period was told already.
                    sum += u64::from(budget.min(period)) * 1000 / u64::from(period.max(1));
                    last = Some(raw.span());
                }
            }
            if let Some(span) = last.filter(|_| sum > 1000) {
                let text = format!(
                    "the reservations of the tasks that may be on core {core} add up to {}.{} % \
                     of its time",
                    sum / 10,
                    sum % 10
                );
                return self.problems.add(span, text);
            }
        }
    }

    fn program(&mut self, program: &Name) {
        let name = program.get_ref();
        if self.programs.find(name).is_none() {
            let known = problem::suggest(name, self.programs.names());
            self.problems.add(
                program.span(),
                format!("there is no program `{name}`{known}"),
            );
        }
    }
}
