//! A network of machines in one process: each has a soft bus, all are on one segment.

mod segment;

pub(crate) use segment::{Segment, address};

use libipc::{
    Bytes, Capability, Lease, LeaseMut, Text,
    fake::{self, Task},
    handle::Rights,
    interfaces::{
        BusClient, Consent, ConsentError, DirectoryClient,
        FileAccess::ReadWrite,
        Log, LogError, LogLevel, LogPage, NetClient,
        bus::{BusName, Device, Standing},
        clients::{SERVER_BADGES, live_badges},
        directory::Name,
    },
    objects::EndpointClient,
    server::Reply,
    time,
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
    consent,
    parsers::{self, Make, Parsers},
    server::{Server, clock},
    users::Users,
};
use tessera_softbus_keys::{
    BusKeysClient, Connected, Remote, random,
    server::Server as Keys,
    store::{PLACE, Store},
};
use tessera_softbus_parser::{
    BusParser, BusParserClient, ParserError, Reader,
    interface::SAID,
    small::{Datagram, Said},
};
use tessera_softbus_protocol::{
    announce::HELLO,
    node::{Config, Node, Parts},
    trust::Trusted,
};

/// How often it is looked whether something has come about.
pub(crate) const LOOK: Duration = Duration::from_millis(2);

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

/// What a machine logs.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    /// What it has logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Log for Diary {
    fn append(&mut self, _: LogLevel, text: Text<240>) -> Result<(), LogError> {
        self.0.lock().unwrap().push(text.as_str().into());
        Ok(())
    }
    fn read(&mut self, _: u64, _: LeaseMut) -> Result<LogPage, LogError> {
        Err(LogError::TooSmall)
    }
    fn follow(&mut self, _: EndpointClient, _: u64) -> Result<(), LogError> {
        Err(LogError::TooManyFollowers)
    }
    fn unfollow(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

/// Tasks that read what others say to a machine.
#[derive(Clone, Default)]
pub(crate) struct Readers(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    count: usize,
    running: Vec<(usize, Task)>,
    damage: Option<(Whom, Damage)>,
}

/// Who has a damage: the one with this number, or anyone.
type Whom = Option<usize>;

/// What goes wrong once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The task ends when it is to read, and so does the one that is asked in its place.
    Ends,
    /// It ends, and no other.
    EndsOnce,
    /// It answers what nobody can have read.
    Lies,
    /// It answers that a message is none.
    Denies,
    /// It does not answer.
    Hangs,
}

impl Readers {
    /// How many were made: the number of the latest.
    pub(crate) fn made(&self) -> usize {
        self.0.lock().unwrap().count
    }

    /// Ends those that are meant.
    pub(crate) fn kill(&self, whom: Whom) {
        let mut made = self.0.lock().unwrap();
        let is_meant = |(number, _): &mut (usize, Task)| whom.is_none_or(|meant| meant == *number);
        for (_, task) in made.running.extract_if(.., is_meant) {
            task.kill();
        }
    }

    /// The next of those meant that reads a message of a session has this damage.
    pub(crate) fn damage(&self, whom: Whom, damage: Damage) {
        self.0.lock().unwrap().damage = Some((whom, damage));
    }

    /// Whether one had it.
    pub(crate) fn was_damaged(&self) -> bool {
        self.0.lock().unwrap().damage.is_none()
    }
}

impl Make for Readers {
    fn make(&mut self) -> Option<(BusParserClient, parsers::Task)> {
        let endpoint = fake::endpoint();
        let client = endpoint.mint_client(1).unwrap();
        let task = Task::new();
        let mut made = self.0.lock().unwrap();
        made.count += 1;
        let number = made.count;
        made.running.push((number, task));
        drop(made);
        let mut reader = Damaged {
            of: self.clone(),
            number,
            task,
        };
        task.spawn_with(endpoint, move |endpoint: EndpointClient| {
            libipc::serve::<dyn BusParser>(&endpoint, &mut reader)
        });
        Some((client, Box::new(Killed(task))))
    }
}

/// Ends a task with its owner.
struct Killed(Task);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Reads, with some damage.
struct Damaged {
    of: Readers,
    number: usize,
    task: Task,
}

impl Damaged {
    /// What goes wrong now, if something does.
    fn damage(&self) -> Option<Damage> {
        let mut made = self.of.0.lock().unwrap();
        let meant = |damage: &mut (Whom, _)| damage.0.is_none_or(|meant| meant == self.number);
        let (_, damage) = made.damage.take_if(meant)?;
        if damage == Damage::Ends {
            made.damage = Some((Some(made.count + 1), Damage::EndsOnce));
        }
        Some(damage)
    }
}

impl BusParser for Damaged {
    fn messages(&mut self, plain: Lease, forms: LeaseMut) -> Result<u64, ParserError> {
        match self.damage() {
            None => return Reader.messages(plain, forms),
            Some(Damage::Ends | Damage::EndsOnce) => self.task.kill(),
            Some(Damage::Lies) => {
                let _ = forms.write_at(0, &vec![0xff; forms.len()]);
                return Ok(u64::MAX);
            }
            Some(Damage::Denies) => {}
            // It is killed meanwhile.
            Some(Damage::Hangs) => time::sleep(Duration::from_secs(60)),
        }
        Ok(0)
    }

    fn said(&mut self, bytes: Bytes<SAID>) -> Result<Said, ParserError> {
        Reader.said(bytes)
    }

    fn datagram(&mut self, bytes: Bytes<HELLO>) -> Result<Datagram, ParserError> {
        Reader.datagram(bytes)
    }
}

/// What the page of a machine says of those who use its bus.
const PAGE: [&str; 6] = [
    "client:1=test",
    "allow:test=use,publish,manage",
    "client:2=display",
    "allow:display=use,publish,manage",
    "device:display=machine-2",
    "interface:display=Sensor",
];

/// A machine.
pub(crate) struct Machine {
    pub(crate) readers: Readers,
    pub(crate) owner: Owner,
    pub(crate) diary: Diary,
    /// Its bus, for somebody who may do everything.
    pub(crate) bus: BusClient,
    /// Its files, of which `data` is its disk.
    pub(crate) files: DirectoryClient,
    served: EndpointClient,
    endpoint: EndpointClient,
    number: u8,
    task: Task,
    /// How often its bus was started again.
    runs: u64,
    /// Where its keys are, and who holds them.
    keys: EndpointClient,
    holder: Task,
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
        let (owner, diary) = (Owner::default(), Diary::default());
        let keys = fake::endpoint();
        let holder = hold(&keys, &files, number, 0);
        let client = keys.mint_client(1).unwrap();
        let readers = Readers::default();
        let net = segment.net(number);
        let people = (&owner, &diary);
        let task = serve(&endpoint, client, net, (number, 0), people, &readers);
        Machine {
            readers,
            keys,
            holder,
            owner,
            diary,
            bus: endpoint.mint_client(1).unwrap(),
            files,
            served,
            endpoint,
            number,
            task,
            runs: 0,
        }
    }

    /// Its bus, for somebody who may do everything with the sensors of `machine-2` alone.
    pub(crate) fn display(&self) -> BusClient {
        self.endpoint.mint_client(2).unwrap()
    }

    /// What its bus keeps on the disk.
    pub(crate) fn kept(&self) -> DirectoryClient {
        let data = self.files.open_directory(file("data"), ReadWrite).unwrap();
        data.open_directory(file("softbus"), ReadWrite).unwrap()
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
        self.restart_after(segment, |_| ());
    }

    /// The same; in between something happens to what it keeps on the disk.
    pub(crate) fn restart_after(
        &mut self,
        segment: &Segment,
        change: impl FnOnce(&DirectoryClient),
    ) {
        self.endpoint.expel().unwrap();
        self.task.kill();
        let net = segment.net(self.number);
        self.runs += 1;
        // A badge of its own: calls of the one that ended may still be under way.
        let keys: BusKeysClient = self.keys.mint_client(1 + self.runs).unwrap();
        // What it was just asked to keep is kept now.
        keys.identity().unwrap();
        change(&self.kept());
        let (number, people) = ((self.number, self.runs), (&self.owner, &self.diary));
        self.task = serve(&self.endpoint, keys, net, number, people, &self.readers);
    }

    /// The bus ends.
    pub(crate) fn stop(&self) {
        self.task.kill();
    }

    /// Whoever holds the keys ends, and another one begins on the same disk.
    pub(crate) fn restart_holder(&mut self) {
        self.keys.expel().unwrap();
        let holder = hold(&self.keys, &self.files, self.number, 1);
        std::mem::replace(&mut self.holder, holder).kill();
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
            time::sleep(LOOK);
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

/// Holds the keys that are on the disk.
fn hold(endpoint: &EndpointClient, files: &DirectoryClient, number: u8, run: u64) -> Task {
    let task = Task::new();
    let files = task.give(files.as_ref().copy().unwrap());
    let handed = endpoint.as_ref().copy().unwrap();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let files = DirectoryClient::from(Capability::from_handle(files));
        let store = Store::open(&files, PLACE).expect("the disk is well");
        let random = random::source([number.into(), run, 3, 4]);
        let keys = Keys::new(&endpoint, store, random).expect("the disk is well");
        let lent = "directory:shared=/data/shared";
        keys.with_directories(Some(files), &[lent]).run()
    });
    task
}

fn serve(
    endpoint: &EndpointClient,
    keys: BusKeysClient,
    net: NetClient,
    (number, run): (u8, u64),
    (owner, diary): (&Owner, &Diary),
    readers: &Readers,
) -> Task {
    let task = Task::new();
    let readers = readers.clone();
    let (mut asked, mut told) = (owner.clone(), diary.clone());
    let owner: Capability =
        fake::serve(move |endpoint| libipc::serve::<dyn Consent>(endpoint, &mut asked));
    let diary: Capability =
        fake::serve(move |endpoint| libipc::serve::<dyn Log>(endpoint, &mut told));
    let [owner, diary] = [owner, diary].map(|one| task.give(one));
    let keys = task.give(Capability::from(keys));
    let net = task.give(Capability::from(net));
    let handed = endpoint.as_ref().copy().unwrap();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let net = NetClient::from(Capability::from_handle(net));
        let keys = BusKeysClient::from(Capability::from_handle(keys));
        let Connected {
            keys,
            keeper,
            trust,
            ..
        } = Remote::connect(keys).expect("somebody holds the keys");
        let me = Trusted {
            name: format!("machine-{number}"),
            kind: 0,
        };
        let config = Config {
            me,
            port: tessera_softbus::wires::PORT,
            trust,
        };
        let parts = Parts {
            keys: Box::new(keys),
            parser: Box::new(Parsers::new(Box::new(readers))),
            random: random::source([number.into(), run, 1, 2]),
        };
        let mut server = Server::new(
            &endpoint,
            Node::new(config, run + 1, parts, clock()),
            net,
            keeper,
            Users::new(PAGE.into_iter()),
            live_badges(&endpoint).max().unwrap_or(SERVER_BADGES) + 1,
        );
        // As the page has it: where the owner is asked he is shown what others say, too.
        let owner = Capability::from_handle(owner);
        let screen = owner.copy().unwrap();
        let published = server.publish_own("screen", ("Screen", 0), false, screen);
        published.unwrap();
        let published = server.publish_place("shared", ("Directory", 0), false);
        published.unwrap();
        let owner = consent::Owner {
            consent: Some(owner.into()),
            log: Some(Capability::from_handle(diary).into()),
            clock: None,
        };
        server.with_owner(owner).run()
    });
    task
}

/// Waits for something to become so.
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        time::sleep(LOOK);
    }
}

pub(crate) fn name(text: &str) -> BusName {
    Text::new(text).unwrap()
}

pub(crate) fn file(text: &str) -> Name {
    Text::new(text).unwrap()
}
