//! Makes archives that the reader accepts.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::checksum::checksum;
use crate::layout::{HEADER, RECORD, record};
use crate::{Header, Kind, MAX_NAME, PAGE};

/// Collects entries, in any order, and lays them out.
#[derive(Debug, Default)]
pub struct Writer {
    entries: BTreeMap<(Kind, String), Vec<u8>>,
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The name is empty, has a zero byte or more than [`MAX_NAME`] bytes.
    BadName(String),
    /// There is an entry of that kind and name already.
    Twice(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(
                f,
                "`{name}` is no name for a boot archive: at least 1 and at most {MAX_NAME} bytes, none zero"
            ),
            Self::Twice(name) => write!(f, "`{name}` would be in the boot archive twice"),
        }
    }
}

impl core::error::Error for WriteError {}

impl Writer {
    /// An archive without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    pub fn add(&mut self, kind: Kind, name: &str, data: Vec<u8>) -> Result<(), WriteError> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            return Err(WriteError::BadName(name.to_string()));
        }
        let key = (kind, name.to_string());
        if self.entries.contains_key(&key) {
            return Err(WriteError::Twice(key.1));
        }
        self.entries.insert(key, data);
        Ok(())
    }

    /// The bytes of the archive.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = vec![0; (HEADER + self.entries.len() * RECORD).next_multiple_of(PAGE)];
        for (index, ((kind, name), data)) in self.entries.iter().enumerate() {
            let offset = bytes.len() as u64;
            let start = HEADER + index * RECORD;
            let fields = &mut bytes[start..start + RECORD];
            put(fields, record::KIND, &(*kind as u32).to_le_bytes());
            put(
                fields,
                record::NAME_LENGTH,
                &(name.len() as u32).to_le_bytes(),
            );
            put(fields, record::OFFSET, &offset.to_le_bytes());
            put(fields, record::LENGTH, &(data.len() as u64).to_le_bytes());
            put(fields, record::CHECKSUM, &checksum(data).to_le_bytes());
            put(fields, record::NAME, name.as_bytes());
            bytes.extend_from_slice(data);
            bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        }
        let length = bytes.len() as u64;
        Header::write(self.entries.len() as u32, length, &mut bytes);
        bytes
    }
}

fn put(fields: &mut [u8], at: usize, bytes: &[u8]) {
    fields[at..at + bytes.len()].copy_from_slice(bytes);
}
