//! A device and two others: what the second one says breaks whoever reads it, and the third
//! one, which has a call under way, a transfer and a watch, notices nothing.

use super::{exported, readers::sensor_of};
use crate::support::{Damage, LOOK, Machine, Segment, file, name, pair};
use libipc::{
    fake::{self, Task},
    handle::Rights,
    interfaces::{
        BusClient, Directory, DirectoryClient, FileAccess::ReadWrite, Reading, Sensor,
        SensorClient, SensorError, bus::Standing, sensor::Quantity,
    },
    objects::EndpointClient,
    server::{Event, Receiver},
    time,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

#[test]
fn others_notice_nothing_of_a_reader_that_is_killed() {
    others_notice_nothing(1, |device, reader| device.readers.kill(Some(reader)));
}

#[test]
fn others_notice_nothing_of_a_reader_that_crashes() {
    others_notice_nothing(2, damage(Damage::Ends));
}

#[test]
fn others_notice_nothing_of_a_reader_that_hangs() {
    others_notice_nothing(1, damage(Damage::Hangs));
}

#[test]
fn others_notice_nothing_of_a_reader_that_lies() {
    others_notice_nothing(1, damage(Damage::Lies));
}

#[test]
fn others_notice_nothing_of_a_reader_that_denies() {
    others_notice_nothing(1, damage(Damage::Denies));
}

fn damage(damage: Damage) -> impl Fn(&Machine, usize) {
    move |device, reader| device.readers.damage(Some(reader), damage)
}

/// `break_reader` is told the device and which of its readers is the second one's. So many
/// are made in its place.
fn others_notice_nothing(anew: usize, break_reader: impl Fn(&Machine, usize)) {
    let segment = Segment::new();
    let [device, second, third] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    let sensor = sensor_of(&device, &second, 0);
    assert_eq!(sensor.read().unwrap().value, 1);
    // The latest reads what this one has said, and goes on doing so.
    let reader = device.readers.made();
    let busy = Busy::start(&device, &third);
    let stream = loop {
        if let [stream] = segment.streams(1, 3)[..] {
            break stream;
        }
        time::sleep(LOOK);
    };
    let made = device.readers.made();
    for value in 2..4 {
        assert_eq!(sensor.read().unwrap().value, value);
    }
    busy.goes_on();

    break_reader(&device, reader);
    let mut next = 4;
    while device.readers.made() < made + anew {
        assert_eq!(sensor.read().unwrap().value, next, "each call runs once");
        next += 1;
        assert!(busy.is_undisturbed());
    }
    // The second one is read again.
    for value in next..next + 3 {
        assert_eq!(sensor.read().unwrap().value, value);
    }
    assert!(device.readers.was_damaged());
    busy.goes_on();
    assert_eq!(device.readers.made(), made + anew, "no other was made anew");
    assert_eq!(segment.streams(1, 3), [stream], "the stream is the same");
    busy.end();
    assert_eq!(segment.streams(1, 3), [stream]);
    let known = |machine: &Machine, device: &str| {
        let device = machine.wait_for(device, |device| device.standing == Standing::Trusted);
        assert!(device.present && device.connected);
        machine.bus.stats(device.id).unwrap()
    };
    for stats in [known(&third, "machine-1"), known(&device, "machine-3")] {
        assert_eq!((stats.losses, stats.failed), (0, 0));
    }
}

/// What a machine does at another one all the while.
struct Busy {
    shared: Arc<Shared>,
    call: JoinHandle<SensorClient>,
    transfer: JoinHandle<()>,
    watch: JoinHandle<()>,
    /// Where the watch is told, and of its end too.
    told: EndpointClient,
}

#[derive(Default)]
struct Shared {
    /// The call has come, so often, and may end.
    came: AtomicUsize,
    may_end: AtomicBool,
    /// Transfers that are complete.
    complete: AtomicUsize,
    is_over: AtomicBool,
}

/// It answers when it may.
struct Slow(Arc<Shared>);

impl Sensor for Slow {
    fn read(&mut self) -> Result<Reading, SensorError> {
        self.0.came.fetch_add(1, SeqCst);
        while !self.0.may_end.load(SeqCst) {
            time::sleep(LOOK);
        }
        Ok(Reading {
            quantity: Quantity::Temperature,
            value: 77,
            count: 1,
        })
    }
}

/// Signals that devices have changed, and that it is over.
const CHANGED: u64 = 1;
const OVER: u64 = 2;

impl Busy {
    fn start(device: &Machine, user: &Machine) -> Busy {
        pair(device, user);
        let shared = Arc::<Shared>::default();
        let slow = fake::endpoint();
        let lent = exported(&slow);
        let mut served = Slow(shared.clone());
        Task::new().spawn_with(slow, move |endpoint: EndpointClient| {
            libipc::serve::<dyn Sensor>(&endpoint, &mut served)
        });
        let bus = &device.bus;
        bus.publish(name("slow"), name("Sensor"), 0, false, lent)
            .unwrap();
        let files = device.files_for_others();
        bus.publish(name("files"), name("Directory"), 0, false, files)
            .unwrap();
        let there = user.wait_for("machine-1", |device| device.standing == Standing::Trusted);
        let root: DirectoryClient = user
            .bus
            .open_as::<dyn Directory, _>(there.id, name("files"))
            .unwrap();
        let data = root.open_directory(file("data"), ReadWrite).unwrap();
        let slow: SensorClient = user
            .bus
            .open_as::<dyn Sensor, _>(there.id, name("slow"))
            .unwrap();

        user.bus.watch(there.id, true).unwrap();
        let told = fake::endpoint();
        let signals = Rights::SIGNAL | Rights::GRANT;
        let signals = told.mint(1, signals.bits().into(), 16).unwrap();
        user.bus.notify(signals, CHANGED).unwrap();
        let handed = told.as_ref().copy().unwrap();
        let watches = Task::new();
        let bus = watches.give(user.bus.as_ref().copy().unwrap());
        let watch = watches.spawn_with(handed, move |told: EndpointClient| {
            watch(
                &libipc::Capability::from_handle(bus).into(),
                there.id,
                &told,
            );
        });
        let running = shared.clone();
        let transfer = Task::new().spawn_with(data, move |data| transfer(&data, &running));
        let call = Task::new().spawn_with(slow, |slow: SensorClient| {
            assert_eq!(slow.read().unwrap().value, 77);
            slow
        });
        while shared.came.load(SeqCst) == 0 {
            assert!(!call.is_finished());
            time::sleep(LOOK);
        }
        Busy {
            shared,
            call,
            transfer,
            watch,
            told,
        }
    }

    /// Nothing of it has ended: each would with a failure.
    fn is_undisturbed(&self) -> bool {
        !self.call.is_finished() && !self.transfer.is_finished() && !self.watch.is_finished()
    }

    /// A transfer that has begun from now on comes to its end.
    fn goes_on(&self) {
        let before = self.shared.complete.load(SeqCst);
        while self.shared.complete.load(SeqCst) < before + 2 {
            assert!(self.is_undisturbed());
            time::sleep(LOOK);
        }
    }

    fn end(self) {
        assert!(self.is_undisturbed());
        self.shared.may_end.store(true, SeqCst);
        joined(self.call);
        assert_eq!(self.shared.came.load(SeqCst), 1, "the call ran once");
        self.shared.is_over.store(true, SeqCst);
        joined(self.transfer);
        self.told.signal(OVER).unwrap();
        joined(self.watch);
    }
}

/// Waits for a thread, while time passes.
fn joined<T>(thread: JoinHandle<T>) -> T {
    while !thread.is_finished() {
        time::sleep(LOOK);
    }
    thread.join().unwrap()
}

/// Writes a file there and reads it again, again and again.
fn transfer(data: &DirectoryClient, shared: &Shared) {
    let remote = data.create(file("large")).unwrap();
    let mut into = vec![0; 64 << 10];
    for round in (0..=u8::MAX).cycle() {
        let bytes: Vec<u8> = (0..64_usize << 10)
            .map(|index| (index / 3) as u8 ^ round)
            .collect();
        assert_eq!(remote.write_at(0, &bytes), Ok(64 << 10));
        assert_eq!(remote.read_at(0, &mut into), Ok(64 << 10));
        assert!(into == bytes, "other bytes");
        shared.complete.fetch_add(1, SeqCst);
        if shared.is_over.load(SeqCst) {
            return;
        }
        // It lets time pass.
        time::sleep(LOOK);
    }
}

/// Looks at the device whenever something has changed. It is there each time.
fn watch(bus: &BusClient, device: u64, told: &EndpointClient) {
    let mut receiver = Receiver::new(told);
    loop {
        let Ok(Event::Signals(signals)) = receiver.next() else {
            panic!("nobody but the bus tells anything");
        };
        let devices = bus.devices().unwrap();
        let found = devices.iter().find(|found| found.id == device).unwrap();
        assert!(found.present && found.connected);
        if signals & OVER != 0 {
            return;
        }
    }
}
