//! Compact symbol table: which function an address lies in.
//!
//! ```text
//! 0    base     u64, subtracted from every address
//! 8    count    u32
//! 12   names    u32, bytes of all names
//! 16   records  count times: address u32, end of its name u32; sorted by address
//!      names    UTF-8, one behind the other
//! ```
//!
//! A name begins where its predecessor's ends, and a symbol reaches to the next
//! one. A record with an empty name marks the end of what has names.

use crate::layout::{read_u32, read_u64};

const HEADER: usize = 16;
const RECORD: usize = 8;

/// A symbol table whose size has been checked; its records are checked when
/// they are used, and a wrong one finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    base: u64,
    records: &'a [u8],
    names: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// Checks the data of an entry; `None` if it is no symbol table.
    pub fn new(data: &'a [u8]) -> Option<Self> {
        let header = data.get(..HEADER)?;
        let records = usize::try_from(read_u32(header, 8))
            .ok()?
            .checked_mul(RECORD)?;
        let names = usize::try_from(read_u32(header, 12)).ok()?;
        let names_start = HEADER.checked_add(records)?;
        Some(Self {
            base: read_u64(header, 0),
            records: data.get(HEADER..names_start)?,
            names: data.get(names_start..names_start.checked_add(names)?)?,
        })
    }

    /// The function in which `address` lies, and how far into it.
    pub fn find(&self, address: u64) -> Option<(&'a str, u64)> {
        let offset = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let (mut low, mut high) = (0, self.records.len() / RECORD);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.address(middle) <= offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let index = low.checked_sub(1)?;
        let start = if index == 0 {
            0
        } else {
            self.name_end(index - 1)
        };
        let name = self.names.get(start..self.name_end(index))?;
        let name = core::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())?;
        Some((name, u64::from(offset - self.address(index))))
    }

    fn address(&self, index: usize) -> u32 {
        read_u32(self.records, index * RECORD)
    }

    fn name_end(&self, index: usize) -> usize {
        read_u32(self.records, index * RECORD + 4) as usize
    }
}

/// Makes a table of `(address, size, name)`, in any order. Symbols further than
/// 4 GiB from the first are left out.
#[cfg(feature = "write")]
pub fn write_symbols<'n>(
    symbols: impl IntoIterator<Item = (u64, u64, &'n str)>,
) -> alloc::vec::Vec<u8> {
    use alloc::vec::Vec;

    let mut sorted: Vec<_> = symbols
        .into_iter()
        .filter(|(.., name)| !name.is_empty())
        .collect();
    sorted.sort();
    sorted.dedup_by_key(|(address, ..)| *address);
    let base = sorted.first().map_or(0, |(address, ..)| *address);

    let (mut records, mut names) = (Vec::new(), Vec::new());
    let mut record = |offset: u64, name: &str| {
        if let Ok(offset) = u32::try_from(offset) {
            names.extend_from_slice(name.as_bytes());
            records.extend_from_slice(&offset.to_le_bytes());
            records.extend_from_slice(&(names.len() as u32).to_le_bytes());
        }
    };
    for (index, (address, size, name)) in sorted.iter().enumerate() {
        record(address - base, name);
        let end = address.saturating_add(*size);
        if sorted.get(index + 1).is_none_or(|(next, ..)| end < *next) {
            record(end - base, "");
        }
    }
    let count = (records.len() / RECORD) as u32;
    let header = [
        &base.to_le_bytes()[..],
        &count.to_le_bytes(),
        &(names.len() as u32).to_le_bytes(),
    ];
    [header.concat(), records, names].concat()
}
