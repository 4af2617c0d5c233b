//! Records in memory that is lent: a length of two bytes, little endian, and so many
//! bytes, one after the other. A record to be encrypted has room for the tag at its end.

use alloc::vec::Vec;
use core::ops::Range;

/// Bytes before a record.
pub const HEADER: usize = 2;

/// Writes records, each with `spare` bytes behind it.
pub fn write<'r>(records: impl IntoIterator<Item = &'r Vec<u8>>, spare: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let length = (record.len() + spare).min(usize::from(u16::MAX));
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
        bytes.extend_from_slice(record);
        bytes.resize(bytes.len() + spare, 0);
    }
    bytes
}

/// Where the records are, as far as they are whole.
pub fn places(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(&[low, high]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let start = at + HEADER;
        at = start + usize::from(u16::from_le_bytes([low, high]));
        if at > bytes.len() {
            break;
        }
        places.push(start..at);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found() {
        let records = [b"one".to_vec(), Vec::new(), b"three".to_vec()];
        let bytes = write(&records, 2);
        let found: Vec<_> = places(&bytes).into_iter().map(|at| &bytes[at]).collect();
        assert_eq!(found, [&b"one\0\0"[..], b"\0\0", b"three\0\0"]);
    }

    #[test]
    fn what_is_cut_off_is_not_found() {
        let bytes = write(&[b"one".to_vec(), b"two".to_vec()], 0);
        for end in 0..bytes.len() {
            assert_eq!(places(&bytes[..end]).len(), usize::from(end >= 5));
        }
    }
}
