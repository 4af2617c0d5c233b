//! The file server behind its endpoint, called as programs call it.

mod support;

use libipc::{
    CallError, Capability, Text,
    fake::{self, Task},
    interfaces::{
        DirectoryClient,
        FileAccess::*,
        FileClient, FileError, Name, PipesClient, StreamClient, StreamError, StreamKind,
        StreamMode,
        clients::{ClientArgument, SERVER_BADGES, live_badges},
        directory,
    },
    objects::EndpointClient,
    status::Cause,
};
use std::{thread, time::Duration};
use support::ROOMY;
use tessera_files::{namespace::Namespace, quota::Accounts, server::Server, service::Service};

/// A running file server.
struct Served {
    endpoint: EndpointClient,
    task: Task,
}

fn start(endpoint: EndpointClient) -> Served {
    let task = Task::new();
    let handed = Capability::from(endpoint).copy().unwrap();
    let endpoint = EndpointClient::from(handed.copy().unwrap());
    task.spawn_with(handed, |endpoint: EndpointClient| {
        let shell = ClientArgument::parse("client:3=shell").unwrap();
        let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
        let accounts = Accounts::of_clients(ROOMY, &[shell], &[]);
        let service = Service::new(Namespace::in_memory(), accounts, &[shell], newest + 1);
        Server::new(&endpoint, service, Vec::new()).run()
    });
    Served { endpoint, task }
}

impl Served {
    fn new() -> Self {
        start(fake::endpoint())
    }

    /// `/tmp`, as the shell gets it.
    fn tmp(&self) -> DirectoryClient {
        let root: DirectoryClient = self.endpoint.mint_client(3).unwrap();
        root.open_directory(name("tmp"), ReadWrite).unwrap()
    }

    fn pipe(&self) -> (StreamClient, StreamClient) {
        let pipes: PipesClient = self.endpoint.mint_client(4).unwrap();
        pipes.pipe().unwrap()
    }
}

fn name(name: &str) -> Name {
    Text::new(name).unwrap()
}

/// Waits until something becomes true that another thread brings about.
fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not become true");
}

#[test]
fn a_file_travels_through_leases() {
    let tmp = Served::new().tmp();
    let file = tmp.create(name("data")).unwrap();
    let text: Vec<u8> = (0..20_000).map(|index| index as u8).collect();
    assert_eq!(file.write_at(0, &text), Ok(20_000));
    assert_eq!(file.append(b"end"), Ok(3));
    let mut bytes = vec![0; 30_000];
    assert_eq!(file.read_at(0, &mut bytes), Ok(20_003));
    assert_eq!(&bytes[..20_000], text);
    assert_eq!(&bytes[20_000..20_003], b"end");
    file.set_size(5).unwrap();
    assert_eq!((file.size(), file.sync()), (Ok(5), Ok(())));
    let stat = tmp.stat_name(name("data")).unwrap();
    assert_eq!((stat.size, stat.id), (5, file.stat().unwrap().id));
}

#[test]
fn listings_come_by_the_page() {
    let tmp = Served::new().tmp();
    let long = "ä".repeat(126);
    for index in 0..50 {
        tmp.create(name(&format!("{long}{index}")))
            .map(drop)
            .unwrap_or_else(|_| {
                panic!("names of 255 bytes are allowed");
            });
    }
    let (mut seen, mut cursor, mut pages) = (0, 0, 0);
    loop {
        let mut page = [0; 4096];
        let listing = tmp.list(cursor, &mut page).unwrap();
        seen += directory::entries(&page[..listing.bytes as usize]).count();
        pages += 1;
        cursor = listing.next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, 50);
    assert!(pages > 1);
}

#[test]
fn a_rename_takes_the_other_directory_as_a_capability() {
    let served = Served::new();
    let tmp = served.tmp();
    let inner = tmp.create_directory(name("inner")).unwrap();
    drop(tmp.create(name("a")).unwrap());
    tmp.rename(name("a"), &inner, name("b")).unwrap();
    assert!(inner.stat_name(name("b")).is_ok());
    assert_eq!(
        tmp.rename(name("inner"), &inner, name("x")),
        Err(CallError::Server(FileError::Loop))
    );
    // A directory of another server is no place to move to.
    let foreign = Served::new().tmp();
    assert_eq!(
        inner.rename(name("b"), &foreign, name("b")),
        Err(CallError::Server(FileError::OtherFileSystem))
    );
}

#[test]
fn what_a_dead_client_held_is_free_again() {
    let served = Served::new();
    let tmp = served.tmp();
    let open = || tmp.usage().unwrap().client_open;
    let before = open();
    let files: Vec<FileClient> = (0..10)
        .map(|index| tmp.create(name(&index.to_string())).unwrap())
        .collect();
    assert_eq!(open(), before + 10);
    let client = Task::new();
    for file in files {
        client.give(file);
    }
    assert_eq!(open(), before + 10);
    client.kill();
    eventually(|| open() == before);
}

#[test]
fn capabilities_do_only_what_they_are_for() {
    let served = Served::new();
    let tmp = served.tmp();
    let file = tmp.create(name("f")).unwrap();
    let stream = file.stream(StreamMode::Read, 0).unwrap();
    assert_eq!(stream.kind(), Ok(StreamKind::File));
    let copy = |client: &Capability| client.copy().unwrap();
    let as_directory = DirectoryClient::from(copy(file.as_ref()));
    assert_eq!(
        as_directory.stat_name(name("f")),
        Err(CallError::Server(FileError::Stale))
    );
    let as_file = FileClient::from(copy(stream.as_ref()));
    assert_eq!(
        as_file.write_at(0, b"x"),
        Err(CallError::Server(FileError::Stale))
    );
    let as_pipes = PipesClient::from(copy(tmp.as_ref()));
    assert_eq!(
        as_pipes.pipe().map(drop),
        Err(CallError::Server(FileError::NotPermitted))
    );
    // An interface that is not served here at all.
    let as_log = libipc::interfaces::LogClient::from(copy(tmp.as_ref()));
    let error = as_log.unfollow().unwrap_err().transport().unwrap();
    assert_eq!(error.cause, Cause::VersionMismatch);
}

#[test]
fn a_pipe_joins_two_tasks() {
    let served = Served::new();
    let (reader, writer) = served.pipe();
    let text: Vec<u8> = (0..50_000_u32).map(|index| (index / 7) as u8).collect();
    let sent = text.clone();
    let producer = Task::new().spawn_with(writer, move |writer: StreamClient| {
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let count = writer.write(rest).unwrap();
            assert!(count > 0);
            rest = &rest[count as usize..];
        }
    });
    let mut received = Vec::new();
    loop {
        let mut bytes = [0; 1000];
        let count = reader.read(&mut bytes).unwrap() as usize;
        if count == 0 {
            break;
        }
        received.extend_from_slice(&bytes[..count]);
    }
    producer.join().unwrap();
    assert_eq!(received, text);
}

#[test]
fn a_writer_learns_that_nobody_reads() {
    let served = Served::new();
    let (reader, writer) = served.pipe();
    // The pipe is full then: the next write waits.
    assert_eq!(writer.write(&[0; 4096]), Ok(4096));
    let waiting = Task::new().spawn_with(writer, |writer: StreamClient| {
        (writer.write(b"x"), writer.write(b"y"))
    });
    thread::sleep(Duration::from_millis(50));
    drop(reader);
    let closed = Err(CallError::Server(StreamError::Closed));
    assert_eq!(waiting.join().unwrap(), (closed, closed));
}

#[test]
fn a_reader_that_stops_waiting_loses_nothing() {
    let served = Served::new();
    let (reader, writer) = served.pipe();
    let reader = reader.with_timeout(Duration::from_millis(30));
    let mut bytes = [0; 8];
    let error = reader.read(&mut bytes).unwrap_err().transport().unwrap();
    assert_eq!(error.cause, Cause::TimedOut);
    writer.write(b"kept").unwrap();
    assert_eq!(reader.read(&mut bytes), Ok(4));
    assert_eq!(&bytes[..4], b"kept");
}

#[test]
fn a_restarted_server_says_that_it_forgot() {
    let served = Served::new();
    let tmp = served.tmp();
    let file = tmp.create(name("f")).unwrap();
    let root: DirectoryClient = served.endpoint.mint_client(3).unwrap();
    served.endpoint.expel().unwrap();
    served.task.kill();
    // The supervisor hands the endpoint to a successor.
    let served = start(served.endpoint);
    let stale = CallError::Server(FileError::Stale);
    assert_eq!(file.size(), Err(stale));
    assert_eq!(tmp.stat_name(name("f")).map(drop), Err(stale));
    // The client's own capability still works, and new badges are new.
    let tmp = root.open_directory(name("tmp"), ReadWrite).unwrap();
    let fresh = tmp.create(name("f")).unwrap();
    assert_eq!((fresh.size(), file.size()), (Ok(0), Err(stale)));
    drop(served);
}
