//! The log server behind its endpoint, called as programs call it.

use libipc::{
    CallError, Capability, Text,
    fake::{self, Task},
    handle::Rights,
    interfaces::{LogClient, LogError, LogLevel, clients::ClientArgument},
    objects::EndpointClient,
    server::{Event, Receiver},
    time::Instant,
};
use std::time::Duration;
use tessera_log::{
    journal::Journal,
    server::{self, Server},
};

/// An endpoint with a log server at it.
fn start() -> EndpointClient {
    let endpoint = Capability::from(fake::endpoint());
    let handed = endpoint.copy().unwrap();
    let task = Task::new();
    let system = fake::system();
    let kernel = task.give(system);
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let shell = ClientArgument::parse("client:3=shell").unwrap();
        let journal = Journal::new(&[shell], server::now());
        let kernel = Capability::from_handle(kernel).into();
        Server::new(&endpoint, journal, Some(kernel)).run()
    });
    endpoint.into()
}

fn client(endpoint: &EndpointClient, badge: u64) -> LogClient {
    endpoint.mint_client(badge).unwrap()
}

fn all(log: &LogClient) -> String {
    let (mut text, mut position) = (Vec::new(), 0);
    loop {
        let mut bytes = [0; 500];
        let page = log.read(position, &mut bytes).unwrap();
        if page.bytes == 0 {
            return String::from_utf8(text).unwrap();
        }
        text.extend_from_slice(&bytes[..page.bytes as usize]);
        position = page.next();
    }
}

#[test]
fn lines_are_kept_with_their_source() {
    let endpoint = start();
    let log = client(&endpoint, 3);
    log.append(LogLevel::Warn, Text::new("hello").unwrap())
        .unwrap();
    assert!(all(&log).contains(" W shell hello\n"));
    assert_eq!(
        log.read(0, &mut [0; 4]),
        Err(CallError::Server(LogError::TooSmall))
    );
}

#[test]
fn the_kernels_log_arrives_by_itself() {
    let endpoint = start();
    let log = client(&endpoint, 3);
    let system = fake::system();
    system.log("a line of the kernel's\n").unwrap();
    let there = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        all(&log).contains(" I kernel a line of the kernel's\n")
    });
    assert!(there);
}

#[test]
fn followers_are_told_and_dead_ones_forgotten() {
    let endpoint = start();
    let log = client(&endpoint, 3);
    let own = fake::endpoint();
    let follow = || {
        let signal = own.as_ref().derive(Rights::SIGNAL | Rights::GRANT).unwrap();
        log.follow(signal.into(), 4)
    };
    follow().unwrap();
    let mut receiver = Receiver::new(&own);
    let soon = || Instant::after(Duration::from_secs(5));
    log.append(LogLevel::Info, Text::new("one").unwrap())
        .unwrap();
    assert!(matches!(receiver.wait(soon()), Ok(Event::Signals(4))));
    log.unfollow().unwrap();
    log.append(LogLevel::Info, Text::new("two").unwrap())
        .unwrap();
    let later = Instant::after(Duration::from_millis(50));
    assert!(receiver.wait(later).is_err());
    // So many can follow, and each place is free again when its client is gone.
    let others: Vec<LogClient> = (100..116).map(|badge| client(&endpoint, badge)).collect();
    let signal = || own.as_ref().derive(Rights::SIGNAL | Rights::GRANT).unwrap();
    for other in &others {
        other.follow(signal().into(), 1).unwrap();
    }
    let full = Err(CallError::Server(LogError::TooManyFollowers));
    assert_eq!(follow(), full);
    drop(others);
    let free = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        follow().is_ok()
    });
    assert!(free);
}
