//! What is on the disk and cannot be read is left as it is.

use libipc::{
    CallError, Text, fake,
    interfaces::{
        DirectoryClient,
        FileAccess::{Read, ReadWrite},
        FileError,
        clients::SERVER_BADGES,
        directory::Name,
    },
    objects::EndpointClient,
    status::TransportError,
};
use tessera_files::{
    namespace::{Mount, Namespace},
    quota::{Accounts, Limits},
    ram::RamVolume,
    server::Server as FileServer,
    service::Service,
};
use tessera_softbus_keys::{
    BusKeysClient, KeysError, Remote, random,
    server::Server,
    store::{PLACE, Store},
};

/// Files, with a disk or without one.
fn files(has_disk: bool) -> DirectoryClient {
    let served = fake::endpoint();
    let files = served.mint_client(1).unwrap();
    fake::Task::new().spawn_with(served, move |endpoint: EndpointClient| {
        let limits = Limits {
            bytes: 1 << 20,
            nodes: 100,
            open: 100,
        };
        let data = has_disk.then(|| ("data", Mount::Here(Box::new(RamVolume::default()))));
        let accounts = Accounts::new(limits, []);
        let service = Service::new(Namespace::new(data), accounts, &[], SERVER_BADGES);
        FileServer::new(&endpoint, service, Vec::new()).run()
    });
    files
}

fn name(text: &str) -> Name {
    Text::new(text).unwrap()
}

fn directory(files: &DirectoryClient) -> DirectoryClient {
    let data = files.open_directory(name("data"), ReadWrite).unwrap();
    data.create_directory(name("softbus"))
        .or_else(|_| data.open_directory(name("softbus"), ReadWrite))
        .unwrap()
}

/// Whoever holds the keys begins on these files.
fn hold(files: &DirectoryClient, run: u64) -> Result<BusKeysClient, FileError> {
    let store = Store::open(files, PLACE)?;
    let endpoint = fake::endpoint();
    let client = endpoint.mint_client(1).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    fake::current().spawn(move || -> Option<TransportError> {
        let begun = Server::new(&endpoint, store, random::source([run, 2, 3, 4]));
        let mut server = begun
            .inspect_err(|error| tell.send(Some(*error)).unwrap())
            .ok()?;
        tell.send(None).unwrap();
        Some(server.run())
    });
    told.recv().unwrap().map_or(Ok(client), Err)
}

#[test]
fn a_key_that_cannot_be_read_is_not_replaced() {
    let files = files(true);
    let first = hold(&files, 1).unwrap().identity().unwrap();
    assert!(first.durable);
    let softbus = directory(&files);
    // Where the key is there is something else.
    softbus.rename(name("key"), &softbus, name("kept")).unwrap();
    softbus.create_directory(name("key")).unwrap();
    assert_eq!(hold(&files, 2).map(drop), Err(FileError::IsDirectory));
    softbus.remove(name("key")).unwrap();
    // Half a key is none, and not for us to throw away.
    let half = softbus.create(name("key")).unwrap();
    half.write_at(0, &[7; 16]).unwrap();
    assert_eq!(hold(&files, 3).map(drop), Err(FileError::Corrupt));
    let mut bytes = [0; 64];
    let (length, _) = softbus.open_read(name("key"), &mut bytes).unwrap();
    assert_eq!(bytes[..length as usize], [7; 16]);
    // The device is the same as soon as its key is there again.
    softbus.rename(name("kept"), &softbus, name("key")).unwrap();
    assert_eq!(hold(&files, 4).unwrap().identity().unwrap().key, first.key);
}

#[test]
fn trust_that_cannot_be_read_is_not_taken_for_none() {
    let files = files(true);
    let softbus = directory(&files);
    let keys = hold(&files, 1).unwrap();
    softbus.create_directory(name("trust")).unwrap();
    let connected = Remote::connect(keys);
    assert_eq!(
        connected.err(),
        Some(CallError::Server(KeysError::Unreadable))
    );
    softbus.remove(name("trust")).unwrap();
    // Nor is what is damaged.
    let trust = softbus.create(name("trust")).unwrap();
    trust.write_at(0, b"garbage").unwrap();
    let connected = Remote::connect(hold(&files, 2).unwrap());
    assert_eq!(connected.err(), Some(CallError::Server(KeysError::Damaged)));
    assert_eq!(softbus.stat_name(name("trust")).unwrap().size, 7);
    softbus.remove(name("trust")).unwrap();
    assert!(Remote::connect(hold(&files, 3).unwrap()).is_ok());
}

#[test]
fn only_a_machine_without_a_disk_does_without() {
    let keys = hold(&files(false), 1).unwrap();
    assert!(!keys.identity().unwrap().durable);
    // Something else in the place of the bus's directory is an error.
    let files = files(true);
    let data = files.open_directory(name("data"), ReadWrite).unwrap();
    data.create(name("softbus")).unwrap();
    assert_eq!(hold(&files, 2).map(drop), Err(FileError::NotDirectory));
    assert!(data.open(name("softbus"), Read).is_ok());
}
