//! Images of two makers, whole and damaged on purpose, and what `e2fsck -fn` says of them.

use libipc::interfaces::block::{Partition, SECTOR};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tessera_fsck::{check, report::Report};
use tessera_tools::{IoError, disk::Disk};
use xtask::disk::{DiskImage, SMALLEST, create};

struct Memory<'b>(&'b [u8]);

impl Disk for Memory<'_> {
    fn sectors(&mut self) -> Result<u64, IoError> {
        Ok((self.0.len() / SECTOR) as u64)
    }
    fn partition(&mut self, _: u64) -> Result<Option<Partition>, IoError> {
        let sectors = self.sectors()?;
        Ok(Some(Partition {
            sectors,
            ..Partition::default()
        }))
    }
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), IoError> {
        let place = sector as usize * SECTOR;
        let bytes = self.0.get(place..place + into.len());
        into.copy_from_slice(bytes.ok_or(IoError::NoSpace)?);
        Ok(())
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), IoError> {
        unreachable!("nothing is changed")
    }
    fn flush(&mut self) -> Result<(), IoError> {
        unreachable!("nothing is changed")
    }
}

/// What is found in an image; nothing that it holds may be an error.
fn findings(bytes: &[u8]) -> Vec<String> {
    let mut report = Report::default();
    match check(&mut Memory(bytes), &mut report) {
        Ok(_) => report.lines().to_vec(),
        Err(error) => vec![error.to_string()],
    }
}

/// A program of e2fsprogs, if this machine has it.
fn tool(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
    paths.find(|path| path.exists())
}

/// Whether e2fsck finds an image clean; nothing if this machine does not have it.
fn e2fsck(bytes: &[u8], path: &Path) -> Option<bool> {
    fs::write(path, bytes).unwrap();
    let done = Command::new(tool("e2fsck")?)
        .arg("-fn")
        .arg(path)
        .output()
        .unwrap();
    Some(done.status.code() == Some(0))
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tessera-fsck-{name}-{}.img", std::process::id()))
}

/// Puts something of everything into an image, and takes its bytes.
fn fill(path: &Path, files: usize) -> Vec<u8> {
    let mut image = DiskImage::open(path).unwrap();
    for number in 0..files {
        let bytes = vec![number as u8; number * 37];
        image
            .put(
                &format!("many/file with a long name, number {number}"),
                &bytes,
            )
            .unwrap();
    }
    image.put("a/b/c/large", &vec![3; 3 << 20]).unwrap();
    image.put("a/small", b"small").unwrap();
    image.close().unwrap();
    let bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    bytes
}

/// Our own image, and two of mke2fs where it is.
fn images() -> &'static [(&'static str, Vec<u8>)] {
    static IMAGES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    IMAGES.get_or_init(make)
}

fn make() -> Vec<(&'static str, Vec<u8>)> {
    let path = temporary("own");
    let _ = fs::remove_file(&path);
    create(&path, SMALLEST).unwrap();
    let mut images = vec![("own", fill(&path, 300))];
    // What has more extents than an inode has room for is not counted right by `rsext4`:
    // few names fit into blocks of a kilobyte.
    let makers = [
        ("mke2fs", ["-b", "4096"], 300),
        ("small", ["-b", "1024"], 60),
    ];
    for (name, options, files) in makers {
        let Some(maker) = tool("mke2fs") else {
            eprintln!("left out: this machine has no mke2fs");
            break;
        };
        let path = temporary(name);
        fs::write(&path, vec![0; 40 << 20]).unwrap();
        let mut made = Command::new(maker);
        made.args(["-q", "-F", "-t", "ext4"])
            .args(options)
            .arg(&path);
        assert!(made.status().unwrap().success());
        images.push((name, fill(&path, files)));
    }
    images
}

#[test]
fn what_is_whole_is_clean() {
    for (name, bytes) in images() {
        assert_eq!(findings(bytes), [""; 0], "{name}");
        if let Some(clean) = e2fsck(bytes, &temporary("clean")) {
            assert!(clean, "{name}");
        }
    }
    let _ = fs::remove_file(temporary("clean"));
}

fn u32_at(bytes: &[u8], place: usize) -> usize {
    u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap()) as usize
}

/// A change to an image on purpose: its name, what is said of it, and what is done.
type Damage = (&'static str, &'static str, fn(&mut [u8]));

/// The place of an inode of the first group.
fn inode(bytes: &[u8], number: usize) -> usize {
    let table = u32_at(bytes, 4096 + 8) * 4096;
    table + (number - 1) * usize::from(u16::from_le_bytes([bytes[1024 + 88], bytes[1024 + 89]]))
}

/// The first block of an inode with extents.
fn block(bytes: &[u8], number: usize) -> usize {
    u32_at(bytes, inode(bytes, number) + 40 + 20) * 4096
}

const DAMAGES: &[Damage] = &[
    ("superblock", "superblock: a wrong checksum", |bytes| {
        bytes[1024 + 120] ^= 1
    }),
    (
        "not unmounted",
        "superblock: it was not unmounted",
        |bytes| bytes[1024 + 58] = 0,
    ),
    ("journal", "its journal is to be replayed", |bytes| {
        bytes[1024 + 96] |= 4
    }),
    ("size", "larger than its disk", |bytes| bytes[1024 + 6] = 9),
    ("group", "group 0: a wrong checksum", |bytes| {
        bytes[4096 + 12] ^= 1
    }),
    ("group outside", "its tables are outside", |bytes| {
        bytes[4096 + 3] = 7
    }),
    ("free block", "are nobody's, and not free", |bytes| {
        let bitmap = u32_at(bytes, 4096) * 4096;
        let free = bytes[bitmap..].iter().position(|byte| *byte == 0).unwrap();
        bytes[bitmap + free] = 4;
    }),
    ("used block", "are in use, and free", |bytes| {
        let bitmap = u32_at(bytes, 4096) * 4096;
        bytes[bitmap + 1] &= !2;
    }),
    ("used inode", "inodes are in use, and free", |bytes| {
        let bitmap = u32_at(bytes, 4096 + 4) * 4096;
        bytes[bitmap + 1] &= !8;
    }),
    ("inode", "inode 12: a wrong checksum", |bytes| {
        let place = inode(bytes, 12);
        bytes[place + 8] ^= 1;
    }),
    ("links", "names, and 9 links", |bytes| {
        let place = inode(bytes, 12);
        bytes[place + 26] = 9;
    }),
    ("extent", "names blocks that there are not", |bytes| {
        let place = inode(bytes, 12);
        bytes[place + 40 + 23] = 0x7f;
    }),
    ("extents", "has a damaged node of extents", |bytes| {
        let place = inode(bytes, 12);
        bytes[place + 40] = 0;
    }),
    ("shared", "of its blocks belong to others, too", |bytes| {
        let (root, other) = (inode(bytes, 2), inode(bytes, 12));
        bytes.copy_within(root + 40..root + 100, other + 40);
    }),
    ("no root", "there is no root directory", |bytes| {
        let place = inode(bytes, 2);
        bytes[place + 26..place + 28].fill(0);
    }),
    ("name", "directory 2: a wrong checksum", |bytes| {
        let place = block(bytes, 2);
        bytes[place + 44] ^= 0x20;
    }),
    (
        "entry",
        "directory 2: has an entry of a wrong length",
        |bytes| {
            let place = block(bytes, 2);
            bytes[place + 28] = 3;
        },
    ),
    ("unused inode", "which is not in use", |bytes| {
        let place = block(bytes, 2) + 12 + 12;
        bytes[place + 1] = 0x1f;
    }),
    ("parent", "has wrong names for itself", |bytes| {
        let place = block(bytes, 2);
        bytes[place] = 11;
    }),
];

#[test]
fn what_is_damaged_is_found() {
    for (name, bytes) in images().iter().filter(|(name, _)| *name != "small") {
        for (damage, expected, change) in DAMAGES {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            let found = findings(&bytes);
            let is_told = found.iter().any(|line| line.contains(expected));
            assert!(is_told, "{name}, {damage}: {found:#?}");
            if let Some(clean) = e2fsck(&bytes, &temporary("damaged")) {
                assert!(!clean || *damage == "not unmounted", "{name}, {damage}");
            }
        }
    }
    let _ = fs::remove_file(temporary("damaged"));
}

/// Numbers from a seed: splitmix64, Steele and others 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % limit as u64) as usize
    }
}

/// Damage at random in what is not zero: nothing panics or goes on without end, what
/// e2fsck finds clean is clean here too, and little escapes that it finds.
#[test]
fn random_damage_is_judged_as_by_e2fsck() {
    let mut random = Random(1);
    for (name, original) in images() {
        let used: Vec<usize> = (0..original.len() / 512)
            .filter(|sector| {
                original[sector * 512..][..512]
                    .iter()
                    .any(|byte| *byte != 0)
            })
            .take(700)
            .collect();
        let (mut both, mut missed, mut fine) = (0, 0, 0);
        for number in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..=random.below(3) {
                let place = used[random.below(used.len())] * 512 + random.below(512);
                bytes[place] = [0, 1, 0xff, bytes[place] ^ 0x10][random.below(4)];
            }
            let is_clean = findings(&bytes).is_empty();
            if number >= 40 {
                continue;
            }
            match e2fsck(&bytes, &temporary("random")) {
                Some(true) => {
                    assert!(is_clean, "{name}, {number}: {:#?}", findings(&bytes));
                    fine += 1;
                }
                Some(false) if is_clean => missed += 1,
                Some(false) => both += 1,
                None => {}
            }
        }
        println!("{name}: {both} found by both, {missed} by e2fsck alone, {fine} fine");
        assert!(missed * 10 <= both, "{name}: {missed} of {both} missed");
    }
    let _ = fs::remove_file(temporary("random"));
}
