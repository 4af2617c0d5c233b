//! The server behind its endpoint, over a block server behind its own.

use libipc::{
    CallError, Capability, Text,
    fake::{self, Task},
    handle::Rights,
    interfaces::{
        DirectoryClient,
        FileAccess::{Read, ReadWrite},
        FileError, Name,
        block::BlockClient,
        clients::{AccountArgument, ClientArgument, SERVER_BADGES, live_badges},
        directory,
    },
    memory::Bytes as Cache,
    objects::EndpointClient,
};
use tessera_block::{ram::Ram, server as block};
use tessera_disk::{BlockDisk, Disk, DiskError, SECTOR};
use tessera_ext4::{
    mounted::{Time, format},
    volume::Ext4Volume,
};
use tessera_files::{
    boot::BootVolume,
    namespace::{Mount, Namespace},
    quota::{Accounts, Limits},
    server::Server,
    service::Service,
    volume::Volume,
};

const SECTORS: usize = 48 << 10;
/// Pages of the page cache.
const CACHE: u64 = 256;

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    nodes: 100,
    open: 100,
};

/// Bytes that are a disk.
struct Bytes(Vec<u8>);

impl Disk for Bytes {
    fn sectors(&self) -> u64 {
        (self.0.len() / SECTOR) as u64
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let start = sector as usize * SECTOR;
        into.copy_from_slice(&self.0[start..start + into.len()]);
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let start = sector as usize * SECTOR;
        self.0[start..start + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// A block server with an empty file system.
fn disk() -> EndpointClient {
    let mut bytes = Bytes(vec![0; SECTORS * SECTOR]);
    format(&mut bytes, Time::default()).unwrap();
    let endpoint = Capability::from(fake::endpoint());
    let handed = endpoint.copy().unwrap();
    Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
        block::Server::new(Ram::with(bytes.0, false))
            .unwrap()
            .run(&endpoint, None)
    });
    endpoint.into()
}

/// A file server over that disk.
fn serve(disk: &EndpointClient, endpoint: &EndpointClient) -> Task {
    let task = Task::new();
    let block = task.give(disk.mint_client::<BlockClient>(3).unwrap());
    let handed = endpoint.as_ref().copy().unwrap();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let block = BlockClient::from(Capability::from_handle(block));
        let cache = Cache::new(CACHE).unwrap();
        let disk = BlockDisk::new(block, Some(cache.share())).unwrap();
        let volume = Ext4Volume::with_cache(disk, Box::new(cache), Time::default());
        // One client of the page, which speaks for others.
        let client = ClientArgument::parse("client:3=files").unwrap();
        let owner = AccountArgument::parse("account:9=files/shell,1048576,-").unwrap();
        let volume = volume.unwrap().with_owners(&[owner]).unwrap();
        let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
        let accounts = Accounts::of_clients(LIMITS, &[client], &[owner]);
        let service = Service::new(Namespace::of(volume), accounts, &[client], newest + 1);
        let service = service.with_exports([3]);
        Server::new(&endpoint, service, Vec::new()).run()
    });
    task
}

/// The root of the file server at this endpoint.
fn root(endpoint: &EndpointClient) -> DirectoryClient {
    endpoint.mint_client(3).unwrap()
}

/// Ends a file server, and lets the next one have its endpoint.
fn end(endpoint: &EndpointClient, task: Task) {
    endpoint.expel().unwrap();
    task.kill();
}

fn name(name: &str) -> Name {
    Text::new(name).unwrap()
}

fn names(directory: &DirectoryClient) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let mut page = [0; 4096];
        let listing = directory.list(cursor, &mut page).unwrap();
        let entries = directory::entries(&page[..listing.bytes as usize]);
        all.extend(entries.map(|entry| entry.name.to_owned()));
        cursor = listing.next;
        if cursor == 0 {
            all.sort();
            return all;
        }
    }
}

#[test]
fn what_is_synced_is_there_for_the_next_server() {
    let disk = disk();
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index / 5) as u8).collect();
    let endpoint = fake::endpoint();
    let task = serve(&disk, &endpoint);
    let root = root(&endpoint);
    let folder = root.create_directory(name("folder")).unwrap();
    let file = folder.create(name("file")).unwrap();
    for (at, piece) in (0..).step_by(100_000).zip(bytes.chunks(100_000)) {
        assert_eq!(file.write_at(at, piece), Ok(100_000));
    }
    file.sync().unwrap();
    folder.create(name("late")).unwrap();
    end(&endpoint, task);
    serve(&disk, &endpoint);
    let folder = root.open_directory(name("folder"), ReadWrite).unwrap();
    assert_eq!(names(&folder), ["file"]);
    let file = folder.open(name("file"), Read).unwrap();
    let mut back = vec![0; 250_000];
    assert_eq!(file.read_at(50_000, &mut back), Ok(250_000));
    assert!(back == bytes[50_000..], "other bytes");
    let usage = root.usage().unwrap();
    assert_eq!(usage.bytes_limit, (SECTORS * SECTOR) as u64);
}

#[test]
fn a_handle_of_a_server_that_died_never_syncs() {
    let disk = disk();
    let endpoint = fake::endpoint();
    let task = serve(&disk, &endpoint);
    let root = root(&endpoint);
    let file = root.create(name("file")).unwrap();
    file.write_at(0, b"never durable").unwrap();
    end(&endpoint, task);
    serve(&disk, &endpoint);
    assert_eq!(file.sync(), Err(CallError::Server(FileError::Stale)));
    assert_eq!(names(&root), ["lost+found"]);
}

#[test]
fn one_tree_spans_two_servers() {
    let disk = disk();
    let endpoint = fake::endpoint();
    serve(&disk, &endpoint);
    let (above, task) = (fake::endpoint(), Task::new());
    let data = task.give(root(&endpoint));
    let handed = above.as_ref().copy().unwrap();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let boot: Box<dyn Volume> = Box::new(BootVolume::default());
        let tree = Namespace::new([("boot", Mount::Here(boot)), ("data", Mount::Elsewhere(0))]);
        let service = Service::new(tree, Accounts::new(LIMITS, []), &[], SERVER_BADGES + 1);
        let data = DirectoryClient::from(Capability::from_handle(data));
        Server::new(&endpoint, service, vec![data]).run()
    });
    let root = root(&above);
    assert_eq!(names(&root), ["boot", "data"]);
    let data = root.open_directory(name("data"), ReadWrite).unwrap();
    data.create(name("file")).unwrap();
    root.sync().unwrap();
    let reading = root.attenuate(Read).unwrap();
    let refused = reading.open_directory(name("data"), ReadWrite);
    assert_eq!(
        refused.err(),
        Some(CallError::Server(FileError::NotPermitted))
    );
    let reading = reading.open_directory(name("data"), Read).unwrap();
    assert_eq!(names(&reading), ["file", "lost+found"]);
    let refused = reading.create(name("other"));
    assert_eq!(
        refused.err(),
        Some(CallError::Server(FileError::NotPermitted))
    );
    // Nothing above a directory that was given can be reached through it.
    let refused = data.open_directory(name(".."), Read);
    assert_eq!(refused.err(), Some(CallError::Server(FileError::BadName)));
    let moved = data.rename(name("file"), &root, name("file"));
    assert_eq!(
        moved.err(),
        Some(CallError::Server(FileError::OtherFileSystem))
    );
}

#[test]
fn a_server_says_for_whom_it_opens() {
    let (disk, endpoint) = (disk(), fake::endpoint());
    serve(&disk, &endpoint);
    let root = root(&endpoint);
    let shell = root.attenuate_for(name("shell"), ReadWrite, true).unwrap();
    let other = root.attenuate_for(name("other"), ReadWrite, false).unwrap();
    let leaves = |client: &DirectoryClient| {
        let capability: &Capability = client.as_ref();
        capability.rights().contains(Rights::EXPORT)
    };
    assert!(leaves(&shell) && !leaves(&other));
    let bytes = vec![7; 300 << 10];
    let large = |directory: &DirectoryClient, file: &str| {
        let file = directory.create(name(file)).unwrap();
        let pieces = (0..8).map(|piece| file.write_at(piece * bytes.len() as u64, &bytes));
        pieces.collect::<Result<Vec<_>, _>>()
    };
    // Its limit is a megabyte, wherever it writes; of the other nothing is said.
    assert_eq!(
        large(&shell, "a"),
        Err(CallError::Server(FileError::NoSpace))
    );
    large(&other, "b").unwrap();
    let usage = shell.usage().unwrap();
    assert_eq!(usage.client_bytes_limit, 1 << 20);
    assert!(
        usage.client_bytes > 1 << 19 && usage.client_files == 1,
        "{usage:?}"
    );
    // Only who has its capability from the page speaks for others.
    let refused = shell.attenuate_for(name("other"), ReadWrite, true).err();
    assert_eq!(refused, Some(CallError::Server(FileError::NotPermitted)));
}
