//! From a checked plan to the pages of a program.
//!
//! Pages are composed one by one, in ascending order, from a [`Source`] of the
//! file's bytes; relocations are read along the way. So a program of any size
//! takes no more room here than two pages.

use core::ops::Range;
use libipc::{
    PAGE,
    interfaces::loader::{ElfError, Plan, SEGMENTS, Segment},
    objects::MemoryClient,
};
use tessera_loader::{Machine, check::RELOCATION};

/// The bytes of a program's file.
pub trait Source {
    /// Fills `into` from `offset` on.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ElfError>;

    /// Where segments of it can be mapped from, if any can.
    fn shared(&self) -> Option<Shared> {
        None
    }
}

/// A file that lies in memory which nobody can write.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// That memory.
    pub memory: &'static MemoryClient,
    /// The page of it that the file begins on.
    pub first: u64,
    /// The segments that can be mapped from there.
    pub segments: Segments,
}

/// Some segments of a plan, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments(u8);

const _: () = assert!(SEGMENTS <= 8);

impl Segments {
    /// Whether the segment with this index is one of them.
    pub fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 != 0
    }
}

/// The segments that are in memory what they are in the file: nobody writes
/// them, the file has all their bytes at the same place of a page, and no
/// relocation is theirs. What else the file has on their first and last page is
/// seen there too.
pub fn unchanged(plan: &Plan, source: &mut impl Source) -> Result<Segments, ElfError> {
    let write = u64::from(libipc::handle::Rights::WRITE.bits());
    let mut unchanged = Segments(0);
    for (index, segment) in plan.segments().iter().enumerate() {
        let in_place = segment.address % PAGE as u64 == segment.offset % PAGE as u64;
        let whole = segment.length == segment.memory;
        if segment.access & write == 0 && in_place && whole {
            unchanged.0 |= 1 << index;
        }
    }
    let mut relocations = Relocations::new(plan);
    while let Some([target, ..]) = relocations.peek(source)? {
        for (index, segment) in plan.segments().iter().enumerate() {
            if (segment.address..segment.address + segment.memory).contains(&target) {
                unchanged.0 &= !(1 << index);
            }
        }
        relocations.next += 1;
    }
    Ok(unchanged)
}

impl Source for &[u8] {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ElfError> {
        let bytes = usize::try_from(offset).ok().and_then(|offset| {
            let end = offset.checked_add(into.len())?;
            self.get(offset..end)
        });
        into.copy_from_slice(bytes.ok_or(ElfError::Unreadable)?);
        Ok(())
    }
}

/// A page that is being composed, as words, as most relocations write them. Its place
/// is a page too, so that the kernel copies it at once.
#[derive(Debug)]
#[repr(align(4096))]
pub struct Page([[u8; 8]; PAGE / 8]);

impl Page {
    /// A page of zeros.
    pub const fn new() -> Page {
        Page([[0; 8]; PAGE / 8])
    }

    /// Its bytes, whatever was composed there.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.as_flattened_mut()
    }
}

/// Pages that a segment takes.
pub fn pages(segment: &Segment) -> u64 {
    let first = segment.address / PAGE as u64;
    (segment.address + segment.memory).div_ceil(PAGE as u64) - first
}

/// Where the last segment ends.
pub fn span(plan: &Plan) -> u64 {
    plan.segments()
        .last()
        .map_or(0, |last| last.address + last.memory)
}

/// Composes the pages of all segments of a plan that `tessera_loader::check`
/// accepted, for a program that is loaded at `base`, and hands what of each is not
/// just zeros to `put`, with its segment's index, its index there, and where in the page
/// it begins. Leaves the segments out that are `shared`. `page` is where they are
/// composed.
pub fn compose<S: Source, E: From<ElfError>>(
    plan: &Plan,
    base: u64,
    source: &mut S,
    shared: Segments,
    page: &mut Page,
    mut put: impl FnMut(usize, u64, usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut relocations = Relocations::new(plan);
    let segments = plan.segments().iter().enumerate();
    for (index, segment) in segments.filter(|(index, _)| !shared.contains(*index)) {
        for number in 0..pages(segment) {
            let address = (segment.address / PAGE as u64 + number) * PAGE as u64;
            let mut filled = fill(page.bytes(), address, segment, source)?;
            relocations.apply(page, &mut filled, address, segment, base, source)?;
            if !filled.is_empty() {
                put(index, number, filled.start, &page.bytes()[filled])?;
            }
        }
    }
    relocations.finish(source).map_err(E::from)
}

/// Copies what the file has for the page at `address`; where in the page that is.
fn fill(
    page: &mut [u8],
    address: u64,
    segment: &Segment,
    source: &mut impl Source,
) -> Result<Range<usize>, ElfError> {
    let start = segment.address.max(address);
    let end = (segment.address + segment.length).min(address + PAGE as u64);
    let filled = (start - address) as usize..(end.max(start) - address) as usize;
    if !filled.is_empty() {
        let offset = segment.offset + (start - segment.address);
        source.read(offset, &mut page[filled.clone()])?;
    }
    Ok(filled)
}

/// Relocations, read in pieces. They must ascend, as linkers write them, so
/// that one pass over the pages meets them all.
struct Relocations {
    /// Where the next piece is in the file.
    offset: u64,
    /// How many have not been read from there.
    unread: u64,
    piece: Piece,
    /// The part of the piece that is to come.
    next: usize,
    end: usize,
}

/// Relocations that are read at once.
const PIECE: usize = 32;

/// They lie on words, so that a word of them is one load.
#[repr(align(8))]
struct Piece([[[u8; 8]; WORDS]; PIECE]);

/// The page that relocations are applied to.
struct Target {
    address: u64,
    /// Where in it the segment begins.
    first: u64,
    /// From there on a relocation may lie so far, if any may.
    room: Option<u64>,
    /// What is added.
    base: u64,
}

impl Piece {
    /// Applies those of these that belong to the page, of which all before `filled` is
    /// written. Returns the index of the first that does not. Apart from the rest, as
    /// it is most of what loading a program costs.
    #[inline(never)]
    fn apply(
        &self,
        these: Range<usize>,
        page: &mut Page,
        filled: &mut usize,
        target: &Target,
    ) -> Result<usize, ElfError> {
        let mut to = *filled;
        let mut next = these.start;
        while let Some(words) = self.0.get(next).filter(|_| next < these.end) {
            let [place, info, addend] = words.map(u64::from_le_bytes);
            let at = place.wrapping_sub(target.address);
            if at >= PAGE as u64 && place >= target.address {
                break;
            }
            let inside = |room| place.wrapping_sub(target.first) <= room;
            if !target.room.is_some_and(inside) || info != Machine::THIS.relative() {
                return Err(ElfError::Relocation);
            }
            let at = at as usize;
            if at + 8 > to {
                page.bytes()[to..at + 8].fill(0);
                to = at + 8;
            }
            let value = target.base.wrapping_add(addend).to_le_bytes();
            match page.0.get_mut(at / 8) {
                Some(word) if at.is_multiple_of(8) => *word = value,
                _ => page.bytes()[at..at + 8].copy_from_slice(&value),
            }
            next += 1;
        }
        *filled = to;
        Ok(next)
    }
}

/// Words of a relocation: target, kind and addend.
const WORDS: usize = RELOCATION / 8;

impl Relocations {
    fn new(plan: &Plan) -> Relocations {
        Relocations {
            offset: plan.relocations,
            unread: plan.relocation_count,
            piece: Piece([[[0; 8]; WORDS]; PIECE]),
            next: 0,
            end: 0,
        }
    }

    /// Applies those of the page at `address`, of which so much is `filled`: more, if
    /// they lie behind.
    fn apply(
        &mut self,
        page: &mut Page,
        filled: &mut Range<usize>,
        address: u64,
        segment: &Segment,
        base: u64,
        source: &mut impl Source,
    ) -> Result<(), ElfError> {
        let page_end = address + PAGE as u64;
        let first = segment.address.max(address);
        let end = (segment.address + segment.memory).min(page_end);
        let code = segment.access & u64::from(libipc::handle::Rights::EXECUTE.bits()) != 0;
        let target = Target {
            address,
            first,
            // Nowhere in code.
            room: (end - first).checked_sub(8).filter(|_| !code),
            base,
        };
        while self.next < self.end || self.read(source)? {
            let piece = self.next..self.end;
            self.next = self.piece.apply(piece, page, &mut filled.end, &target)?;
            if self.next < self.end {
                break;
            }
        }
        Ok(())
    }

    /// Fails if a relocation is left, which then lay in no segment.
    fn finish(mut self, source: &mut impl Source) -> Result<(), ElfError> {
        match self.peek(source)? {
            None => Ok(()),
            Some(_) => Err(ElfError::Relocation),
        }
    }

    /// Target, kind and addend of the next one.
    fn peek(&mut self, source: &mut impl Source) -> Result<Option<[u64; 3]>, ElfError> {
        if self.next == self.end && !self.read(source)? {
            return Ok(None);
        }
        let words = self.piece.0[self.next];
        Ok(Some(words.map(u64::from_le_bytes)))
    }

    /// Reads the next piece; says whether there is one.
    fn read(&mut self, source: &mut impl Source) -> Result<bool, ElfError> {
        let count = self.unread.min(PIECE as u64);
        if count == 0 {
            return Ok(false);
        }
        let piece = &mut self.piece.0[..count as usize];
        let bytes = piece.as_flattened_mut().as_flattened_mut();
        source.read(self.offset, bytes)?;
        (self.next, self.end) = (0, count as usize);
        self.offset += count * RELOCATION as u64;
        self.unread -= count;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
