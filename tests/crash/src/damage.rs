//! Changes what is in a structure, as an attacker or a bad disk would.

use crate::{
    disk::Image,
    layout::{Kind, Layout, Structure, u16_at},
    random::Random,
    seal::seal,
};
use core::fmt;

/// What was done to an image.
#[derive(Debug)]
pub struct Damage {
    /// The kinds of structures that were changed.
    pub kinds: Vec<Kind>,
    /// Whether they got the checksums that make them look right.
    pub is_sealed: bool,
    /// Each change.
    changes: Vec<String>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sealed = if self.is_sealed { "sealed" } else { "unsealed" };
        write!(f, "{sealed}: {}", self.changes.join("; "))
    }
}

/// Changes an image whose layout is known. What has no checksum counts as sealed.
pub fn damage(image: &mut Image, layout: &Layout, random: &mut Random) -> Damage {
    let is_sealed = !layout.has_checksums || random.below(4) != 0;
    let mut damage = Damage {
        kinds: Vec::new(),
        is_sealed,
        changes: Vec::new(),
    };
    let mut structure = choose(layout, random);
    for _ in 0..1 + random.below(3) {
        let change = match random.below(8) {
            0 => whole(image, layout, structure, random),
            _ => field(image, layout, structure, random),
        };
        if is_sealed {
            seal(image, layout, structure);
        }
        damage.kinds.push(structure.kind);
        damage.changes.push(change);
        if random.below(3) == 0 {
            structure = choose(layout, random);
        }
    }
    damage
}

/// A structure: each kind is as likely as any other.
fn choose<'l>(layout: &'l Layout, random: &mut Random) -> &'l Structure {
    let mut kinds: Vec<Kind> = layout.structures.iter().map(|s| s.kind).collect();
    kinds.sort();
    kinds.dedup();
    let kind = *random.pick(&kinds);
    let all = layout.structures.iter().filter(|s| s.kind == kind);
    let all: Vec<&Structure> = all.collect();
    all[random.below(all.len() as u64) as usize]
}

/// Changes all of a structure.
fn whole(image: &mut Image, layout: &Layout, to: &Structure, random: &mut Random) -> String {
    let Structure { kind, length, .. } = *to;
    let (how, bytes) = match random.below(4) {
        0 => ("is zeros".into(), vec![0; length]),
        1 => {
            let noise = (0..length).map(|_| random.number() as u8);
            ("is noise".into(), noise.collect())
        }
        2 => {
            let mut half = image.bytes(to.at, length);
            half[length / 2..].fill(0);
            ("is half there".into(), half)
        }
        _ => {
            let others = layout.structures.iter().filter(|s| s.length == length);
            let other = **random.pick(&others.collect::<Vec<_>>());
            let name = format!("is {:?} of {}", other.kind, other.owner);
            (name, image.bytes(other.at, length))
        }
    };
    image.put(to.at, &bytes);
    format!("{kind:?} of {} {how}", to.owner)
}

/// Changes one number of a structure.
fn field(image: &mut Image, layout: &Layout, to: &Structure, random: &mut Random) -> String {
    let (offset, width) = place(image, to, random);
    let old = image.bytes(to.at + offset, width);
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(&old);
    if to.kind.is_journal() {
        wide[..width].reverse();
    }
    let old = u64::from_le_bytes(wide);
    let new = value(old, width, layout, to, random);
    let mut bytes = new.to_le_bytes();
    if to.kind.is_journal() {
        bytes[..width].reverse();
    }
    image.put(to.at + offset, &bytes[..width]);
    let mask = u64::MAX >> (64 - 8 * width);
    let (kind, owner) = (to.kind, to.owner);
    format!(
        "{kind:?} of {owner} at {offset:#x}+{width}: {old:#x} is {:#x}",
        new & mask
    )
}

/// Where in a structure a number is that matters, and how many bytes it has.
fn place(image: &Image, to: &Structure, random: &mut Random) -> (u64, usize) {
    let width = *random.pick(&[1, 2, 2, 4, 4, 4]);
    let used = match to.kind {
        Kind::Names => return name_field(image, to, random),
        Kind::Superblock => 0x280,
        Kind::Descriptor => to.length as u64,
        Kind::BlockBitmap | Kind::InodeBitmap => to.length as u64 / 4,
        Kind::Inode => (to.length as u64).min(0xa0),
        // The head, and the entries that are used.
        Kind::Extents => 12 + 12 * u64::from(u16_at(image, to.at + 2)),
        Kind::Indirect => 128,
        Kind::Index => 80,
        Kind::JournalSuperblock => 0x60,
        Kind::JournalDescriptor => 96,
        Kind::JournalCommit => 0x40,
        Kind::JournalRevoke => 40,
    };
    let used = used.min(to.length as u64);
    let slots = (used / width as u64).max(1);
    (random.below(slots) * width as u64, width)
}

/// A field of one of the first entries of a block of names.
fn name_field(image: &Image, to: &Structure, random: &mut Random) -> (u64, usize) {
    let mut entry = 0;
    for _ in 0..random.below(6) {
        let next = entry + u64::from(u16_at(image, to.at + entry + 4));
        if next + 20 > to.length as u64 || next == entry {
            break;
        }
        entry = next;
    }
    // The inode, the length of the entry, that of the name, the type, the name.
    let fields = [(0, 4), (4, 2), (4, 2), (6, 1), (7, 1), (8, 1), (9, 2)];
    let (field, width) = *random.pick(&fields);
    (entry + field, width)
}

fn value(old: u64, width: usize, layout: &Layout, of: &Structure, random: &mut Random) -> u64 {
    let most = u64::MAX >> (64 - 8 * width);
    match random.below(14) {
        0 => 0,
        1 => most,
        2 => most >> 1,
        3 => (most >> 1) + 1,
        4 => old.wrapping_add(1),
        5 => old.wrapping_sub(1),
        6 | 7 => old ^ 1 << random.below(8 * width as u64),
        8 => random.below(16),
        9 => random.below(layout.blocks),
        // Itself, or another structure.
        10 => of.at / layout.block,
        11 => random.pick(&layout.structures).at / layout.block,
        12 => random.pick(&layout.structures).owner.into(),
        _ => random.number(),
    }
}
