//! Tasks that read what a peer says, while they are killed, crash, lie or hang: what becomes
//! of that peer's calls, and of everybody else's.

use super::sensor;
use crate::support::{Damage, Machine, Readers, Segment, file, name, pair};
use libipc::interfaces::{
    Directory, DirectoryClient, FileAccess::ReadWrite, Sensor, SensorClient, bus::Standing,
};
use tessera_softbus::parsers::{GUESTS, PARSERS, Parsers};
use tessera_softbus_protocol::{
    parser::Parser,
    suite::PublicKey,
    wire::{Body, Message},
};

#[test]
fn a_call_outlives_whoever_read_of_it() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let sensor = sensor_of(&one, &two, 20_000);
    let mut next = 20_001;
    for damage in [Damage::Ends, Damage::Lies, Damage::Denies] {
        for machine in [&one, &two] {
            next = read_while_damaged(machine, &sensor, damage, next);
        }
    }
}

#[test]
fn a_reader_that_hangs_is_ended() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let sensor = sensor_of(&one, &two, 0);
    let next = read_while_damaged(&one, &sensor, Damage::Hangs, 1);
    read_while_damaged(&two, &sensor, Damage::Hangs, next);
}

/// The second machine's client of a sensor of the first one, which it pairs with.
pub(crate) fn sensor_of(one: &Machine, two: &Machine, value: i64) -> SensorClient {
    pair(one, two);
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(value))
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let opened = two.bus.open_as::<dyn Sensor, _>(there.id, name("sensor"));
    opened.unwrap()
}

/// Reads a sensor, whose next value is known, while a reader of a machine is damaged: the
/// stream breaks, another reads, and each call runs once. The next value then.
fn read_while_damaged(
    machine: &Machine,
    sensor: &SensorClient,
    damage: Damage,
    mut next: i64,
) -> i64 {
    let before = machine.readers.made();
    machine.readers.damage(None, damage);
    while !machine.readers.was_damaged() || machine.readers.made() == before {
        assert_eq!(sensor.read().unwrap().value, next);
        next += 1;
    }
    next
}

#[test]
fn a_transfer_outlives_its_readers() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
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
    let bytes: Vec<u8> = (0..1_u32 << 19).map(|index| (index / 3) as u8).collect();
    let made = remote.create(file("large")).unwrap();
    for (at, piece) in (0..).step_by(64 << 10).zip(bytes.chunks(64 << 10)) {
        one.readers.kill(None);
        two.readers.kill(None);
        assert_eq!(made.write_at(at, piece), Ok(64 << 10));
    }
    let (mut back, mut into) = (Vec::new(), vec![1; 64 << 10]);
    while let Ok(count @ 1..) = made.read_at(back.len() as u64, &mut into) {
        back.extend_from_slice(&into[..count as usize]);
        two.readers.kill(None);
    }
    assert!(back == bytes, "other bytes");
}

#[test]
fn guests_take_no_readers_from_others() {
    let readers = Readers::default();
    let mut parsers = Parsers::new(Box::new(readers.clone()));
    let message = Message::Sequenced(1, Body::Cancel(1));
    let mut read = |number, is_guest| {
        let plain = [message.to_bytes()];
        let read = parsers.messages(&PublicKey([number; 32]), is_guest, &plain);
        assert!(matches!(&read[..], [one] if *one == message));
        readers.made()
    };
    let trusted = 1..=(PARSERS - GUESTS) as u8;
    for number in trusted.clone() {
        read(number, false);
    }
    let of_trusted = readers.made();
    let guests = 100..110;
    for number in guests {
        read(number, true);
    }
    assert_eq!(readers.made(), of_trusted + 10);
    // The trusted ones have theirs still, and so has the last guest.
    for number in trusted {
        assert_eq!(read(number, false), of_trusted + 10);
    }
    assert_eq!(read(109, true), of_trusted + 10);
}

#[test]
fn strangers_keep_their_reader() {
    let readers = Readers::default();
    let mut parsers = Parsers::new(Box::new(readers.clone()));
    assert!(parsers.datagram(&[0]).is_none());
    let message = Message::Sequenced(1, Body::Cancel(1));
    for number in 0..2 * PARSERS as u8 {
        let plain = [message.to_bytes()];
        parsers.messages(&PublicKey([number; 32]), false, &plain);
    }
    let made = readers.made();
    assert_eq!(made, 1 + 2 * PARSERS);
    assert!(parsers.datagram(&[0]).is_none());
    assert_eq!(readers.made(), made);
}
