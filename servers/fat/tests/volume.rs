//! A FAT volume as its clients see it, and what other programs find there.

mod support;

use hadris_fat::FatKind;
use std::{fs, path::Path, process::Command};
use support::{Memory, NOW};
use tessera_fat::check::check;
use tessera_files::{
    namespace::Namespace,
    volume::{FileError, FileKind, Volume},
};

const KINDS: [(FatKind, usize); 3] = [
    (FatKind::Fat12, 2 << 20),
    (FatKind::Fat16, 16 << 20),
    (FatKind::Fat32, 64 << 20),
];

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|place| (place / 3) as u8 ^ seed).collect()
}

#[test]
fn files_and_directories_come_back() {
    for (kind, size) in KINDS {
        let disk = Memory::formatted(kind, size);
        let mut client = disk.mount().unwrap();
        client.mkdir("/folder").unwrap();
        let (long, text) = ("/folder/A rather long name, größer.text", bytes(100_000, 7));
        client.put(long, &text).unwrap();
        client.put("/empty", b"").unwrap();
        client.rename("/empty", "/folder/still empty").unwrap();
        client.put("/gone", &bytes(5000, 1)).unwrap();
        client.remove("/gone").unwrap();
        client.volume.rest().unwrap();
        assert!(client.volume.is_settled());

        let client = disk.mount().unwrap();
        assert_eq!(client.get(long).unwrap(), text);
        // Case does not matter, but is kept.
        assert_eq!(
            client
                .get("/FOLDER/a rather LONG name, GRÖßER.text")
                .unwrap(),
            text
        );
        let stat = client.volume.stat(client.at(long).unwrap()).unwrap();
        assert_eq!((stat.kind, stat.size), (FileKind::File, 100_000));
        assert_eq!((stat.created, stat.modified), (NOW, NOW));
        for page in [1, 2, 100] {
            assert_eq!(
                client.list("/folder", page).unwrap(),
                [
                    (
                        "A rather long name, größer.text".into(),
                        FileKind::File,
                        100_000
                    ),
                    ("still empty".into(), FileKind::File, 0),
                ]
            );
        }
        assert_eq!(
            client.list("/", 9).unwrap(),
            [("folder".into(), FileKind::Directory, 0)]
        );
        assert_eq!(disk.findings(), [""; 0]);
    }
}

#[test]
fn its_server_learns_what_is_not_durable() {
    let disk = Memory::formatted(FatKind::Fat16, 16 << 20);
    let mut client = disk.mount().unwrap();
    client.put("/written", b"x").unwrap();
    let mut namespace = Namespace::of(client.volume);
    assert!(!namespace.is_settled());
    for volume in namespace.volumes_mut() {
        volume.settle().unwrap();
    }
    assert!(namespace.is_settled());
}

#[test]
fn what_cannot_be_is_refused() {
    let disk = Memory::formatted(FatKind::Fat16, 16 << 20);
    let mut client = disk.mount().unwrap();
    client.mkdir("/a").unwrap();
    client.mkdir("/a/b").unwrap();
    client.put("/a/file", b"x").unwrap();
    assert_eq!(client.get("/none"), Err(FileError::NotFound));
    assert_eq!(client.put("/A", b""), Err(FileError::Exists));
    assert_eq!(client.remove("/a"), Err(FileError::NotEmpty));
    assert_eq!(client.get("/a/file/x"), Err(FileError::NotDirectory));
    assert_eq!(client.rename("/a", "/a/b/c"), Err(FileError::Loop));
    assert_eq!(
        client.rename("/a/file", "/a/b"),
        Err(FileError::IsDirectory)
    );
    assert_eq!(
        client.rename("/a/b", "/a/file"),
        Err(FileError::NotDirectory)
    );
    for bad in ["a:b", "a?", "end.", "end ", "\u{1}", "a\\b", "..", ""] {
        assert_eq!(
            client.put(&format!("/a/{bad}"), b""),
            Err(FileError::BadName),
            "{bad}"
        );
        let renamed = client.rename("/a/file", &format!("/a/{bad}"));
        assert_eq!(renamed, Err(FileError::BadName), "{bad}");
    }
    let file = client.at("/a/file").unwrap();
    assert_eq!(
        client.write_at(file, u32::MAX.into(), b"x"),
        Err(FileError::OutOfRange)
    );
    assert_eq!(client.set_size(file, 1 << 40), Err(FileError::OutOfRange));
    let read_only = Memory {
        read_only: true,
        ..disk.clone()
    };
    client.volume.rest().unwrap();
    let mut client = read_only.mount().unwrap();
    assert!(!client.volume.is_writable());
    assert_eq!(client.get("/a/file").unwrap(), b"x");
    assert_eq!(client.remove("/a/file"), Err(FileError::ReadOnly));
    assert_eq!(client.put("/new", b""), Err(FileError::ReadOnly));
    client.volume.rest().unwrap();
    let empty = Memory::with(vec![0; 1 << 20]).mount();
    assert_eq!(empty.err(), Some(FileError::Corrupt));
}

#[test]
fn what_is_open_stays_usable() {
    let disk = Memory::formatted(FatKind::Fat16, 16 << 20);
    let mut client = disk.mount().unwrap();
    let file = client.create("/file", FileKind::File).unwrap();
    client.write_at(file, 0, b"first").unwrap();
    assert_eq!(client.remove("/file"), Err(FileError::InUse));
    client.put("/other", b"second").unwrap();
    assert_eq!(client.rename("/other", "/file"), Err(FileError::InUse));
    // Its node moves with it.
    client.rename("/file", "/moved").unwrap();
    client.write_at(file, 5, b" and more").unwrap();
    assert_eq!(client.read(file).unwrap(), b"first and more");
    assert_eq!(client.get("/moved").unwrap(), b"first and more");
    client.volume.open(file);
    client.close(file);
    assert_eq!(client.remove("/moved"), Err(FileError::InUse));
    client.close(file);
    client.remove("/moved").unwrap();
    // A directory that is open goes, and is gone for who has it.
    let directory = client.create("/directory", FileKind::Directory).unwrap();
    client.remove("/directory").unwrap();
    assert_eq!(
        client.volume.lookup(directory, "x"),
        Err(FileError::Removed)
    );
    client.close(directory);
    client.volume.rest().unwrap();
    assert_eq!(disk.findings(), [""; 0]);
}

#[test]
fn sizes_change_and_gaps_are_zero() {
    let disk = Memory::formatted(FatKind::Fat12, 2 << 20);
    let mut client = disk.mount().unwrap();
    let file = client.create("/file", FileKind::File).unwrap();
    client.write_at(file, 0, &bytes(9000, 3)).unwrap();
    client.set_size(file, 10).unwrap();
    client.set_size(file, 20_000).unwrap();
    client.write_at(file, 30_000, b"end").unwrap();
    let mut expected = bytes(10, 3);
    expected.resize(30_000, 0);
    expected.extend_from_slice(b"end");
    assert_eq!(client.read(file).unwrap(), expected);
    client.volume.sync(file).unwrap();
    assert_eq!(disk.mount().unwrap().get("/file").unwrap(), expected);
    client.close(file);
}

#[test]
fn a_full_disk_refuses_and_stays_whole() {
    let disk = Memory::formatted(FatKind::Fat12, 2 << 20);
    let mut client = disk.mount().unwrap();
    let space = client.volume.space().unwrap().unwrap();
    let mut stored = 0;
    let refused = loop {
        match client.put(&format!("/file {stored}"), &bytes(100_000, stored as u8)) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, FileError::NoSpace);
    assert!(stored > 15, "{stored}");
    let used = client.volume.space().unwrap().unwrap().used;
    assert!(used > space.used && used <= space.total);
    for number in 0..stored {
        let found = client.get(&format!("/file {number}")).unwrap();
        assert_eq!(found, bytes(100_000, number as u8));
    }
    client.volume.rest().unwrap();
    assert_eq!(disk.findings(), [""; 0]);
    client.remove("/file 0").unwrap();
    client.put("/again", &bytes(90_000, 9)).unwrap();
}

#[test]
fn a_disk_that_fails_is_told() {
    let disk = Memory::formatted(FatKind::Fat16, 16 << 20);
    let mut client = disk.mount().unwrap();
    client.put("/file", &bytes(50_000, 5)).unwrap();
    client.volume.rest().unwrap();
    let mut failures = 0;
    for patience in 0..60 {
        *disk.patience.borrow_mut() = patience;
        let result = client
            .put("/new", &bytes(20_000, 6))
            .and_then(|()| client.volume.rest());
        failures += usize::from(result == Err(FileError::DeviceFailed));
        *disk.patience.borrow_mut() = u64::MAX;
        let _ = client.remove("/new");
        client.volume.rest().unwrap();
        assert_eq!(client.get("/file").unwrap(), bytes(50_000, 5));
        assert_eq!(disk.findings(), [""; 0], "after {patience} requests");
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn what_is_damaged_is_found() {
    let disk = Memory::formatted(FatKind::Fat16, 16 << 20);
    let mut client = disk.mount().unwrap();
    client.put("/file", &bytes(50_000, 5)).unwrap();
    client.volume.rest().unwrap();
    let checked = || {
        let mut told = Vec::new();
        let count = check(disk.clone(), &mut |problem| told.push(problem.to_string()));
        assert_eq!(count, Ok(told.len() as u64));
        told
    };
    assert_eq!(checked(), [""; 0]);
    // A cluster that no file has, in both tables.
    let (first, length) = {
        let bytes = disk.bytes.borrow();
        let number = |place| usize::from(u16::from_le_bytes([bytes[place], bytes[place + 1]]));
        (number(14), number(22))
    };
    for table in [first, first + length] {
        disk.bytes.borrow_mut()[table * 512 + 4000..][..2].fill(0xff);
    }
    assert_eq!(checked().len(), 1);
    // The tables differ.
    disk.bytes.borrow_mut()[(first + length) * 512 + 4100] = 1;
    assert_eq!(checked().len(), 2);
    let none = Memory::with(vec![0; 1 << 20]);
    assert_eq!(check(none, &mut |_| ()), Err(FileError::Corrupt));
}

/// Runs a program of another system; `None` if this machine does not have it.
fn other(program: &str, arguments: &[&str], image: &Path) -> Option<String> {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let found = found.map(|folder| Path::new(folder).join(program));
    let program = found.iter().find(|path| path.exists())?;
    let done = Command::new(program)
        .args(
            arguments
                .iter()
                .map(|text| text.replace("IMAGE", &image.to_string_lossy())),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{program:?} {arguments:?}: {said}{errors}"
    );
    Some(said)
}

#[test]
fn other_systems_read_what_is_written_and_write_what_is_read() {
    let image = std::env::temp_dir().join(format!("tessera-fat-{}.img", std::process::id()));
    for (kind, size, bits) in [
        ("12", 2 << 20, 12),
        ("16", 16 << 20, 16),
        ("32", 64 << 20, 32),
    ] {
        fs::write(&image, vec![0; size]).unwrap();
        if other("mkfs.fat", &["-F", kind, "IMAGE"], &image).is_none() {
            eprintln!("left out: this machine has no mkfs.fat and no mtools");
            return;
        }
        let text = bytes(70_000, bits);
        let source = image.with_extension("text");
        fs::write(&source, &text).unwrap();
        let put = [
            "-i",
            "IMAGE",
            source.to_str().unwrap(),
            "::/Made elsewhere.text",
        ];
        if other("mcopy", &put, &image).is_none() {
            eprintln!("left out: this machine has no mtools");
            return;
        }
        let disk = Memory::with(fs::read(&image).unwrap());
        let mut client = disk.mount().unwrap();
        assert_eq!(client.get("/Made elsewhere.text").unwrap(), text);
        client.mkdir("/a folder").unwrap();
        client
            .put("/a folder/Made here.text", &text[..12_345])
            .unwrap();
        client
            .rename("/Made elsewhere.text", "/a folder/renamed")
            .unwrap();
        client.volume.rest().unwrap();
        fs::write(&image, &*disk.bytes.borrow()).unwrap();
        other("fsck.fat", &["-n", "IMAGE"], &image).unwrap();
        let got = source.with_extension("got");
        let get = [
            "-n",
            "-i",
            "IMAGE",
            "::/a folder/Made here.text",
            got.to_str().unwrap(),
        ];
        other("mcopy", &get, &image).unwrap();
        assert!(fs::read(&got).unwrap() == text[..12_345]);
        for file in [&image, &source, &got] {
            fs::remove_file(file).unwrap();
        }
    }
}
