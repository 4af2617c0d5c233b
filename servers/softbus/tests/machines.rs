//! Machines that lend each other what they have.

#[path = "machines/bell.rs"]
mod bell;
#[path = "machines/got.rs"]
mod got;
#[path = "machines/hanging.rs"]
mod hanging;
#[path = "machines/others.rs"]
mod others;
#[path = "machines/readers.rs"]
mod readers;
mod support;
#[path = "machines/toll.rs"]
mod toll;

use libipc::{
    CallError, Capability, fake,
    handle::Rights,
    interfaces::{
        BusClient, Directory, DirectoryClient,
        FileAccess::ReadWrite,
        FileError, NetError, Pipes, PipesClient, Reading, Sensor, SensorClient, SensorError,
        bus::{BusAllowed, BusError, Standing, services},
        screen::{Screen, ScreenClient},
        sensor::Quantity,
    },
    objects::EndpointClient,
    server::Dispatch,
    status::{Cause, TransportError},
    time,
};
use support::{LOOK, Machine, Segment, address, file, name, pair};

struct Thermometer(i64);

impl Sensor for Thermometer {
    fn read(&mut self) -> Result<Reading, SensorError> {
        self.0 += 1;
        Ok(Reading {
            quantity: Quantity::Temperature,
            value: self.0,
            count: 1,
        })
    }
}

/// A sensor whose readings begin behind `value`, which may leave its device.
fn sensor(value: i64) -> Capability {
    let endpoint = fake::endpoint();
    let handed = endpoint.as_ref().copy().unwrap();
    fake::Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
        libipc::serve::<dyn Sensor>(&endpoint, &mut Thermometer(value))
    });
    exported(&endpoint)
}

/// A capability for a server that may leave its device.
fn exported(endpoint: &EndpointClient) -> Capability {
    let rights = Rights::CALL | Rights::GRANT | Rights::EXPORT;
    endpoint.mint(7, rights.bits().into(), 16).unwrap().into()
}

#[test]
fn a_sensor_is_read_from_elsewhere() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(20_000))
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let mut list = [0; 1000];
    let length = two.bus.browse(there.id, &mut list).unwrap();
    let listed = services(&list[..length as usize]);
    let listed: Vec<_> = listed
        .iter()
        .map(|one| (&*one.name, &*one.interface))
        .collect();
    let page = [("screen", "Screen"), ("shared", "Directory")];
    assert_eq!(listed, [page[0], ("sensor", "Sensor"), page[1]]);
    let sensor: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("sensor"))
        .unwrap();
    assert_eq!(sensor.read().unwrap().value, 20_001);
    assert_eq!(sensor.read().unwrap().value, 20_002);
    // Each counts for the device that it concerns.
    let here = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    assert_eq!(two.bus.stats(there.id).unwrap().calls_out, 2);
    assert_eq!(one.bus.stats(here.id).unwrap().calls_in, 2);
    let none = two
        .bus
        .open_as::<dyn Sensor, SensorClient>(there.id, name("nothing"));
    assert_eq!(none.err(), Some(CallError::Server(BusError::NoService)));
}

#[test]
fn a_directory_is_used_as_if_it_were_here() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    let data = one.files.open_directory(file("data"), ReadWrite).unwrap();
    let shared = one.files_for_others();
    one.bus
        .publish(name("files"), name("Directory"), 0, false, shared)
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let root: DirectoryClient = two
        .bus
        .open_as::<dyn Directory, _>(there.id, name("files"))
        .unwrap();
    let remote = root.open_directory(file("data"), ReadWrite).unwrap();

    // A file of 1 MiB, there and back.
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|index| (index / 3) as u8).collect();
    let made = remote.create(file("large")).unwrap();
    for (at, piece) in (0..).step_by(64 << 10).zip(bytes.chunks(64 << 10)) {
        assert_eq!(made.write_at(at, piece), Ok(64 << 10));
    }
    let (mut back, mut into) = (Vec::new(), vec![1; 64 << 10]);
    while let Ok(count @ 1..) = made.read_at(back.len() as u64, &mut into) {
        back.extend_from_slice(&into[..count as usize]);
    }
    assert!(back == bytes, "other bytes");
    assert_eq!(data.stat_name(file("large")).unwrap().size, 1 << 20);

    // The directory that comes home is the local one again.
    remote
        .rename(file("large"), &remote, file("renamed"))
        .unwrap();
    assert!(data.stat_name(file("renamed")).is_ok());
    // An error of the server is told as such.
    let missing = remote.open(file("large"), ReadWrite).err();
    assert_eq!(missing, Some(CallError::Server(FileError::NotFound)));
    // What is of no device but this one is refused here.
    let refused = remote.rename(file("renamed"), &two.files, file("x"));
    assert!(matches!(refused, Err(CallError::Transport(error)) if error.cause == Cause::Denied));
}

#[test]
fn what_is_published_of_another_machine_is_called_there() {
    let segment = Segment::new();
    let [one, two, three] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    pair(&two, &three);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(0))
        .unwrap();
    let at = |machine: &Machine, device: &str, service: &str| {
        let there = machine.wait_for(device, |device| device.standing == Standing::Trusted);
        let opened = machine
            .bus
            .open_as::<dyn Sensor, _>(there.id, name(service));
        opened as Result<SensorClient, _>
    };
    let second = at(&two, "machine-1", "sensor").unwrap();
    let publish = |service: &str| {
        let copy = second.as_ref().copy().unwrap();
        let published = two
            .bus
            .publish(name(service), name("Sensor"), 0, false, copy);
        published.unwrap();
    };
    publish("one");
    publish("other");
    let [third, other] = ["one", "other"].map(|name| at(&three, "machine-2", name).unwrap());
    assert_eq!(third.read().unwrap().value, 1);
    assert_eq!(other.read().unwrap().value, 2);
    let known = two.wait_for("machine-3", |device| device.standing == Standing::Trusted);
    let through = two.bus.stats(known.id).unwrap().calls_in;
    assert_eq!(through, 0, "the second one is not on the way");
    // It ends when the second one takes it back, or has it no longer, and that alone.
    two.bus.revoke(name("one")).unwrap();
    assert_eq!(cause(&third), Cause::Revoked);
    let gone = at(&three, "machine-2", "one").err();
    assert_eq!(gone, Some(CallError::Server(BusError::NoService)));
    assert_eq!(other.read().unwrap().value, 3);
    // What comes home is the local one.
    let home = at(&one, "machine-2", "other").unwrap();
    assert_eq!(home.read().unwrap().value, 4);
    let known = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    assert_eq!(one.bus.stats(known.id).unwrap().calls_out, 0);
    one.bus.revoke(name("sensor")).unwrap();
    for sensor in [second, other] {
        assert_eq!(cause(&sensor), Cause::Revoked);
    }
    assert_eq!(home.read().unwrap().value, 5);
}

/// Why a sensor cannot be read.
fn cause(sensor: &SensorClient) -> Cause {
    match sensor.read() {
        Err(CallError::Transport(error)) => error.cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_taken_back_runs_no_more() {
    let segment = Segment::new();
    let [one, two, three] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    pair(&two, &three);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(0))
        .unwrap();
    let at = |machine: &Machine, device: &str| {
        let there = machine.wait_for(device, |device| device.standing == Standing::Trusted);
        machine
            .bus
            .open_as::<dyn Sensor, SensorClient>(there.id, name("sensor"))
            .unwrap()
    };
    let second = at(&two, "machine-1");
    assert_eq!(second.read().unwrap().value, 1);
    // A call counts for the device that it went to, and for no other.
    let calls = |device: &str| {
        let device = two.wait_for(device, |device| device.standing == Standing::Trusted);
        two.bus.stats(device.id).unwrap().calls_out
    };
    assert_eq!((calls("machine-1"), calls("machine-3")), (1, 0));
    // Handed on to a third machine, which does not know the first.
    let copy = second.as_ref().copy().unwrap();
    two.bus
        .publish(name("sensor"), name("Sensor"), 0, false, copy)
        .unwrap();
    let third = at(&three, "machine-2");
    assert_eq!(third.read().unwrap().value, 2);
    one.bus.revoke(name("sensor")).unwrap();
    for sensor in [second, third] {
        assert_eq!(cause(&sensor), Cause::Revoked);
    }
    assert_eq!(
        one.bus.revoke(name("sensor")),
        Err(CallError::Server(BusError::NoService))
    );
}

#[test]
fn trust_outlives_the_server_and_ends_with_a_word() {
    let segment = Segment::new();
    let [mut one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(0))
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.present);
    let before: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("sensor"))
        .unwrap();
    assert_eq!(before.read().unwrap().value, 1);
    one.restart(&segment);
    // The old capability is of a run that is over.
    let ended = loop {
        match before.read() {
            Err(CallError::Transport(error)) if error.cause == Cause::Unreachable => {
                time::sleep(LOOK);
            }
            ended => break ended,
        }
    };
    assert!(
        matches!(ended, Err(CallError::Transport(error)) if error.cause == Cause::EpochChanged),
        "{ended:?}"
    );
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(10))
        .unwrap();
    let after: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("sensor"))
        .unwrap();
    assert_eq!(after.read().unwrap().value, 11);
    let other = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    one.bus.distrust(other.id).unwrap();
    assert!(after.read().is_err());
    assert!(
        one.bus
            .devices()
            .unwrap()
            .iter()
            .all(|device| device.standing != Standing::Trusted)
    );
}

#[test]
fn a_wrong_pin_and_a_weak_capability_get_nothing() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let pin = one.bus.open_pairing().unwrap();
    let open = two.wait_for("machine-1", |device| device.standing == Standing::Open);
    let wrong = two.bus.pair(open.id, (pin + 1) % 1_000_000);
    assert_eq!(wrong, Err(CallError::Server(BusError::WrongPin)));
    assert_eq!(
        two.bus.pair(7, pin),
        Err(CallError::Server(BusError::NoDevice))
    );
    let weak = two
        .bus
        .restrict(BusAllowed::USE.bits(), 0, name("Sensor"))
        .unwrap();
    let refused = Err(CallError::Server(BusError::NotPermitted));
    assert_eq!(weak.pair(open.id, pin), refused);
    assert_eq!(
        weak.open_pairing(),
        Err(CallError::Server(BusError::NotPermitted))
    );
    two.bus.pair(open.id, pin).unwrap();
    // A capability that may not leave stays.
    let stays: Capability = fake::endpoint().mint_client(3).unwrap();
    let refused = one
        .bus
        .publish(name("stays"), name("Sensor"), 0, false, stays);
    assert_eq!(refused, Err(CallError::Server(BusError::NotExported)));
}

#[test]
fn the_page_keeps_a_program_to_one_device_and_one_interface() {
    let segment = Segment::new();
    let [one, two, three] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    pair(&one, &three);
    for machine in [&one, &two, &three] {
        for (service, interface) in [("sensor", "Sensor"), ("log", "Log")] {
            let (service, interface) = (name(service), name(interface));
            machine
                .bus
                .publish(service, interface, 0, false, sensor(0))
                .unwrap();
        }
    }
    let display = one.display();
    let seen = display.devices().unwrap();
    let [there] = seen.as_slice() else {
        panic!("all but one device is hidden: {seen:?}");
    };
    assert_eq!(there.name.as_str(), "machine-2");
    let open = |device, service| {
        let opened = display.open_as::<dyn Sensor, SensorClient>(device, name(service));
        opened.map(|sensor| sensor.read().unwrap().value)
    };
    assert_eq!(open(there.id, "sensor"), Ok(1));
    let unknown = CallError::Server(BusError::NoService);
    assert_eq!(open(there.id, "log"), Err(unknown));
    let refused = CallError::Server(BusError::NotPermitted);
    let hidden = one.wait_for("machine-3", |device| device.present);
    assert_eq!(open(hidden.id, "sensor"), Err(refused));
    assert_eq!(display.open_pairing(), Err(refused));
    assert_eq!(display.pair(there.id, 0), Err(refused));
    // What it may not use it may not take back.
    assert_eq!(display.withdraw(name("log")), Err(unknown));
    assert_eq!(display.revoke(name("log")), Err(unknown));
    assert_eq!(display.withdraw(name("sensor")), Ok(()));
}

#[test]
fn what_is_lent_comes_home_only_to_who_may_have_it() {
    let segment = Segment::new();
    let [one, two, three] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    pair(&two, &three);
    one.owner.says(true);
    for (service, private) in [("sensor", false), ("camera", true)] {
        let (service, interface) = (name(service), name("Sensor"));
        one.bus
            .publish(service, interface, 0, private, sensor(0))
            .unwrap();
    }
    let open = |bus: &BusClient, device, service| {
        bus.open_as::<dyn Sensor, SensorClient>(device, name(service))
    };
    let owner = two.wait_for("machine-1", |device| device.present);
    for (service, back) in [("sensor", "back"), ("camera", "seen")] {
        let lent = open(&two.bus, owner.id, service).unwrap();
        assert_eq!(lent.read().unwrap().value, 1);
        let lent = Capability::from(lent);
        two.bus
            .publish(name(back), name("Sensor"), 0, false, lent)
            .unwrap();
    }
    let there = one.wait_for("machine-2", |device| device.present);
    let home = open(&one.bus, there.id, "back").unwrap();
    assert_eq!(home.read().unwrap().value, 2);
    // Not to a program that is kept to another device's sensors, and not what is private.
    let refused = |opened: Result<SensorClient, _>| {
        assert_eq!(opened.err(), Some(CallError::Server(BusError::NoService)));
    };
    refused(open(&one.display(), there.id, "back"));
    refused(open(&one.bus, there.id, "seen"));
    // Nor, to anybody, what asks the owner in the bus's name.
    let lent = two
        .bus
        .open_as::<dyn Screen, ScreenClient>(owner.id, name("screen"));
    let lent = Capability::from(lent.unwrap());
    two.bus
        .publish(name("mirror"), name("Screen"), 0, false, lent)
        .unwrap();
    let mirror = one
        .bus
        .open_as::<dyn Screen, ScreenClient>(there.id, name("mirror"));
    let no_service = CallError::Server(BusError::NoService);
    assert_eq!(mirror.err(), Some(no_service));
    // Nor is what is private handed on to others, whom the owner was not asked about.
    let second = three.wait_for("machine-2", |device| device.present);
    assert!(open(&three.bus, second.id, "back").is_ok());
    refused(open(&three.bus, second.id, "seen"));
}

#[test]
fn who_watches_no_longer_ends_nobody_elses_watch() {
    let segment = Segment::new();
    let [one, mut two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    let there = one.wait_for("machine-2", |device| device.present);
    let watching = [(); 3].map(|()| {
        let other = one.bus.restrict(BusAllowed::USE.bits(), 0, name(""));
        let other = other.unwrap();
        other.watch(there.id, true).unwrap();
        other
    });
    one.wait_for("machine-2", |device| device.connected);
    let [first, second, _third] = watching;
    first.watch(there.id, false).unwrap();
    drop(second);
    // Who is watched is looked for again.
    two.restart(&segment);
    one.wait_for("machine-2", |device| !device.connected);
    one.wait_for("machine-2", |device| device.connected);
}

#[test]
fn devices_that_nothing_is_left_with_make_room_for_others() {
    let segment = Segment::new();
    let machines = [1, 2, 3, 4].map(|number| Machine::start(&segment, number));
    let [one, others @ ..] = &machines;
    for (other, service) in others.iter().zip(["second", "third", "fourth"]) {
        pair(one, other);
        let sensor = sensor(0);
        let published = other
            .bus
            .publish(name(service), name("Sensor"), 0, false, sensor);
        published.unwrap();
    }
    one.bus
        .publish(name("first"), name("Sensor"), 0, false, sensor(0))
        .unwrap();
    segment.limit(2);
    let read = |machine: &Machine, other: &str, service: &str| {
        let there = machine.wait_for(other, |device| device.standing == Standing::Trusted);
        let opened = machine
            .bus
            .open_as::<dyn Sensor, _>(there.id, name(service));
        let sensor: SensorClient = opened?;
        Ok::<_, CallError<BusError>>(sensor.read().unwrap().value)
    };
    // The first calls all others, and is called by all of them, by turns.
    for turn in 1..4 {
        for (other, service) in [2, 3, 4].into_iter().zip(["second", "third", "fourth"]) {
            let there = format!("machine-{other}");
            assert_eq!(read(one, &there, service), Ok(turn));
        }
        for (count, other) in others.iter().enumerate() {
            let value = 3 * (turn - 1) + count as i64 + 1;
            assert_eq!(read(other, "machine-1", "first"), Ok(value));
        }
    }
}

#[test]
fn what_is_private_is_lent_by_the_owners_word() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.bus
        .publish(name("camera"), name("Sensor"), 0, true, sensor(0))
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.present);
    let camera: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("camera"))
        .unwrap();
    let denied = |read: Result<_, CallError<_>>| matches!(read, Err(CallError::Transport(error)) if error == TransportError::refused(Cause::Denied));
    assert!(denied(camera.read()));
    // A no holds for a while: the owner is not asked again at once.
    one.owner.says(true);
    assert!(denied(camera.read()));
    assert_eq!(one.owner.asked(), ["may machine-2 use camera?"]);
    one.bus
        .publish(name("lamp"), name("Sensor"), 0, true, sensor(10))
        .unwrap();
    let lamp: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("lamp"))
        .unwrap();
    assert_eq!(lamp.read().unwrap().value, 11);
    assert_eq!(lamp.read().unwrap().value, 12);
    assert_eq!(one.owner.asked().len(), 2);
    // Who is trusted no longer has to be asked about again.
    let other = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    one.bus.distrust(other.id).unwrap();
    two.bus.distrust(there.id).unwrap();
    pair(&one, &two);
    let there = two.wait_for("machine-1", |device| device.present);
    let lamp: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("lamp"))
        .unwrap();
    lamp.read().unwrap();
    assert_eq!(one.owner.asked().len(), 3);
    // It is written down who used what.
    let used = [0, 1].map(|index| one.bus.used(index).unwrap());
    assert_eq!(used.map(|used| used.calls), [3, 2]);
    assert_eq!(used[0].service.as_str(), "lamp");
    assert_eq!(used[1].name.as_str(), "machine-2");
    assert_eq!(one.bus.used(2), Err(CallError::Server(BusError::NoService)));
}

/// Reads something private of the first machine, which has just published it or begun anew.
fn read_private(one: &Machine, two: &Machine, service: &str) -> Result<i64, Cause> {
    let there = two.wait_for("machine-1", |device| device.present);
    one.wait_for("machine-2", |device| device.present);
    let opened = two.bus.open_as::<dyn Sensor, _>(there.id, name(service));
    let sensor: SensorClient = opened.unwrap();
    loop {
        match sensor.read() {
            Ok(reading) => return Ok(reading.value),
            Err(CallError::Transport(error)) if error.cause == Cause::Unreachable => {
                time::sleep(LOOK);
            }
            Err(CallError::Transport(error)) => return Err(error.cause),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A service of the first machine that the owner is asked about.
fn publish_private(machine: &Machine, service: &str, value: i64) {
    let published = machine
        .bus
        .publish(name(service), name("Sensor"), 0, true, sensor(value));
    published.unwrap();
}

/// All consents of a machine's owner: device and service.
fn consents(machine: &Machine) -> Vec<(String, String)> {
    let all = (0..).map_while(|index| machine.bus.consent(index).ok());
    let texts = |one: libipc::interfaces::bus::Agreed| {
        (one.name.as_str().into(), one.service.as_str().into())
    };
    all.map(texts).collect()
}

#[test]
fn what_the_owner_said_outlives_the_bus() {
    let segment = Segment::new();
    let [mut one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.owner.says(true);
    for service in ["camera", "lamp", "door"] {
        publish_private(&one, service, 0);
        assert_eq!(read_private(&one, &two, service), Ok(1));
    }
    assert_eq!(one.owner.asked().len(), 3);
    let of_two = |services: &[&str]| -> Vec<(String, String)> {
        let one = |service: &&str| ("machine-2".into(), (*service).into());
        services.iter().map(one).collect()
    };
    assert_eq!(consents(&one), of_two(&["camera", "door", "lamp"]));
    // The record is written a little later.
    while one.kept().stat_name(file("uses")).is_err() {
        time::sleep(LOOK);
    }
    // Taken back: one by the owner's word, one because it is no longer lent.
    let other = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    one.bus.forget_consent(other.id, name("lamp")).unwrap();
    let none = one.bus.forget_consent(other.id, name("lamp"));
    assert_eq!(none, Err(CallError::Server(BusError::NoService)));
    one.bus.withdraw(name("door")).unwrap();
    assert_eq!(consents(&one), of_two(&["camera"]));

    one.restart(&segment);
    assert_eq!(consents(&one), of_two(&["camera"]));
    one.owner.says(false);
    for service in ["camera", "lamp", "door"] {
        publish_private(&one, service, 10);
    }
    assert_eq!(read_private(&one, &two, "camera"), Ok(11));
    assert_eq!(one.owner.asked().len(), 3);
    for (service, asked) in [("lamp", 4), ("door", 5)] {
        assert_eq!(read_private(&one, &two, service), Err(Cause::Denied));
        assert_eq!(one.owner.asked().len(), asked);
    }
    // Who used what is told of both runs.
    let used = |machine: &Machine| -> Vec<String> {
        let all = (0..).map_while(|index| machine.bus.used(index).ok());
        all.map(|used| used.service.as_str().into()).collect()
    };
    let told = used(&one);
    assert_eq!(told[..3], ["door", "lamp", "camera"]);
    assert!(told[3..].iter().any(|service| service == "camera"));

    // With trust ends what was said, for good, and not what was done.
    one.bus.distrust(other.id).unwrap();
    one.restart(&segment);
    assert_eq!(consents(&one), []);
    assert_eq!(used(&one).last().map(String::as_str), Some("camera"));
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    two.bus.distrust(there.id).unwrap();
    pair(&one, &two);
    publish_private(&one, "camera", 20);
    assert_eq!(read_private(&one, &two, "camera"), Err(Cause::Denied));
    assert_eq!(one.owner.asked().len(), 6);
    assert!(one.diary.lines().is_empty());
}

#[test]
fn who_has_it_open_keeps_what_is_withdrawn() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.owner.says(true);
    publish_private(&one, "lamp", 0);
    let there = two.wait_for("machine-1", |device| device.present);
    let lamp: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("lamp"))
        .unwrap();
    assert_eq!(lamp.read().unwrap().value, 1);
    one.bus.withdraw(name("lamp")).unwrap();
    one.owner.says(false);
    assert_eq!(lamp.read().unwrap().value, 2);
    // What comes under its name is another thing.
    publish_private(&one, "lamp", 10);
    assert_eq!(read_private(&one, &two, "lamp"), Err(Cause::Denied));
    assert_eq!(lamp.read().unwrap().value, 3);
    assert_eq!(one.owner.asked().len(), 2);
    // Until the owner takes his word back.
    let other = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    one.bus.forget_consent(other.id, name("lamp")).unwrap();
    assert_eq!(cause(&lamp), Cause::Denied);
    assert_eq!(one.owner.asked().len(), 3);
}

#[test]
fn a_damaged_record_is_begun_anew() {
    let segment = Segment::new();
    let [mut one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.owner.says(true);
    publish_private(&one, "lamp", 0);
    assert_eq!(read_private(&one, &two, "lamp"), Ok(1));
    for (run, kept) in (1..).zip(["consents", "uses"]) {
        while one.kept().stat_name(file(kept)).is_err() {
            time::sleep(LOOK);
        }
        one.restart_after(&segment, |disk| {
            let damaged = disk.open(file(kept), ReadWrite).unwrap();
            assert_eq!(damaged.write_at(1, b"x"), Ok(1));
        });
        publish_private(&one, "lamp", 0);
        assert_eq!(read_private(&one, &two, "lamp"), Ok(1));
        assert_eq!((one.owner.asked().len(), one.diary.lines().len()), (2, run));
    }
    let lines = one.diary.lines();
    assert!(lines[0].contains("record of consents is not used: it is damaged"));
    assert!(lines[1].contains("record of uses is not used: it is damaged"));
}

#[test]
fn only_the_published_interface_is_reached() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    // The file server has other interfaces at the same endpoint.
    let shared = one.files_for_others();
    one.bus
        .publish(name("files"), name("Directory"), 0, false, shared)
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.present);
    let pipes: PipesClient = two
        .bus
        .open_as::<dyn Pipes, _>(there.id, name("files"))
        .unwrap();
    match pipes.pipe() {
        Err(CallError::Transport(error)) => assert_eq!(error.cause, Cause::VersionMismatch),
        other => panic!("{other:?}"),
    }
    let unknown = one
        .bus
        .publish(name("thing"), name("Thing"), 0, false, sensor(0));
    assert_eq!(unknown, Err(CallError::Server(BusError::BadName)));
    one.bus
        .publish(name("thing"), name("Thing"), 77, false, sensor(0))
        .unwrap();
    let hash = <dyn Sensor as Dispatch>::INTERFACE.hash;
    let disguised = one
        .bus
        .publish(name("other"), name("Other"), hash, false, sensor(0));
    assert_eq!(disguised, Err(CallError::Server(BusError::BadName)));
}

#[test]
fn a_key_that_another_device_has_too_is_reported() {
    let segment = Segment::new();
    let [one, two, mut copy] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    let own = |machine: &Machine| machine.bus.myself().unwrap();
    assert_eq!(own(&one).standing, Standing::Trusted);
    // The third machine gets a copy of the first one's disk.
    let keys = [&one, &copy].map(|machine| {
        let data = machine
            .files
            .open_directory(file("data"), ReadWrite)
            .unwrap();
        data.open_directory(file("softbus"), ReadWrite).unwrap()
    });
    for kept in ["key", "trust"] {
        let mut bytes = vec![0; 4096];
        let (length, _) = keys[0].open_read(file(kept), &mut bytes).unwrap();
        let _ = keys[1].remove(file(kept));
        let made = keys[1].create(file(kept)).unwrap();
        assert_eq!(made.write_at(0, &bytes[..length as usize]), Ok(length));
    }
    copy.restart_holder();
    copy.restart(&segment);
    while own(&copy).id != own(&one).id {
        time::sleep(LOOK);
    }
    for machine in [&one, &copy] {
        while own(machine).standing != Standing::Doubled {
            time::sleep(LOOK);
        }
    }
    assert_eq!(own(&two).standing, Standing::Trusted);
}

#[test]
fn the_keys_come_back_after_their_holder_ended() {
    let segment = Segment::new();
    let mut one = Machine::start(&segment, 1);
    let mut two = Machine::start(&segment, 2);
    pair(&one, &two);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(20_000))
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let sensor: SensorClient = two
        .bus
        .open_as::<dyn Sensor, _>(there.id, name("sensor"))
        .unwrap();
    assert_eq!(sensor.read().unwrap().value, 20_001);
    // Neither side's keys are there any more: the stream breaks, and no call with it.
    one.restart_holder();
    assert_eq!(sensor.read().unwrap().value, 20_002);
    two.restart_holder();
    assert_eq!(sensor.read().unwrap().value, 20_003);
    // They are who they were, to each other and to those who start anew.
    two.restart(&segment);
    let same = two.wait_for("machine-1", |device| device.present);
    assert_eq!((same.id, same.standing), (there.id, Standing::Trusted));
}

#[test]
fn whoever_says_nothing_is_not_waited_for() {
    let segment = Segment::new();
    let _one = Machine::start(&segment, 1);
    let net = segment.net(9);
    // As soon as the machine listens: one more than it lets in.
    let connect = || loop {
        if let Ok(tcp) = net.connect(address(1), 0) {
            return tcp;
        }
        time::sleep(LOOK);
    };
    for tcp in [(); 3].map(|()| connect()) {
        let end = loop {
            match tcp.try_read(&mut [0; 8]) {
                Err(CallError::Server(NetError::WouldBlock)) => time::sleep(LOOK),
                end => break end,
            }
        };
        assert_eq!(end, Err(CallError::Server(NetError::Reset)));
    }
}
