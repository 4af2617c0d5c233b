//! What directories say: names, and the inodes that they lead to.

use super::checksum::crc32c;
use super::layout::{Super, u16_at, u32_at};

/// Bytes of an entry before its name, and of the checksum that looks like one.
const ENTRY: usize = 8;
const TAIL: usize = 12;
const TAIL_TYPE: u8 = 0xde;

/// A name.
pub(crate) struct Entry<'b> {
    pub(crate) inode: u32,
    pub(crate) name: &'b [u8],
}

/// Looks at a block of a directory and shows its names; an error in words.
pub(crate) fn entries<'b>(
    bytes: &'b [u8],
    of: &Super,
    mut show: impl FnMut(Entry<'b>),
) -> Result<(), &'static str> {
    let mut place = 0;
    while place < bytes.len() {
        let rest = &bytes[place..];
        if rest.len() < ENTRY {
            return Err("has an entry without room");
        }
        let length = match u16_at(rest, 4) {
            0 | 0xffff if bytes.len() == 1 << 16 => 1 << 16,
            length => usize::from(length),
        };
        let named = usize::from(rest[6]);
        if length < ENTRY + named || length > rest.len() || !length.is_multiple_of(4) {
            return Err("has an entry of a wrong length");
        }
        let inode = u32_at(rest, 0);
        if inode > of.inodes {
            return Err("names an inode that there is not");
        }
        if inode != 0 {
            let name = &rest[ENTRY..ENTRY + named];
            if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
                return Err("has an impossible name");
            }
            show(Entry { inode, name });
        }
        place += length;
    }
    Ok(())
}

/// Whether the checksum of a directory's block is what it should be.
pub(crate) fn is_true(bytes: &[u8], number: u64, has_index: bool, seed: u32) -> bool {
    let is_empty_entry = u32_at(bytes, 0) == 0 && usize::from(u16_at(bytes, 4)) == bytes.len();
    if has_index && (number == 0 || is_empty_entry) {
        // An index: behind one empty entry, or two entries and what it is like.
        return index_is_true(bytes, if number == 0 { 32 } else { 8 }, seed);
    }
    let tail = bytes.len() - TAIL;
    let is_tail = u32_at(bytes, tail) == 0
        && usize::from(u16_at(bytes, tail + 4)) == TAIL
        && bytes[tail + 6] == 0
        && bytes[tail + 7] == TAIL_TYPE;
    is_tail && crc32c(seed, &bytes[..tail]) == u32_at(bytes, tail + 8)
}

fn index_is_true(bytes: &[u8], entries: usize, seed: u32) -> bool {
    let (limit, count) = (u16_at(bytes, entries), u16_at(bytes, entries + 2));
    let end = entries + 8 * usize::from(count);
    let tail = entries + 8 * usize::from(limit);
    if count > limit || tail + 8 > bytes.len() {
        return false;
    }
    let sum = crc32c(seed, &bytes[..end]);
    let sum = crc32c(crc32c(sum, &bytes[tail..tail + 4]), &[0; 4]);
    sum == u32_at(bytes, tail + 4)
}
