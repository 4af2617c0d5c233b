//! Large directories and files, over a disk that takes only the space of what is not
//! zero.

mod sparse;

use sparse::Sparse;
use std::collections::HashSet;
use tessera_ext4::{
    mounted::{Time, format},
    volume::Ext4Volume,
};
use tessera_files::{
    data::MAX_SIZE,
    quota::{Accounts, Limits},
    volume::{Change, FileError, NodeId, Volume},
};

const CACHE: usize = 4 << 20;

fn accounts() -> Accounts {
    let limits = Limits {
        bytes: 0,
        nodes: 0,
        open: 0,
    };
    Accounts::new(limits, [])
}

fn change(accounts: &mut Accounts) -> Change<'_> {
    Change {
        accounts,
        payer: Accounts::GUEST,
        now: 0,
    }
}

fn disk(bytes: u64) -> Sparse {
    let mut disk = Sparse::new(bytes / 512);
    format(&mut disk, Time::default()).unwrap();
    disk
}

fn mount(disk: &Sparse) -> Ext4Volume<Sparse> {
    Ext4Volume::new(disk.clone(), CACHE, Time::default()).unwrap()
}

/// All names of a directory, shown by pages of so many.
fn names(volume: &dyn Volume, directory: NodeId, page: usize) -> HashSet<String> {
    let (mut all, mut cursor) = (HashSet::new(), 0);
    loop {
        let mut room = page;
        let next = volume.list(directory, cursor, &mut |entry| {
            let fits = room > 0;
            if fits {
                room -= 1;
                assert!(
                    all.insert(entry.name.into()),
                    "{} is there twice",
                    entry.name
                );
            }
            fits
        });
        cursor = next.unwrap();
        if cursor == 0 {
            return all;
        }
    }
}

fn a_directory_of(count: usize) {
    // A disk has an inode for each 16 KiB.
    let disk = disk((256 << 20).max(count as u64 * (20 << 10)));
    let mut accounts = accounts();
    let mut volume = mount(&disk);
    let root = volume.root();
    let made = volume.create_directory(root, "many", change(&mut accounts));
    let directory = made.unwrap();
    let name = |number: usize| format!("a-file-with-a-name-of-some-length-{number}");
    for number in 0..count {
        let made = volume.create_file(directory, &name(number), change(&mut accounts));
        made.unwrap_or_else(|error| panic!("file {number}: {error}"));
    }
    assert_eq!(
        volume.create_file(directory, &name(count / 2), change(&mut accounts)),
        Err(FileError::Exists)
    );
    assert_eq!(names(&volume, directory, 61).len(), count);
    volume.rest().unwrap();
    let mut volume = mount(&disk);
    let directory = volume.lookup(root, "many").unwrap();
    for number in (0..count).step_by(3) {
        let removed = volume.remove(directory, &name(number), change(&mut accounts));
        removed.unwrap_or_else(|error| panic!("file {number}: {error}"));
    }
    let left = names(&volume, directory, 1000);
    let should: HashSet<_> = (0..count).filter(|n| n % 3 > 0).map(name).collect();
    assert!(left == should, "{} names are left", left.len());
    volume.rest().unwrap();
}

#[test]
fn a_directory_has_many_entries() {
    a_directory_of(3_000);
}

#[test]
#[ignore = "takes a minute unless built with --release"]
fn a_directory_has_very_many_entries() {
    a_directory_of(100_000);
}

#[test]
fn new_files_ask_the_disk_for_little_more_than_their_bytes() {
    const FILES: u64 = 200;
    let disk = disk(64 << 20);
    let mut accounts = accounts();
    let mut volume = mount(&disk);
    let before = disk.requests();
    for number in 0..FILES {
        let (name, change) = (format!("file-{number}"), change(&mut accounts));
        let made = volume.create_file(volume.root(), &name, change);
        let mut fill = |_: u64, into: &mut [u8]| {
            into.fill(7);
            Ok(())
        };
        let change = self::change(&mut accounts);
        let written = volume.write(made.unwrap(), 0, 4096, &mut fill, change);
        assert_eq!(written, Ok(4096));
    }
    volume.settle().unwrap();
    let more = disk.requests() - before - FILES;
    // Blocks of inodes and what else is changed go there once, by the journal.
    assert!(more < FILES / 2, "{more} requests more");
}

#[test]
fn a_file_goes_past_four_gibibytes() {
    const FOUR: u64 = 4 << 30;
    let disk = disk(64 << 20);
    let mut accounts = accounts();
    let mut volume = mount(&disk);
    let made = volume.create_file(volume.root(), "large", change(&mut accounts));
    let file = made.unwrap();
    let bytes: Vec<u8> = (0..200_000_u32)
        .map(|index| (index / 3) as u8 | 1)
        .collect();
    // Across the edge, and the last bytes that a file can have.
    let last = MAX_SIZE - 10;
    for (at, length) in [(FOUR - 100_001, 200_000), (last, 10)] {
        let mut inlet = |offset: u64, into: &mut [u8]| {
            let offset = offset as usize;
            into.copy_from_slice(&bytes[offset..offset + into.len()]);
            Ok(())
        };
        let change = change(&mut accounts);
        assert_eq!(
            volume.write(file, at, length, &mut inlet, change),
            Ok(length)
        );
    }
    let mut beyond = |_: u64, _: &mut [u8]| Ok(());
    assert_eq!(
        volume.write(file, last, 11, &mut beyond, change(&mut accounts)),
        Err(FileError::OutOfRange)
    );
    volume.rest().unwrap();
    let volume = mount(&disk);
    let file = volume.lookup(volume.root(), "large").unwrap();
    assert_eq!(volume.stat(file).unwrap().size, last + 10);
    let read = |at: u64, length: u64| {
        let mut read = Vec::new();
        let count = volume.read(file, at, length, &mut |_, piece| {
            read.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!(count, Ok(read.len() as u64));
        read
    };
    assert!(
        read(FOUR - 100_001, 200_000) == bytes,
        "other bytes at 4 GiB"
    );
    assert!(read(last, 100) == bytes[..10], "other bytes at the end");
    let hole = read(FOUR - 200_000, 90_000);
    assert!(hole.iter().all(|byte| *byte == 0), "bytes in a hole");
}

#[test]
fn a_full_disk_refuses_and_stays_whole() {
    let disk = disk(24 << 20);
    let mut accounts = accounts();
    let mut volume = mount(&disk);
    let root = volume.root();
    let mut fill = |_: u64, into: &mut [u8]| {
        into.fill(7);
        Ok(())
    };
    let (mut files, mut made) = (Vec::new(), 0..);
    let refused = loop {
        let name = format!("file-{}", made.next().unwrap());
        let file = match volume.create_file(root, &name, change(&mut accounts)) {
            Ok(file) => file,
            Err(error) => break error,
        };
        let change = change(&mut accounts);
        match volume.write(file, 0, 300_000, &mut fill, change) {
            Ok(300_000) => files.push(file),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(refused, FileError::NoSpace);
    assert!(files.len() > 5, "{} files", files.len());
    // What has its blocks can still be written over, and all of it made durable.
    let written = volume.write(files[0], 4096, 8192, &mut fill, change(&mut accounts));
    assert_eq!(written, Ok(8192));
    volume.rest().unwrap();
    let mut volume = mount(&disk);
    for number in 0..files.len() {
        let file = volume.lookup(root, &format!("file-{number}")).unwrap();
        let mut count = 0;
        volume
            .read(file, 0, 300_000, &mut |_, piece| {
                assert!(piece.iter().all(|byte| *byte == 7), "file {number}");
                count += piece.len();
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 300_000);
    }
    // There is room again where something was removed.
    volume
        .remove(root, "file-1", change(&mut accounts))
        .unwrap();
    let file = volume
        .create_file(root, "again", change(&mut accounts))
        .unwrap();
    let written = volume.write(file, 0, 200_000, &mut fill, change(&mut accounts));
    assert_eq!(written, Ok(200_000));
    volume.rest().unwrap();
}
