//! A disk that remembers in which order it was written.

use crate::fault::{self, Fault};
use std::{cell::RefCell, collections::BTreeMap, ops::Range, rc::Rc};
use tessera_disk::{Disk, DiskError, SECTOR};

/// The bytes of a sector.
pub type Sector = [u8; SECTOR];

const ZEROS: Sector = [0; SECTOR];

/// The contents of a disk. Copies share what they have in common.
#[derive(Clone, Debug)]
pub struct Image {
    sectors: u64,
    base: Rc<BTreeMap<u64, Rc<Sector>>>,
    changed: BTreeMap<u64, Rc<Sector>>,
    /// Of what differs from the base: two images are taken to be the same if
    /// this is.
    hash: u64,
}

impl Image {
    /// All zeros.
    pub fn new(sectors: u64) -> Self {
        Image {
            sectors,
            base: Rc::default(),
            changed: BTreeMap::new(),
            hash: 0,
        }
    }

    /// The same contents, as what others are to be compared with.
    pub fn into_base(self) -> Self {
        let mut all = Rc::unwrap_or_clone(self.base);
        all.extend(self.changed);
        Image {
            sectors: self.sectors,
            base: Rc::new(all),
            changed: BTreeMap::new(),
            hash: 0,
        }
    }

    /// Number of sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Names these contents, among all images of one base.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The same without what is in these sectors.
    pub fn hash_without(&self, sectors: Range<u64>) -> u64 {
        let inside = self.changed.range(sectors);
        inside.fold(self.hash, |sum, (number, sector)| {
            sum ^ hash(*number, sector)
        })
    }

    /// The bytes of a sector.
    pub fn sector(&self, number: u64) -> &Sector {
        let changed = self.changed.get(&number);
        changed.map_or(self.base_sector(number), |sector| sector)
    }

    fn base_sector(&self, number: u64) -> &Sector {
        self.base.get(&number).map_or(&ZEROS, |sector| sector)
    }

    /// What differs from the base.
    pub fn changed(&self) -> impl Iterator<Item = (u64, &Sector)> {
        self.changed
            .iter()
            .map(|(number, sector)| (*number, &**sector))
    }

    /// Everything that is not zero.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Sector)> {
        let base = self.base.iter();
        let kept = base.filter(|(number, _)| !self.changed.contains_key(number));
        kept.map(|(number, sector)| (*number, &**sector))
            .chain(self.changed())
    }

    /// Bytes from anywhere; zeros where the disk has ended.
    pub fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let size = SECTOR as u64;
        let first = at / size;
        let end = (at + length as u64).div_ceil(size);
        let sectors = (first..end).flat_map(|number| self.sector(number));
        let bytes = sectors.skip((at % size) as usize).take(length);
        bytes.copied().collect()
    }

    /// Some bytes.
    pub fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        let bytes = self.bytes(at, N);
        core::array::from_fn(|index| bytes[index])
    }

    /// Changes bytes anywhere on the disk.
    pub fn put(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (number, start) = (at / SECTOR as u64, at as usize % SECTOR);
            let (here, rest) = bytes.split_at(bytes.len().min(SECTOR - start));
            let mut sector = *self.sector(number);
            sector[start..start + here.len()].copy_from_slice(here);
            self.write(number, &Rc::new(sector));
            at += here.len() as u64;
            bytes = rest;
        }
    }

    /// Writes a sector.
    pub fn write(&mut self, number: u64, sector: &Rc<Sector>) {
        if let Some(old) = self.changed.remove(&number) {
            self.hash ^= hash(number, &old);
        }
        if **sector != *self.base_sector(number) {
            self.hash ^= hash(number, sector);
            self.changed.insert(number, sector.clone());
        }
    }
}

/// FNV-1a, over words.
fn hash(number: u64, sector: &Sector) -> u64 {
    let words = sector.chunks_exact(8).map(|word| {
        let word: [u8; 8] = word.try_into().expect("chunks of eight");
        u64::from_le_bytes(word)
    });
    let start = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    words.fold(start, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(0x100_0000_01b3);
        hash ^ hash >> 29
    })
}

/// What a disk was asked to do that matters to a power cut.
#[derive(Clone, Debug)]
pub enum Step {
    /// These sectors, from the first on.
    Write(u64, Vec<Rc<Sector>>),
    /// All before it is durable.
    Flush,
}

#[derive(Debug)]
struct State {
    image: Image,
    log: Vec<Step>,
    /// Reads, writes and flushes so far.
    requests: u64,
    /// The request that fails, counted from 0.
    fails: Option<u64>,
    /// From this request on all fail.
    ends: u64,
    /// Requests for sectors that are not on the disk.
    strays: u64,
    /// What it does wrong.
    fault: Option<Fault>,
}

/// A disk, for the file system and for who looks at its log.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Rc<RefCell<State>>);

impl SimulatedDisk {
    /// A disk with these contents and an empty log.
    pub fn new(image: Image) -> Self {
        SimulatedDisk::faulty(image, None)
    }

    /// A disk that does something wrong.
    pub fn faulty(image: Image, fault: Option<Fault>) -> Self {
        SimulatedDisk(Rc::new(RefCell::new(State {
            image,
            log: Vec::new(),
            requests: 0,
            fails: None,
            ends: u64::MAX,
            strays: 0,
            fault,
        })))
    }

    /// Its contents, with all that was written.
    pub fn image(&self) -> Image {
        self.0.borrow().image.clone()
    }

    /// Number of steps in the log.
    pub fn steps(&self) -> usize {
        self.0.borrow().log.len()
    }

    /// The log so far.
    pub fn log(&self) -> Vec<Step> {
        self.0.borrow().log.clone()
    }

    /// Number of requests so far.
    pub fn requests(&self) -> u64 {
        self.0.borrow().requests
    }

    /// Number of requests for sectors that are not on the disk.
    pub fn strays(&self) -> u64 {
        self.0.borrow().strays
    }

    /// Lets all requests from this number on fail.
    pub fn end(&self, request: u64) {
        self.0.borrow_mut().ends = request;
    }

    /// Lets the request with this number fail.
    pub fn fail(&self, request: u64) {
        self.0.borrow_mut().fails = Some(request);
    }
}

impl State {
    fn request(&mut self) -> Result<(), DiskError> {
        let number = self.requests;
        self.requests += 1;
        if self.fails == Some(number) || number >= self.ends {
            Err(DiskError::Failed)
        } else {
            Ok(())
        }
    }

    fn check(&mut self, sector: u64, length: usize) -> Result<(), DiskError> {
        let count = (length / SECTOR) as u64;
        let end = sector.checked_add(count);
        if length.is_multiple_of(SECTOR) && end.is_some_and(|end| end <= self.image.sectors) {
            Ok(())
        } else {
            self.strays += 1;
            Err(DiskError::OutOfRange)
        }
    }
}

impl Disk for SimulatedDisk {
    fn sectors(&self) -> u64 {
        self.0.borrow().image.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let mut state = self.0.borrow_mut();
        state.check(sector, into.len())?;
        state.request()?;
        for (number, into) in (sector..).zip(into.chunks_exact_mut(SECTOR)) {
            into.copy_from_slice(state.image.sector(number));
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let mut state = self.0.borrow_mut();
        state.check(sector, from.len())?;
        state.request()?;
        let sectors = from.chunks_exact(SECTOR);
        let mut sectors: Vec<Rc<Sector>> = sectors
            .map(|bytes| Rc::new(bytes.try_into().expect("a whole sector")))
            .collect();
        fault::superblock(state.fault, &state.image, sector, &mut sectors);
        for (number, bytes) in (sector..).zip(&sectors) {
            state.image.write(number, bytes);
        }
        let State { log, fault, .. } = &mut *state;
        fault::log(*fault, log, Step::Write(sector, sectors));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let mut state = self.0.borrow_mut();
        state.request()?;
        let State { log, fault, .. } = &mut *state;
        fault::log(*fault, log, Step::Flush);
        Ok(())
    }
}
