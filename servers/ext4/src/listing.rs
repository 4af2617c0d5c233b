//! Listing a directory by pages, each entry that stays exactly once.
//!
//! An indexed directory is shown in the order of its index, which does not
//! change. Any other is read whole and shown in the order of a hash of the
//! names; the cursor says which order it is for, so that a directory that gets
//! its index between two pages is shown to its end as it was begun.

use crate::{error::refusal, store::Store};
use alloc::vec::Vec;
use libipc::interfaces::{FileError, FileKind, directory::Entry};
use rsext4::{DirectoryCursor, DirectoryEntry, DirectoryEntryType, InodeFlags, InodeNumber};
use tessera_disk::Disk;

/// Set in a cursor for the index's order.
const INDEXED: u64 = 1 << 63;

/// Entries that are read at once.
const BATCH: usize = 64;

/// See [`tessera_files::volume::Volume::list`].
pub fn list<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    cursor: u64,
    show: &mut dyn FnMut(Entry<'_>) -> bool,
) -> Result<u64, FileError> {
    let info = store.file_system()?.inode(directory).map_err(refusal)?;
    if !info.is_directory() {
        return Err(FileError::NotDirectory);
    }
    let is_indexed = info.flags.contains(InodeFlags::DIRECTORY_INDEX);
    if cursor & INDEXED != 0 || (cursor == 0 && is_indexed) {
        by_index(store, directory, cursor, show)
    } else {
        by_hash(store, directory, cursor, show)
    }
}

fn by_index<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    cursor: u64,
    show: &mut dyn FnMut(Entry<'_>) -> bool,
) -> Result<u64, FileError> {
    let mut next = match cursor {
        0 => DirectoryCursor::Start,
        _ => DirectoryCursor::HTree {
            major: (cursor >> 32 << 1) as u32,
            minor: cursor as u32,
            collision: 0,
        },
    };
    while next != DirectoryCursor::End {
        let batch = read(store, directory, next)?;
        let Some(last) = batch.last() else {
            return Ok(0);
        };
        let end = last.next_cursor;
        for entry in batch {
            if !show_one(store, &entry, show)? {
                return Ok(packed(next));
            }
            next = entry.next_cursor;
        }
        next = end;
    }
    Ok(0)
}

/// The cursor as clients hold it. Entries whose whole hashes are equal, which
/// takes a search for names, have one cursor.
fn packed(cursor: DirectoryCursor) -> u64 {
    match cursor {
        DirectoryCursor::HTree { major, minor, .. } => {
            INDEXED | u64::from(major >> 1) << 32 | u64::from(minor)
        }
        _ => INDEXED,
    }
}

fn by_hash<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    cursor: u64,
    show: &mut dyn FnMut(Entry<'_>) -> bool,
) -> Result<u64, FileError> {
    let mut all = Vec::new();
    let mut next = DirectoryCursor::Start;
    while next != DirectoryCursor::End {
        let batch = read(store, directory, next)?;
        let Some(last) = batch.last() else { break };
        next = last.next_cursor;
        all.extend(batch.into_iter().map(|entry| (hash(&entry.name), entry)));
    }
    all.sort_by(|(one, a), (other, b)| (one, &a.name).cmp(&(other, &b.name)));
    for (hash, entry) in all.iter().filter(|(hash, _)| *hash >= cursor) {
        if !show_one(store, entry, show)? {
            return Ok(*hash);
        }
    }
    Ok(0)
}

fn read<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    cursor: DirectoryCursor,
) -> Result<Vec<DirectoryEntry>, FileError> {
    let batch = store
        .file_system()?
        .read_directory(directory, cursor, BATCH);
    batch.map_err(refusal)
}

/// Shows an entry, if it is one that can be used here; whether to go on.
fn show_one<D: Disk>(
    store: &mut Store<D>,
    entry: &DirectoryEntry,
    show: &mut dyn FnMut(Entry<'_>) -> bool,
) -> Result<bool, FileError> {
    let kind = match entry.file_type {
        DirectoryEntryType::RegularFile => FileKind::File,
        DirectoryEntryType::Directory => FileKind::Directory,
        _ => return Ok(true),
    };
    let Ok(name) = core::str::from_utf8(&entry.name) else {
        return Ok(true);
    };
    if name == "." || name == ".." {
        return Ok(true);
    }
    let size = store.node(entry.inode)?.size;
    Ok(show(Entry { kind, size, name }))
}

/// 62 bits, never 0: FNV-1a.
fn hash(name: &[u8]) -> u64 {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash >> 2) | 1
}
