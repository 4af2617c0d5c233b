//! What is written is read back, and no bytes at all make the reader panic.

use proptest::prelude::*;
use tessera_archive::{Archive, ArchiveError, Header, Kind, PAGE, WriteError, Writer};

fn sample() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.add(Kind::File, "motd", b"hello".to_vec()).unwrap();
    writer.add(Kind::Program, "init", vec![7; 5000]).unwrap();
    writer.add(Kind::Program, "empty", Vec::new()).unwrap();
    writer.finish()
}

#[test]
fn entries_come_back_sorted_aligned_and_verified() {
    let bytes = sample();
    let archive = Archive::new(&bytes).unwrap();
    let found: Vec<_> = archive
        .entries()
        .map(|e| (e.kind, e.name, e.data.len()))
        .collect();
    let expected = [
        (Kind::Program, "empty", 0),
        (Kind::Program, "init", 5000),
        (Kind::File, "motd", 5),
    ];
    assert_eq!(found, expected);
    for entry in archive.entries() {
        assert_eq!(entry.offset as usize % PAGE, 0);
        assert_eq!(entry.verify(), Ok(()));
        assert_eq!(archive.find(entry.kind, entry.name), Some(entry));
    }
    assert_eq!(archive.find(Kind::File, "init"), None);
}

#[test]
fn the_first_page_tells_the_length() {
    let bytes = sample();
    assert_eq!(
        Header::read(&bytes[..PAGE]).unwrap().length(),
        bytes.len() as u64
    );
}

#[test]
fn what_follows_the_archive_is_left_alone() {
    let mut bytes = sample();
    let length = bytes.len();
    bytes.extend_from_slice(&[0xff; 100]);
    assert_eq!(Archive::new(&bytes).unwrap().bytes().len(), length);
}

#[test]
fn a_changed_byte_fails_its_entry() {
    let mut bytes = sample();
    let at = Archive::new(&bytes)
        .unwrap()
        .find(Kind::Program, "init")
        .unwrap()
        .offset as usize;
    bytes[at + 4999] ^= 1;
    let archive = Archive::new(&bytes).unwrap();
    let init = archive.find(Kind::Program, "init").unwrap();
    assert_eq!(init.verify(), Err(ArchiveError::BadChecksum));
}

#[test]
fn each_defect_has_its_error() {
    let good = sample();
    let broken = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        Archive::new(&bytes).map(|_| ()).unwrap_err()
    };
    let record = |index: usize, field: usize| 64 + index * 128 + field;

    assert_eq!(
        Archive::new(&good[..63]).unwrap_err(),
        ArchiveError::Short { need: 64, have: 63 }
    );
    assert!(matches!(
        Archive::new(&good[..good.len() - 1]).unwrap_err(),
        ArchiveError::Short { .. }
    ));
    assert_eq!(broken(0, b"t"), ArchiveError::NoArchive);
    assert_eq!(broken(8, &[9]), ArchiveError::Version(9));
    assert_eq!(
        broken(16, &[1]),
        ArchiveError::BadLength(good.len() as u64 + 1)
    );
    assert_eq!(
        broken(12, &[0xff; 4]),
        ArchiveError::BadLength(good.len() as u64)
    );
    assert_eq!(
        broken(record(0, 0), &[77]),
        ArchiveError::BadKind {
            record: 0,
            kind: 77
        }
    );
    assert_eq!(broken(record(1, 4), &[0]), ArchiveError::BadName(1));
    assert_eq!(broken(record(1, 4), &[65]), ArchiveError::BadName(1));
    assert_eq!(broken(record(1, 64), &[0xff]), ArchiveError::BadName(1));
    assert_eq!(broken(record(1, 8), &[1]), ArchiveError::BadRange(1));
    assert_eq!(broken(record(1, 16), &[0xff; 8]), ArchiveError::BadRange(1));
    assert_eq!(broken(record(1, 64), b"a"), ArchiveError::Unsorted(1));
    assert_eq!(broken(record(2, 8), &[0, 0x10]), ArchiveError::Unsorted(2));
}

#[test]
fn the_writer_refuses_bad_names() {
    let mut writer = Writer::new();
    writer.add(Kind::File, "x", Vec::new()).unwrap();
    assert_eq!(
        writer.add(Kind::File, "x", Vec::new()),
        Err(WriteError::Twice("x".into()))
    );
    writer.add(Kind::Program, "x", Vec::new()).unwrap();
    for bad in ["", "a\0b", &"n".repeat(65)] {
        assert_eq!(
            writer.add(Kind::File, bad, Vec::new()),
            Err(WriteError::BadName(bad.into()))
        );
    }
}

proptest! {
    #[test]
    fn any_entries_round_trip(
        files in prop::collection::btree_map("[a-z]{1,64}", prop::collection::vec(any::<u8>(), 0..9000), 0..6)
    ) {
        let mut writer = Writer::new();
        for (name, data) in &files {
            writer.add(Kind::File, name, data.clone()).unwrap();
        }
        let bytes = writer.finish();
        let archive = Archive::new(&bytes).unwrap();
        let read: Vec<_> =
            archive.entries().map(|e| (e.name.to_string(), e.data.to_vec())).collect();
        prop_assert_eq!(read, files.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_mutation_makes_the_reader_panic(
        changes in prop::collection::vec((0usize..512, any::<u8>()), 1..8), cut in 0usize..20_000
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        if let Ok(archive) = Archive::new(&bytes) {
            for entry in archive.entries() {
                prop_assert_eq!(archive.find(entry.kind, entry.name), Some(entry));
                let _ = entry.verify();
            }
        }
    }
}
