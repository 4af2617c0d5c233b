//! Calls that hang, and calls that nobody waits for any longer.

use crate::{
    bell::{Bell, BellClient, Waiting, publish_bell, wait_for_bell},
    sensor,
    support::{Machine, Segment, name, pair, wait_until},
    toll::{Toll, TollClient, publish_toll},
};
use libipc::{
    CallError,
    interfaces::{BusClient, Sensor, SensorClient, SensorError, bus::Standing},
    status::{Cause, TransportError},
    thread::{self, JoinHandle},
    time::Instant,
};
use std::sync::atomic::Ordering;

#[test]
fn calls_that_hang_keep_nobody_elses_waiting() {
    let segment = Segment::new();
    let [one, two, three] = [1, 2, 3].map(|number| Machine::start(&segment, number));
    let there = [&two, &three].map(|other| {
        pair(&one, other);
        let there = other.wait_for("machine-1", |device| device.present);
        there.id
    });
    let bells = ["bell", "gong"].map(|service| publish_bell(&one, service));
    one.bus
        .publish(name("sensor"), name("Sensor"), 0, false, sensor(0))
        .unwrap();
    let read = |machine: &Machine, device| {
        let opened = machine.bus.open_as::<dyn Sensor, _>(device, name("sensor"));
        let sensor: SensorClient = opened.unwrap();
        let patient = sensor.with_timeout(std::time::Duration::from_secs(10));
        patient.read().map(|reading| reading.value)
    };
    let here = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    // A server hangs, and the same machine can call others.
    let mut calls = wait_for_bell(&two, there[0], "bell", 8);
    wait_until(|| one.bus.stats(here.id).unwrap().calls_in == 8);
    bells[0].reach(4);
    assert_eq!(read(&two, there[0]), Ok(1));
    // One machine does all that it can, and another is served.
    calls.extend(wait_for_bell(&two, there[0], "gong", 8));
    wait_until(|| one.bus.stats(here.id).unwrap().calls_in == 17);
    bells[1].reach(1);
    assert_eq!(read(&three, there[1]), Ok(2));
    let hang = [0, 1].map(|index| bells[index].0.lock().unwrap().len());
    assert_eq!(hang, [4, 1]);
    // Each call is made in the end, and once.
    let mut rung = 0;
    wait_until(|| {
        rung += bells.iter().map(Waiting::ring).sum::<usize>();
        rung == 16
    });
    for call in calls {
        assert_eq!(call.join(), Some(Ok(7)));
    }
}

/// The second machine's client of a bell of the first one, which it pairs with, and who
/// waits for it.
fn bell_of(one: &Machine, two: &Machine) -> (BellClient, Waiting, u64) {
    pair(one, two);
    let waiting = publish_bell(one, "bell");
    let there = two.wait_for("machine-1", |device| device.present);
    let opened = two.bus.open_as::<dyn Bell, _>(there.id, name("bell"));
    (opened.unwrap(), waiting, there.id)
}

#[test]
fn a_call_that_nobody_waits_for_ends_or_never_begins() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let (bell, waiting, there) = bell_of(&one, &two);
    let tolling = publish_toll(&one);
    let opened = two.bus.open_as::<dyn Toll, _>(there, name("toll"));
    let toll: TollClient = opened.unwrap();
    let recorded = thread::spawn(move || toll.toll()).unwrap();
    wait_until(|| tolling.has_begun.load(Ordering::SeqCst));
    let here = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    let mut calls = Vec::new();
    for count in 2..=8 {
        calls.extend(wait_for_bell(&two, there, "bell", 1));
        wait_until(|| one.bus.stats(here.id).unwrap().calls_in == count);
    }
    waiting.reach(3);
    recorded.cancel();
    // The newest first, so that none gets the thread of one that ends.
    calls.iter().rev().for_each(JoinHandle::cancel);
    wait_until(|| waiting.wanted() == 0);
    // What is recorded goes on, for its answer can still be asked for.
    assert!(!tolling.was_cancelled.load(Ordering::SeqCst));
    tolling.goes_on.store(true, Ordering::SeqCst);
    // Those that had no thread are no more: the next call is the next that comes.
    let next = thread::spawn(move || bell.wait()).unwrap();
    waiting.reach(4);
    assert_eq!((waiting.wanted(), waiting.ring()), (1, 4));
    assert_eq!(next.join(), Some(Ok(7)));
    for call in calls.into_iter().chain([recorded]) {
        let ended = call.join();
        let Some(Err(CallError::Transport(error))) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(error.cause, Cause::Cancelled);
    }
    assert_eq!(waiting.ring(), 0);
}

#[test]
fn a_call_lasts_no_longer_than_its_caller_waits() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let (bell, waiting, _) = bell_of(&one, &two);
    let patience = std::time::Duration::from_secs(2);
    let call = thread::spawn(move || bell.with_timeout(patience).wait()).unwrap();
    waiting.reach(1);
    // The other machine says nothing more, so that it is the time that came with the call.
    two.stop();
    let deadline = waiting.0.lock().unwrap()[0].deadline();
    assert!(deadline <= Instant::now() + patience);
    wait_until(|| waiting.wanted() == 0);
    assert!(deadline <= Instant::now());
    assert!(matches!(call.join(), Some(Err(CallError::Transport(_)))));
}

#[test]
fn what_is_taken_back_begins_no_more_and_ends_by_itself() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    let (_, waiting, there) = bell_of(&one, &two);
    let here = one.wait_for("machine-2", |device| device.standing == Standing::Trusted);
    let calls = wait_for_bell(&two, there, "bell", 8);
    wait_until(|| one.bus.stats(here.id).unwrap().calls_in == 8);
    waiting.reach(4);
    let bus = one.bus.as_ref().copy().unwrap();
    let revoked = thread::spawn(move || BusClient::from(bus).revoke(name("bell"))).unwrap();
    // Those that had not begun have ended as such.
    let is_revoked = |result: &Result<_, CallError<SensorError>>| {
        *result
            == Err(CallError::Transport(TransportError::refused(
                Cause::Revoked,
            )))
    };
    wait_until(|| two.bus.stats(there).unwrap().failed == 4);
    // Those that run do so to their end, for which the revocation waits.
    assert_eq!((waiting.wanted(), waiting.ring()), (4, 4));
    assert_eq!(revoked.join(), Some(Ok(())));
    let ended: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    assert_eq!(ended.iter().filter(|ended| is_revoked(ended)).count(), 4);
    assert_eq!(ended.iter().filter(|ended| **ended == Ok(7)).count(), 4);
    assert_eq!(waiting.ring(), 0);
}
