//! A checked view of an archive's bytes.

use crate::checksum::checksum;
use crate::layout::{HEADER, RECORD, read_u32, read_u64, record};
use crate::{ArchiveError, Header, Kind, MAX_NAME, PAGE};

/// An archive whose header and every record have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    /// Exactly the archive's bytes, without what followed it.
    bytes: &'a [u8],
    entries: u32,
}

impl<'a> Archive<'a> {
    /// Checks `bytes`, which may be longer than the archive.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let header = Header::read(bytes)?;
        let have = bytes.len() as u64;
        let bytes = usize::try_from(header.length())
            .ok()
            .and_then(|length| bytes.get(..length))
            .ok_or(ArchiveError::Short {
                need: header.length(),
                have,
            })?;
        let archive = Self {
            bytes,
            entries: header.entries(),
        };

        let mut previous: Option<Entry<'a>> = None;
        let mut free = header.table_end();
        for index in 0..header.entries() {
            let entry = archive.check(index)?;
            let in_order = previous.is_none_or(|p| (p.kind, p.name) < (entry.kind, entry.name));
            if !in_order || entry.offset < free {
                return Err(ArchiveError::Unsorted(index));
            }
            free = entry.offset + entry.data.len() as u64;
            previous = Some(entry);
        }
        Ok(archive)
    }

    /// All entries, sorted by kind and name.
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            archive: *self,
            next: 0,
        }
    }

    /// The entry of that kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<Entry<'a>> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.check(middle).ok()?;
            match (entry.kind, entry.name).cmp(&(kind, name)) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Some(entry),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Exactly the bytes of the archive.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Checks one record by itself.
    fn check(&self, index: u32) -> Result<Entry<'a>, ArchiveError> {
        let start = HEADER + index as usize * RECORD;
        let fields = self
            .bytes
            .get(start..start + RECORD)
            .ok_or(ArchiveError::BadRange(index))?;

        let number = read_u32(fields, record::KIND);
        let kind = Kind::from_number(number).ok_or(ArchiveError::BadKind {
            record: index,
            kind: number,
        })?;
        let name_length = read_u32(fields, record::NAME_LENGTH) as usize;
        let name =
            name(&fields[record::NAME..], name_length).ok_or(ArchiveError::BadName(index))?;
        let offset = read_u64(fields, record::OFFSET);
        let data = data(self.bytes, offset, read_u64(fields, record::LENGTH))
            .ok_or(ArchiveError::BadRange(index))?;
        Ok(Entry {
            kind,
            name,
            offset,
            data,
            checksum: read_u64(fields, record::CHECKSUM),
        })
    }
}

fn name(field: &[u8], length: usize) -> Option<&str> {
    if length == 0 || length > MAX_NAME || field[length..].iter().any(|&byte| byte != 0) {
        return None;
    }
    core::str::from_utf8(&field[..length])
        .ok()
        .filter(|name| !name.contains('\0'))
}

fn data(archive: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    if !offset.is_multiple_of(PAGE as u64) {
        return None;
    }
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    archive.get(start..end)
}

/// One entry of a checked archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is for.
    pub kind: Kind,
    /// Its name, unique among those of its kind.
    pub name: &'a str,
    /// Where its data begins in the archive, a multiple of [`PAGE`].
    pub offset: u64,
    /// Its data, without the padding.
    pub data: &'a [u8],
    /// Checksum of the data, taken when it was packed.
    pub checksum: u64,
}

impl Entry<'_> {
    /// Compares the data with the checksum taken when it was packed.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        if checksum(self.data) == self.checksum {
            Ok(())
        } else {
            Err(ArchiveError::BadChecksum)
        }
    }
}

/// Iterates over the entries of an archive.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    archive: Archive<'a>,
    next: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.next == self.archive.entries {
            return None;
        }
        self.next += 1;
        self.archive.check(self.next - 1).ok()
    }
}
