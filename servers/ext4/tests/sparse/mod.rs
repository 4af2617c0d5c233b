//! A disk in memory that keeps only what is not zero.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use tessera_disk::{Disk, DiskError, SECTOR};

type Sector = [u8; SECTOR];

/// A disk; its copies are the same one.
#[derive(Clone)]
pub(crate) struct Sparse {
    sectors: u64,
    written: Rc<RefCell<HashMap<u64, Box<Sector>>>>,
    requests: Rc<Cell<u64>>,
}

impl Sparse {
    /// All zeros.
    pub(crate) fn new(sectors: u64) -> Self {
        Sparse {
            sectors,
            written: Rc::default(),
            requests: Rc::default(),
        }
    }

    /// How often it was read or written.
    #[allow(dead_code)]
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    fn check(&self, sector: u64, length: usize) -> Result<(), DiskError> {
        self.requests.set(self.requests.get() + 1);
        let end = sector.checked_add((length / SECTOR) as u64);
        match end.is_some_and(|end| end <= self.sectors) && length.is_multiple_of(SECTOR) {
            true => Ok(()),
            false => Err(DiskError::OutOfRange),
        }
    }
}

impl Disk for Sparse {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.check(sector, into.len())?;
        let written = self.written.borrow();
        for (number, into) in (sector..).zip(into.chunks_exact_mut(SECTOR)) {
            match written.get(&number) {
                Some(bytes) => into.copy_from_slice(&bytes[..]),
                None => into.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        self.check(sector, from.len())?;
        let mut written = self.written.borrow_mut();
        for (number, bytes) in (sector..).zip(from.chunks_exact(SECTOR)) {
            if bytes.iter().all(|byte| *byte == 0) {
                written.remove(&number);
            } else {
                let bytes: Sector = bytes.try_into().expect("a whole sector");
                written.insert(number, Box::new(bytes));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
