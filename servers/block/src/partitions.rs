//! Partition tables: GPT (UEFI Specification 2.10, 5.3), and the four entries of an MBR
//! (5.2.1) where there is no GPT.
//!
//! A table is taken whole or not at all: one whose checksums are wrong, or in which a
//! partition goes past the disk's end, over the table or over another partition, is
//! damaged. Whoever is to see a partition of it sees nothing.
//!
//! `gpt_disk_types` says how the tables lie on the disk. It checks no range, so all that
//! it tells is looked at here.

use alloc::{string::String, vec, vec::Vec};
use bytemuck::pod_read_unaligned;
use core::ops::Range;
use gpt_disk_types::{
    BlockSize, GptHeader, GptHeaderRevision, GptPartitionEntry, GptPartitionEntryArray,
    GptPartitionType, MasterBootRecord, guid,
};
use libipc::interfaces::block::{BlockError, Geometry, MAX_COPY, PartitionKind, SECTOR};

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the table, from 1 on.
    pub number: u32,
    /// Its name, which only a GPT has.
    pub name: String,
    /// What the table says that it is for.
    pub kind: PartitionKind,
    /// Its sectors.
    pub sectors: Range<u64>,
}

/// Why there are no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// There is no table.
    None,
    /// There is one, and its second copy, if it has one, is no better.
    Damaged,
    /// The disk could not be read.
    Disk(BlockError),
}

/// Types of an MBR's partitions: none, all of a disk with a GPT, and those that hold
/// other tables, which are not read.
const UNUSED: u8 = 0;
const PROTECTIVE: u8 = 0xee;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// What is known of the other types of an MBR's partitions.
fn kind_of_record(kind: u8) -> PartitionKind {
    match kind {
        0x01 | 0x04 | 0x06 | 0x07 | 0x0b | 0x0c | 0x0e => PartitionKind::Exchange,
        0x82 => PartitionKind::Swap,
        0x83 => PartitionKind::Linux,
        0xef => PartitionKind::System,
        _ => PartitionKind::Other,
    }
}

/// Types of a GPT's partitions that are known here: those of the specification, and
/// Linux's, from systemd's "Discoverable Partitions Specification".
const KINDS: [(GptPartitionType, PartitionKind); 4] = [
    (GptPartitionType::EFI_SYSTEM, PartitionKind::System),
    (GptPartitionType::BASIC_DATA, PartitionKind::Exchange),
    (
        GptPartitionType(guid!("0fc63daf-8483-4772-8e79-3d69d8477de4")),
        PartitionKind::Linux,
    ),
    (
        GptPartitionType(guid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")),
        PartitionKind::Swap,
    ),
];

fn kind_of_gpt(kind: GptPartitionType) -> PartitionKind {
    let known = KINDS.iter().find(|(known, _)| *known == kind);
    known.map_or(PartitionKind::Other, |(_, kind)| *kind)
}

/// The end of a sector with an MBR.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// Reads whole sectors from one on.
pub trait Read: FnMut(u64, &mut [u8]) -> Result<(), BlockError> {}
impl<F: FnMut(u64, &mut [u8]) -> Result<(), BlockError>> Read for F {}

/// The partitions of a disk like this, in the order of the table.
pub fn read(geometry: &Geometry, mut read: impl Read) -> Result<Vec<Partition>, TableError> {
    let disk = Disk::new(geometry).ok_or(TableError::None)?;
    let mut sector = [0; SECTOR];
    read(0, &mut sector).map_err(TableError::Disk)?;
    let record: MasterBootRecord = pod_read_unaligned(&sector);
    if record.signature != SIGNATURE {
        return Err(TableError::None);
    }
    let types = record.partitions.map(|one| one.os_indicator);
    let partitions = match types.contains(&PROTECTIVE) {
        false => of_record(&disk, &record),
        true => match disk.gpt(1, &mut read) {
            // The second copy is in the last block.
            Err(TableError::Damaged) => disk.gpt(disk.blocks - 1, &mut read),
            first => first,
        },
    }?;
    match disjoint(&partitions) {
        true => Ok(partitions),
        false => Err(TableError::Damaged),
    }
}

/// The one that a page means by this name, or by this number. A name that two have
/// means neither.
pub fn find<'p>(partitions: &'p [Partition], wanted: &str) -> Option<&'p Partition> {
    let mut found = partitions.iter().filter(|one| match wanted.parse() {
        Ok(number) => one.number == number,
        Err(_) => one.name == wanted,
    });
    found.next().filter(|_| found.next().is_none())
}

fn of_record(disk: &Disk, record: &MasterBootRecord) -> Result<Vec<Partition>, TableError> {
    let entries = (1..).zip(&record.partitions);
    let used = entries
        .filter(|(_, one)| one.os_indicator != UNUSED && !EXTENDED.contains(&one.os_indicator));
    used.map(|(number, one)| {
        let first = u64::from(one.starting_lba.to_u32());
        let blocks = first..first + u64::from(one.size_in_lba.to_u32());
        let kind = kind_of_record(one.os_indicator);
        let name = String::new();
        disk.partition((number, name, kind), blocks, &(1..disk.blocks))
    })
    .collect()
}

fn disjoint(partitions: &[Partition]) -> bool {
    let mut ranges: Vec<_> = partitions.iter().map(|one| &one.sectors).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.windows(2).all(|two| two[0].end <= two[1].start)
}

/// Blocks of a disk, in which its tables count.
struct Disk {
    size: BlockSize,
    /// Sectors of each.
    sectors: u64,
    blocks: u64,
}

impl Disk {
    fn new(geometry: &Geometry) -> Option<Disk> {
        let size = BlockSize::new(u32::try_from(geometry.block).ok()?)?;
        let sectors = geometry.block / SECTOR as u64;
        let whole = geometry.block.is_multiple_of(SECTOR as u64) && geometry.block <= 1 << 16;
        // A header, an entry, and the copies of both.
        let blocks = geometry.sectors.checked_div(sectors)?;
        (whole && blocks > 4).then_some(Disk {
            size,
            sectors,
            blocks,
        })
    }

    /// The bytes of so many blocks.
    fn read(&self, block: u64, count: u64, read: &mut impl Read) -> Result<Vec<u8>, TableError> {
        let length = count * self.sectors * SECTOR as u64;
        let inside = block
            .checked_add(count)
            .is_some_and(|end| end <= self.blocks);
        if !inside || length > MAX_COPY as u64 {
            return Err(TableError::Damaged);
        }
        let mut bytes = vec![0; length as usize];
        read(block * self.sectors, &mut bytes).map_err(TableError::Disk)?;
        Ok(bytes)
    }

    /// The table whose header is in this block.
    fn gpt(&self, block: u64, read: &mut impl Read) -> Result<Vec<Partition>, TableError> {
        let bad = TableError::Damaged;
        let bytes = self.read(block, 1, read)?;
        let header = bytes.get(..size_of::<GptHeader>()).ok_or(bad)?;
        let header: GptHeader = pod_read_unaligned(header);
        // Nobody writes longer ones, whose checksum covers more.
        let whole = header.is_signature_valid()
            && { header.revision } == GptHeaderRevision::VERSION_1_0
            && header.header_size.to_u32() as usize == size_of::<GptHeader>()
            && header.calculate_header_crc32() == { header.header_crc32 }
            && header.my_lba.to_u64() == block;
        let layout = header.get_partition_entry_array_layout();
        let layout = layout.ok().filter(|_| whole).ok_or(bad)?;
        let count = layout.num_blocks(self.size).ok_or(bad)?;
        // `num_entries` and the size of each are 32 bits: this is where they are bounded.
        let mut entries = self.read(layout.start_lba.to_u64(), count.max(1), read)?;
        let table = GptPartitionEntryArray::new(layout, self.size, &mut entries);
        let table = table.map_err(|_| bad)?;
        if table.calculate_crc32() != { header.partition_entry_array_crc32 } {
            return Err(bad);
        }
        let end = header.last_usable_lba.to_u64().checked_add(1);
        let usable = header.first_usable_lba.to_u64()..end.ok_or(bad)?;
        let entries = (0..layout.num_entries).filter_map(|index| table.get_partition_entry(index));
        let used = (1..).zip(entries).filter(|(_, entry)| entry.is_used());
        used.map(|(number, entry)| self.entry(number, entry, &usable))
            .collect()
    }

    fn entry(
        &self,
        number: u32,
        entry: &GptPartitionEntry,
        usable: &Range<u64>,
    ) -> Result<Partition, TableError> {
        let blocks = entry.lba_range().ok_or(TableError::Damaged)?;
        let end = blocks.end().to_u64().checked_add(1);
        let blocks = blocks.start().to_u64()..end.ok_or(TableError::Damaged)?;
        let kind = kind_of_gpt(entry.partition_type_guid);
        let name = { entry.name }.chars().collect();
        self.partition((number, name, kind), blocks, usable)
    }

    /// A partition of these blocks, which must be there and may be used.
    fn partition(
        &self,
        (number, name, kind): (u32, String, PartitionKind),
        blocks: Range<u64>,
        usable: &Range<u64>,
    ) -> Result<Partition, TableError> {
        let inside = !blocks.is_empty()
            && blocks.start >= usable.start.max(1)
            && blocks.end <= usable.end.min(self.blocks);
        match inside {
            true => Ok(Partition {
                number,
                name,
                kind,
                sectors: blocks.start * self.sectors..blocks.end * self.sectors,
            }),
            false => Err(TableError::Damaged),
        }
    }
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            TableError::None => f.write_str("the disk has no partition table"),
            TableError::Damaged => f.write_str("the disk's partition table is damaged"),
            TableError::Disk(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TableError {}
