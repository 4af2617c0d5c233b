//! Page frames: a record for each frame of RAM, and the list of free ones.

use crate::{
    Entered,
    arch::{Arch, ENTRIES, Port},
    cell::{Link, Word},
    object::task::Task,
};
use core::{
    ops::Range,
    slice,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::PAGE;
use spin::Once;

/// What the kernel knows about a frame that it uses for objects or keeps free.
#[derive(Default)]
pub struct Record {
    /// Next frame in the list this one is in (free, or of a slab), as index + 1.
    pub next: Word<u32>,
    /// Previous frame in that list, as index + 1.
    pub previous: Word<u32>,
    /// Next frame with retired objects, as index + 1.
    pub next_retired: Word<u32>,
    /// Which slab the frame belongs to; [`FREE`] or [`ZEROED`] in the free list.
    pub class: Word<u32>,
    /// Objects in use; of a page table, the physical address of the entry that names
    /// it; of a frame of constant memory, cores that were told of the instructions in
    /// it.
    pub used: Word<u64>,
    /// Objects that wait until no core can see them any more.
    pub retired: Word<u64>,
    /// The task that pays for the frame.
    pub payer: Link<Task>,
}

impl Record {
    /// Whether the frame is in the free list.
    pub fn is_free(&self) -> bool {
        self.class.get() >= ZEROED
    }
}

/// Class of a frame that nobody has.
const FREE: u32 = u32::MAX;

/// Class of one that nobody has and that is full of zeros already.
pub const ZEROED: u32 = FREE - 1;

/// Records that are looked at before others get their turn.
const STEP: usize = 64;

/// How far a search for adjacent frames came.
#[derive(Debug, PartialEq, Eq)]
pub enum Search {
    /// The first of them. They are full of zeros.
    Found(u64),
    /// Not yet: go on at the frame with this index.
    NotYet(u64),
    /// There are none.
    Nowhere,
}

/// A frame as 512 words: a page table, a message buffer, a directory.
pub type Words = [AtomicU64; ENTRIES];

/// All frames of RAM.
pub struct Frames {
    /// Where the records are, and how many; written once, at boot.
    records: Once<&'static [Record]>,
    base: Word<u64>,
    /// The free frames, those full of zeros before all others that had an owner: the
    /// first and the last one, as index + 1, and how many.
    first: Word<u32>,
    last: Word<u32>,
    count: Word<u64>,
}

impl Frames {
    /// No frames, before boot has told of any.
    pub const fn none() -> Frames {
        Frames {
            records: Once::new(),
            base: Word::zeroed(),
            first: Word::zeroed(),
            last: Word::zeroed(),
            count: Word::zeroed(),
        }
    }

    /// Takes over `memory` except `reserved`. The records themselves are put
    /// at the first free place that holds them. `false` if there is none.
    pub fn take_over(&self, memory: Range<u64>, reserved: &[Range<u64>]) -> bool {
        self.try_take_over(memory, reserved).is_some()
    }

    fn try_take_over(&self, memory: Range<u64>, reserved: &[Range<u64>]) -> Option<()> {
        let page = PAGE as u64;
        let base = memory.start.next_multiple_of(page);
        let end = memory.end & !(page - 1);
        let count = usize::try_from(end.checked_sub(base)? / page).ok()?;
        let size = (count * size_of::<Record>()).next_multiple_of(PAGE) as u64;

        let overlap = |range: &Range<u64>| {
            reserved
                .iter()
                .filter(|other| other.start < range.end && range.start < other.end)
                .map(|other| other.end.next_multiple_of(page))
                .max()
        };
        let mut records = base..base.checked_add(size)?;
        while let Some(next) = overlap(&records) {
            records = next..next.checked_add(size)?;
        }
        if records.end > end {
            return None;
        }
        zero(records.start, size as usize);
        self.base.set(base);
        self.records.call_once(|| records_at(records.start, count));
        // From the top down, so that the lowest frame is handed out first.
        let taken = || reserved.iter().chain([&records]);
        let mut top = end;
        while top > base {
            let below = taken().filter(|range| range.start < top);
            let highest = below.max_by_key(|range| range.end);
            let bottom = highest.map_or(base, |range| range.end.next_multiple_of(page).max(base));
            if let Some(range) = highest.filter(|_| bottom >= top) {
                top = range.start & !(page - 1);
            } else {
                self.add(self.index(bottom)..self.index(top));
                top = bottom;
            }
        }
        Some(())
    }

    /// Puts frames that nobody has had in front of the free list, in order. Their
    /// records are full of zeros.
    fn add(&self, frames: Range<u32>) {
        let records = &self.records()[frames.start as usize..frames.end as usize];
        for (number, record) in (frames.start + 1..).zip(records) {
            record.class.set(FREE);
            record.previous.set(number - 1);
            record.next.set(number + 1);
        }
        let ([first, ..], [.., last]) = (records, records) else {
            return;
        };
        let after = self.first.replace(frames.start + 1);
        first.previous.set(0);
        last.next.set(after);
        match self.numbered(after) {
            Some((after, _)) => after.previous.set(frames.end),
            None => self.last.set(frames.end),
        }
        self.count.add(records.len() as u64);
    }

    fn records(&self) -> &'static [Record] {
        self.records.get().copied().unwrap_or_default()
    }

    /// Frames of RAM, the reserved ones included.
    pub fn total(&self) -> u64 {
        self.records().len() as u64
    }

    /// Frames in the free list.
    pub fn free(&self) -> u64 {
        self.count.get()
    }

    /// Whether any byte of the range is RAM.
    pub fn holds(&self, range: &Range<u64>) -> bool {
        range.start < self.base.get() + self.total() * PAGE as u64 && self.base.get() < range.end
    }

    fn index(&self, physical: u64) -> u32 {
        ((physical - self.base.get()) / PAGE as u64) as u32
    }

    /// The record of the frame at this address of RAM.
    pub fn record(&self, physical: u64) -> &'static Record {
        &self.records()[self.index(physical) as usize]
    }

    /// The record and address of the frame with this index + 1; `None` for 0.
    pub fn numbered(&self, number: u32) -> Option<(&'static Record, u64)> {
        let index = number.checked_sub(1)?;
        let record = self.records().get(index as usize)?;
        Some((record, self.base.get() + u64::from(index) * PAGE as u64))
    }

    /// The frame's index + 1.
    pub fn number(&self, physical: u64) -> u32 {
        self.index(physical) + 1
    }

    /// Takes a frame, full of zeros. Somebody has been charged for it, so there
    /// is one: what all quotas allow together is no more than there is.
    pub fn pop(&self) -> u64 {
        let (physical, class) = self.unlink(self.first.get());
        if class != ZEROED {
            zero(physical, PAGE);
        }
        physical
    }

    /// Takes a frame with anything in it.
    pub fn pop_dirty(&self) -> u64 {
        self.unlink(self.last.get()).0
    }

    /// Takes the free frame with this index + 1: its address, and of which class it was.
    fn unlink(&self, number: u32) -> (u64, u32) {
        let Some((record, physical)) = self.numbered(number) else {
            panic!("a frame was paid for that does not exist");
        };
        let (next, previous) = (record.next.get(), record.previous.get());
        match self.numbered(previous) {
            Some((before, _)) => before.next.set(next),
            None => self.first.set(next),
        }
        match self.numbered(next) {
            Some((after, _)) => after.previous.set(previous),
            None => self.last.set(previous),
        }
        self.count.take(1);
        (physical, record.class.replace(0))
    }

    /// A step of the search for `count` free frames that follow one another, no more
    /// than `STEP`, from the frame with the index `from` on: looks at a few records,
    /// or fills one of the frames with zeros. They stay free.
    pub fn search(&self, from: u64, count: u64) -> Search {
        let records = self.records();
        let start = usize::try_from(from).map_or(records.len(), |from| from.min(records.len()));
        let mut run = 0;
        for (index, record) in (start..).zip(&records[start..]) {
            run = if record.is_free() { run + 1 } else { 0 };
            if run == count {
                return self.cleared(index as u64 + 1 - count, count);
            }
            if index - start >= STEP {
                return Search::NotYet(index as u64 + 1 - run);
            }
        }
        Search::Nowhere
    }

    /// Fills the first with zeros of so many free frames that is not.
    fn cleared(&self, first: u64, count: u64) -> Search {
        let address = |index: u64| self.base.get() + index * PAGE as u64;
        for frame in (first..first + count).map(address) {
            let record = self.record(frame);
            if record.class.get() == FREE {
                zero(frame, PAGE);
                record.class.set(ZEROED);
                return Search::NotYet(first);
            }
        }
        Search::Found(address(first))
    }

    /// Takes a frame that a search has found. As with `pop`, somebody pays.
    pub fn take(&self, physical: u64) {
        let (_, class) = self.unlink(self.number(physical));
        assert!(class == ZEROED, "what is taken is free and full of zeros");
    }

    /// Puts a frame back that nobody can reach any more.
    pub fn push(&self, physical: u64) {
        let (record, number) = self.given_back(physical, FREE);
        let before = self.last.replace(number);
        record.previous.set(before);
        record.next.set(0);
        match self.numbered(before) {
            Some((before, _)) => before.next.set(number),
            None => self.first.set(number),
        }
    }

    /// The same; it is full of zeros.
    pub fn push_zeroed(&self, physical: u64) {
        let (record, number) = self.given_back(physical, ZEROED);
        let after = self.first.replace(number);
        record.previous.set(0);
        record.next.set(after);
        match self.numbered(after) {
            Some((after, _)) => after.previous.set(number),
            None => self.last.set(number),
        }
    }

    fn given_back(&self, physical: u64, class: u32) -> (&Record, u32) {
        let record = self.record(physical);
        record.payer.set(None);
        record.used.set(0);
        record.class.set(class);
        self.count.add(1);
        (record, self.number(physical))
    }
}

/// The frame at this address as words.
pub fn words<'k>(_: Entered<'k>, physical: u64) -> &'k Words {
    let pointer = Port::physical(physical).cast::<Words>();
    // SAFETY: callers name frames of RAM that the kernel owns; those are mapped
    // for as long as it runs, page-aligned, and any bits are valid atomics.
    #[allow(unsafe_code, reason = "frames are memory, not objects")]
    unsafe {
        &*pointer
    }
}

/// The first of the words from index `from` on that is not zero. In a directory most
/// are, so eight are looked at at once.
#[inline(always)]
pub fn next_set(words: &[AtomicU64], mut from: usize) -> Option<usize> {
    let eight = |from: usize| words.get(from..)?.first_chunk::<8>();
    let any = |eight: &[AtomicU64; 8]| eight.iter().fold(0, |any, word| any | word.load(Relaxed));
    while eight(from).is_some_and(|eight| any(eight) == 0) {
        from += 8;
    }
    let rest = words.get(from..)?;
    let found = rest.iter().position(|word| word.load(Relaxed) != 0);
    found.map(|at| from + at)
}

fn records_at(physical: u64, count: usize) -> &'static [Record] {
    let pointer = Port::physical(physical).cast::<Record>();
    // SAFETY: the range was found free and inside RAM, is page-aligned, was
    // filled with zeros, which is a valid `Record`, and is never handed out.
    #[allow(unsafe_code, reason = "the records live in RAM that nothing else uses")]
    unsafe {
        slice::from_raw_parts(pointer, count)
    }
}

fn zero(physical: u64, length: usize) {
    let pointer = Port::physical(physical);
    // SAFETY: the range is RAM that nobody uses: it is or was in the free list, or
    // was found free at boot.
    #[allow(unsafe_code, reason = "frames are memory, not objects")]
    unsafe {
        pointer.write_bytes(0, length);
    }
}
