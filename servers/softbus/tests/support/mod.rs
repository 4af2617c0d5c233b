//! A network of machines in one process: each has a soft bus, all are on one segment.

mod segment;

pub(crate) use segment::Segment;

use libipc::{
    Capability, Text,
    fake::{self, Task},
    handle::Rights,
    interfaces::{
        BusClient, Consent, ConsentClient, ConsentError, DirectoryClient, NetClient,
        bus::{BusName, Device, Standing},
        clients::{SERVER_BADGES, live_badges},
        directory::Name,
    },
    objects::EndpointClient,
    server::Reply,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tessera_files::{
    namespace::{Mount, Namespace},
    quota::{Accounts, Limits},
    ram::RamVolume,
    server::Server as FileServer,
    service::Service,
};
use tessera_softbus::{
    random,
    server::{Server, clock},
    store::{PLACE, Store},
    users::Users,
};
use tessera_softbus_protocol::{
    keys::Holder,
    node::{Config, Node, Parts},
    parser::Inline,
    suite::Noise,
    trust::Trusted,
};

/// Whoever sits in front of a machine: what he was asked, and what he says.
#[derive(Clone, Default)]
pub(crate) struct Owner(Arc<Mutex<(Vec<String>, bool)>>);

impl Owner {
    /// What he says from now on.
    pub(crate) fn says(&self, yes: bool) {
        self.0.lock().unwrap().1 = yes;
    }

    /// What he was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }
}

impl Consent for Owner {
    fn ask(&mut self, question: Text<200>, reply: Reply<bool, ConsentError>) {
        let mut state = self.0.lock().unwrap();
        state.0.push(question.as_str().into());
        reply.answer(Ok(state.1));
    }
}

/// A machine.
pub(crate) struct Machine {
    pub(crate) owner: Owner,
    /// Its bus, for somebody who may do everything.
    pub(crate) bus: BusClient,
    /// Its files, of which `data` is its disk.
    pub(crate) files: DirectoryClient,
    served: EndpointClient,
    endpoint: EndpointClient,
    number: u8,
    task: Task,
}

impl Machine {
    /// Starts one with an empty disk.
    pub(crate) fn start(segment: &Segment, number: u8) -> Machine {
        let served = fake::endpoint();
        let handed = served.as_ref().copy().unwrap();
        fake::Task::new().spawn_with(handed, |endpoint: EndpointClient| {
            let limits = Limits {
                bytes: 64 << 20,
                nodes: 1000,
                open: 1000,
            };
            let data = ("data", Mount::Here(Box::new(RamVolume::default())));
            let accounts = Accounts::new(limits, []);
            let service = Service::new(Namespace::new([data]), accounts, &[], SERVER_BADGES);
            FileServer::new(&endpoint, service, Vec::new()).run()
        });
        let files = served.mint_client(1).unwrap();
        let endpoint = fake::endpoint();
        let owner = Owner::default();
        let task = serve(&endpoint, &files, segment.net(number), number, 0, &owner);
        Machine {
            owner,
            bus: endpoint.mint_client(1).unwrap(),
            files,
            served,
            endpoint,
            number,
            task,
        }
    }

    /// All its files, to be published.
    pub(crate) fn files_for_others(&self) -> Capability {
        let rights = Rights::CALL | Rights::GRANT | Rights::EXPORT;
        self.served
            .mint(2, rights.bits().into(), 16)
            .unwrap()
            .into()
    }

    /// The bus ends, and another one begins on the same disk.
    pub(crate) fn restart(&mut self, segment: &Segment) {
        self.endpoint.expel().unwrap();
        let net = segment.net(self.number);
        let task = serve(
            &self.endpoint,
            &self.files,
            net,
            self.number,
            1,
            &self.owner,
        );
        std::mem::replace(&mut self.task, task).kill();
    }

    /// The device of that name, as soon as it stands so.
    pub(crate) fn wait_for(&self, name: &str, is_so: impl Fn(&Device) -> bool) -> Device {
        loop {
            let devices = self.bus.devices().unwrap();
            let found = devices
                .iter()
                .find(|device| device.name.as_str() == name && is_so(device));
            if let Some(device) = found {
                return *device;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Two machines trust each other.
pub(crate) fn pair(one: &Machine, other: &Machine) {
    let pin = one.bus.open_pairing().unwrap();
    let name = format!("machine-{}", one.number);
    let open = other.wait_for(&name, |device| device.standing == Standing::Open);
    other.bus.pair(open.id, pin).unwrap();
    let name = format!("machine-{}", other.number);
    one.wait_for(&name, |device| {
        device.standing == Standing::Trusted && device.present
    });
}

fn serve(
    endpoint: &EndpointClient,
    files: &DirectoryClient,
    net: NetClient,
    number: u8,
    run: u64,
    owner: &Owner,
) -> Task {
    let task = Task::new();
    let mut asked = owner.clone();
    let owner: ConsentClient =
        fake::serve(move |endpoint| libipc::serve::<dyn Consent>(endpoint, &mut asked));
    let owner = task.give(owner);
    let files = task.give(files.as_ref().copy().unwrap());
    let net = task.give(Capability::from(net));
    let handed = endpoint.as_ref().copy().unwrap();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let files = DirectoryClient::from(Capability::from_handle(files));
        let net = NetClient::from(Capability::from_handle(net));
        let store = Store::open(&files, PLACE).expect("there is a disk");
        let me = Trusted {
            name: format!("machine-{number}"),
            kind: 0,
        };
        let config = Config {
            me,
            port: tessera_softbus::wires::PORT,
            trust: store.trust(),
        };
        let secret = store.secret([number; 32]).expect("it can be written");
        let parts = Parts {
            keys: Box::new(Holder::<Noise>::new(&secret)),
            parser: Box::new(Inline),
            random: random::source([number.into(), run, 1, 2]),
        };
        let server = Server::new(
            &endpoint,
            Node::new(config, run + 1, parts, clock()),
            net,
            Some(store),
            Users::new(["client:1=test", "allow:test=use,publish,manage"].into_iter()),
            live_badges(&endpoint).max().unwrap_or(SERVER_BADGES) + 1,
        );
        let owner = ConsentClient::from(Capability::from_handle(owner));
        server.with_owner(Some(owner)).run()
    });
    task
}

pub(crate) fn name(text: &str) -> BusName {
    Text::new(text).unwrap()
}

pub(crate) fn file(text: &str) -> Name {
    Text::new(text).unwrap()
}
