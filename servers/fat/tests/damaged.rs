//! Damaged images: whatever is on the disk, a client gets an error or an answer, nothing
//! panics, and nothing goes on without end.

mod support;

use hadris_fat::FatKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Client, Memory};
use tessera_files::volume::{FileError, FileKind, Volume};

/// Images of each kind that are tried.
const IMAGES: u64 = 250;

/// Requests that a client's work may take: some thousand are enough for what is whole.
const PATIENCE: u64 = 2_000_000;

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

/// A file system with something of everything.
fn whole(kind: FatKind, size: usize) -> Vec<u8> {
    let disk = Memory::formatted(kind, size);
    let mut client = disk.mount().unwrap();
    for number in 0..4_usize {
        client.mkdir(&format!("/d{number}")).unwrap();
        client.mkdir(&format!("/d{number}/below")).unwrap();
        for file in 0..6 {
            let path = format!("/d{number}/below/file with a long name {file}");
            client
                .put(&path, &vec![file as u8; 700 * file * number])
                .unwrap();
        }
        client
            .put(&format!("/SHORT{number}.TXT"), b"short")
            .unwrap();
    }
    client.volume.rest().unwrap();
    disk.bytes.take()
}

/// Changes what is likely to matter: the boot sector, the tables, directories.
fn damage(bytes: &mut [u8], used: usize, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let place = match random.below(4) {
            0 => random.below(96),
            1 => random.below(16 << 10),
            _ => random.below(used),
        };
        let length = [1, 2, 4, 32][random.below(4)];
        let value = [0, 1, 0xff, 0xfe, 0x0f, 0x2e][random.below(6)];
        for byte in bytes[place..].iter_mut().take(length) {
            *byte = if random.below(2) == 0 {
                value
            } else {
                random.below(256) as u8
            };
        }
    }
}

/// Looks at all that can be found, and changes some of it.
fn use_all(client: &mut Client) -> Result<(), FileError> {
    let mut directories = vec![String::new()];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        let Ok(entries) = client.list(&directory, 7) else {
            continue;
        };
        for (name, kind, _) in entries.into_iter().take(50) {
            let path = format!("{directory}/{name}");
            seen += 1;
            match kind {
                FileKind::Directory if path.len() < 200 && seen < 400 => directories.push(path),
                FileKind::Directory => {}
                FileKind::File => drop(client.get(&path)),
            }
        }
    }
    let _ = client.volume.space();
    let _ = client.put("/new file with a long name", &[9; 5000]);
    let _ = client.put("/d1/below/new", &[8; 70_000]);
    let _ = client.remove("/d2/below/file with a long name 3");
    let _ = client.rename("/d3", "/d1/moved");
    let _ = client.rename("/SHORT1.TXT", "/SHORT2.TXT");
    let _ = client.mkdir("/d0/below/more");
    if let Ok(file) = client.at("/d1/below/file with a long name 5") {
        let _ = client.set_size(file, 100);
        let _ = client.set_size(file, 50_000);
    }
    client.volume.rest()
}

#[test]
fn no_image_makes_the_server_panic_or_hang() {
    let mut random = Random(1);
    let kinds = [
        (FatKind::Fat12, 1 << 20),
        (FatKind::Fat16, 5 << 20),
        (FatKind::Fat32, 34 << 20),
    ];
    for (kind, size) in kinds {
        let original = whole(kind, size);
        let used = original.iter().rposition(|byte| *byte != 0).unwrap();
        let (mut refused, mut in_part, mut fine) = (0, 0, 0);
        for number in 0..IMAGES {
            let mut bytes = original.clone();
            damage(&mut bytes, used, &mut random);
            let disk = Memory::with(bytes);
            *disk.patience.borrow_mut() = PATIENCE;
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut client = disk.mount()?;
                Ok::<_, FileError>(use_all(&mut client))
            }));
            match result {
                Err(_) => panic!("image {number} of {kind:?} makes it panic"),
                Ok(Err(_)) => refused += 1,
                Ok(Ok(Err(_))) => in_part += 1,
                Ok(Ok(Ok(()))) => fine += 1,
            }
            assert!(
                *disk.patience.borrow() > 0,
                "image {number} of {kind:?} goes on and on"
            );
        }
        println!("{kind:?}: {refused} refused, {in_part} used in part, {fine} used");
        assert!(refused > 0 && fine > 0);
    }
}
