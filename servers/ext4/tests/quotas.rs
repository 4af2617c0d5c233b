//! Owners have limits, which hold whatever they do, and whoever else does what.

mod sparse;

use libipc::interfaces::clients::AccountArgument;
use sparse::Sparse;
use tessera_ext4::{
    mounted::{Time, format},
    volume::Ext4Volume,
};
use tessera_files::{
    quota::{Account, Accounts, Limits},
    volume::{Change, FileError, NodeId, Share, Volume},
};

const CACHE: usize = 1 << 20;
const PAGE: u64 = 4096;

const LIMITS: Limits = Limits {
    bytes: 0,
    nodes: 0,
    open: 100,
};

/// May have 64 pages and 5 files.
const ONE: u32 = 1000;
/// May have 16 MiB.
const TWO: u32 = 1001;

struct Clients {
    volume: Ext4Volume<Sparse>,
    accounts: Accounts,
    one: Account,
    two: Account,
}

fn mount(disk: &Sparse) -> Clients {
    let owners = ["account:1000=one,262144,5", "account:1001=two,16777216,-"];
    let owners = owners.map(|owner| AccountArgument::parse(owner).unwrap());
    let accounts = Accounts::of_clients(LIMITS, &[], &owners);
    let [one, two] = ["one", "two"].map(|name| accounts.find(name).unwrap());
    let volume = Ext4Volume::new(disk.clone(), CACHE, Time::default());
    Clients {
        volume: volume.unwrap().with_owners(&owners).unwrap(),
        accounts,
        one,
        two,
    }
}

fn disk() -> Sparse {
    let mut disk = Sparse::new((48 << 20) / 512);
    format(&mut disk, Time::default()).unwrap();
    disk
}

fn change(accounts: &mut Accounts, payer: Account) -> Change<'_> {
    Change {
        accounts,
        payer,
        now: 0,
    }
}

impl Clients {
    fn create(&mut self, payer: Account, name: &str) -> Result<NodeId, FileError> {
        let root = self.volume.root();
        let change = change(&mut self.accounts, payer);
        self.volume.create_file(root, name, change)
    }

    fn write(
        &mut self,
        payer: Account,
        file: NodeId,
        pages: u64,
        at: u64,
    ) -> Result<u64, FileError> {
        let mut fill = |offset: u64, into: &mut [u8]| {
            into.fill((offset / PAGE) as u8 + 1);
            Ok(())
        };
        let change = change(&mut self.accounts, payer);
        let written = self
            .volume
            .write(file, at * PAGE, pages * PAGE, &mut fill, change);
        written.map(|bytes| bytes / PAGE)
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        let root = self.volume.root();
        let change = change(&mut self.accounts, self.one);
        self.volume.remove(root, name, change)
    }

    fn share(&self, owner: u32) -> Share {
        self.volume.share(owner).unwrap()
    }
}

#[test]
fn an_owner_at_its_limit_is_refused_and_the_others_go_on() {
    let disk = disk();
    let mut clients = mount(&disk);
    let (one, two) = (clients.one, clients.two);
    let mine = clients.create(one, "mine").unwrap();
    let other = clients.create(two, "other").unwrap();
    clients.write(two, other, 40, 0).unwrap();
    assert_eq!(clients.write(one, mine, 64, 0), Ok(64));
    assert_eq!(clients.write(one, mine, 1, 64), Err(FileError::NoSpace));
    // Whoever writes: the file is its owner's.
    assert_eq!(clients.write(two, mine, 1, 64), Err(FileError::NoSpace));
    // What has its blocks can be written over, and all of it made durable.
    assert_eq!(clients.write(one, mine, 64, 0), Ok(64));
    clients.volume.sync(mine).unwrap();
    assert_eq!(clients.write(two, other, 200, 40), Ok(200));
    clients.volume.rest().unwrap();
    assert_eq!(clients.share(ONE).bytes, 64 * PAGE);

    // Another server counts the same.
    let mut clients = mount(&disk);
    assert_eq!(clients.share(ONE).bytes, 64 * PAGE);
    assert_eq!((clients.share(ONE).files, clients.share(TWO).files), (1, 1));
    assert_eq!(clients.write(one, mine, 1, 64), Err(FileError::NoSpace));
    // What is cut can be used again.
    let cut = change(&mut clients.accounts, one);
    clients.volume.set_size(mine, 10 * PAGE, cut).unwrap();
    assert_eq!(clients.write(one, mine, 60, 10), Ok(54));
    assert_eq!(clients.volume.stat(mine).unwrap().size, 64 * PAGE);
}

#[test]
fn the_number_of_files_is_limited() {
    let mut clients = mount(&disk());
    let (one, two) = (clients.one, clients.two);
    for name in ["a", "b", "c", "d", "e"] {
        clients.create(one, name).unwrap();
    }
    assert_eq!(clients.create(one, "f"), Err(FileError::TooManyFiles));
    let root = clients.volume.root();
    let made = clients
        .volume
        .create_directory(root, "f", change(&mut clients.accounts, one));
    assert_eq!(made, Err(FileError::TooManyFiles));
    clients.create(two, "f").unwrap();
    clients.remove("a").unwrap();
    clients.create(one, "a").unwrap();
    assert_eq!(clients.share(ONE).files, 5);
}

#[test]
fn a_removed_file_is_paid_for_until_it_is_closed() {
    let mut clients = mount(&disk());
    let one = clients.one;
    let open = clients.create(one, "open").unwrap();
    clients.volume.open(open);
    clients.write(one, open, 30, 0).unwrap();
    clients.volume.sync(open).unwrap();
    clients.remove("open").unwrap();
    assert_eq!(
        (clients.share(ONE).bytes, clients.share(ONE).files),
        (30 * PAGE, 1)
    );
    let next = clients.create(one, "next").unwrap();
    assert_eq!(clients.write(one, next, 64, 0), Ok(34));
    clients.volume.close(open, &mut clients.accounts);
    assert_eq!(clients.share(ONE).files, 1);
    assert_eq!(clients.write(one, next, 30, 34), Ok(30));
}

#[test]
fn what_a_cut_leaves_is_counted_without_names_that_are_gone() {
    let disk = disk();
    let mut clients = mount(&disk);
    let one = clients.one;
    let open = clients.create(one, "open").unwrap();
    clients.volume.open(open);
    clients.write(one, open, 30, 0).unwrap();
    clients.remove("open").unwrap();
    let kept = clients.create(one, "kept").unwrap();
    clients.write(one, kept, 3, 0).unwrap();
    clients.volume.settle().unwrap();
    // The server is gone, and "open" with it.
    drop(clients);
    let clients = mount(&disk);
    assert_eq!(
        (clients.share(ONE).bytes, clients.share(ONE).files),
        (3 * PAGE, 1)
    );
}
