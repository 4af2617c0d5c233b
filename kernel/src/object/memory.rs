//! Memory objects: page frames, filled in when first touched, or a fixed range
//! of physical addresses.

use crate::{
    Entered,
    arch::ENTRIES,
    cell::{Link, Word},
    list::{Node, Through},
    memory::{
        frames, quota,
        slab::{self, Object},
        space::Progress,
    },
    object::task::Task,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::{PAGE, objects::ObjectError};

/// Frames that are named in the object itself.
const DIRECT: usize = 8;

/// Page frames that can be mapped.
pub struct Memory {
    /// Unique number.
    pub id: Word<u64>,
    /// Size in pages.
    pub pages: Word<u64>,
    /// Capabilities, regions and pins that lead here.
    pub uses: Word<u64>,
    /// Whether the frames are device registers.
    device: Word<bool>,
    /// First physical address of a fixed range, or 0.
    pub fixed: Word<u64>,
    /// Levels of directories above the frames; 0 for `direct`.
    pub depth: Word<u64>,
    /// Frames, 0 while absent; with directories the first is the root.
    pub direct: [Word<u64>; DIRECT],
    /// Frames charged: pages and directories.
    pub charged: Word<u64>,
    /// The task that pays; none for a fixed range.
    payer: Link<Task>,
    node: Node<Memory>,
}

impl Object for Memory {
    const CLASS: usize = 3;
}

/// Memory that waits to be taken apart.
#[derive(Debug)]
pub struct Dying;

impl Through<Memory> for Dying {
    fn node(object: &Memory) -> &Node<Memory> {
        &object.node
    }
}

/// Directory levels and directory frames for so many pages.
fn shape(pages: u64) -> (u64, u64) {
    if pages <= DIRECT as u64 {
        return (0, 0);
    }
    let (mut depth, mut directories, mut below) = (0, 0, pages);
    loop {
        below = below.div_ceil(ENTRIES as u64);
        depth += 1;
        directories += below;
        if below == 1 {
            return (depth, directories);
        }
    }
}

impl Memory {
    /// Memory that `payer` pays for: all of it now, though frames come later.
    pub fn create<'k>(
        k: Entered<'k>,
        payer: &'k Task,
        pages: u64,
    ) -> Result<&'k Memory, ObjectError> {
        if pages == 0 || pages > 1 << 27 {
            return Err(ObjectError::OutOfRange);
        }
        let (depth, directories) = shape(pages);
        quota::charge(payer, pages + directories)?;
        let memory = slab::create_zeroed::<Memory>(k, payer)
            .inspect_err(|_| quota::refund(k, payer, pages + directories))?;
        memory.id.set(k.kernel.new_id());
        memory.pages.set(pages);
        memory.depth.set(depth);
        memory.charged.set(pages + directories);
        memory.payer.set(Some(payer));
        Ok(memory)
    }

    /// Memory whose frames are there at once and follow one another from `first` on:
    /// few, which a search has found.
    pub fn contiguous<'k>(
        k: Entered<'k>,
        payer: &'k Task,
        pages: u64,
        first: u64,
    ) -> Result<&'k Memory, ObjectError> {
        let frames = (0..pages).map(|page| first + page * PAGE as u64);
        // Before the object's own frame, or its directory's, can be one of them.
        frames.clone().for_each(|frame| k.kernel.frames.take(frame));
        let memory = Memory::create(k, payer, pages)
            .inspect_err(|_| frames.clone().for_each(|frame| k.kernel.frames.push(frame)))?;
        for (page, frame) in (0..).zip(frames) {
            memory.page_or(k, page, || frame);
        }
        Ok(memory)
    }

    /// Nobody got a capability for it.
    pub fn discard(&self, k: Entered<'_>) {
        self.uses.add(1);
        self.release(k);
    }

    /// A fixed range of whole pages: a device's registers, or RAM that nobody writes
    /// any more. `payer` pays for the object alone.
    pub fn fixed<'k>(
        k: Entered<'k>,
        payer: &'k Task,
        range: &Range<u64>,
        device: bool,
    ) -> Result<&'k Memory, ObjectError> {
        let memory = slab::create_zeroed::<Memory>(k, payer)?;
        memory.id.set(k.kernel.new_id());
        memory.pages.set((range.end - range.start) / PAGE as u64);
        memory.fixed.set(range.start);
        memory.device.set(device);
        Ok(memory)
    }

    /// Whether this is a device's registers.
    pub fn is_device(&self) -> bool {
        self.device.get()
    }

    /// Whether it is what was in RAM at boot, which nobody can write.
    pub fn is_constant(&self) -> bool {
        self.fixed.get() != 0 && !self.device.get()
    }

    /// Whether page `index`, which is not past the end, has a frame.
    pub fn has_page(&self, k: Entered<'_>, index: u64) -> bool {
        let depth = self.depth.get();
        let direct = if depth == 0 { index as usize } else { 0 };
        let mut frame = self.direct[direct].get();
        for level in (0..depth).rev() {
            if frame == 0 {
                return false;
            }
            frame = below(k, frame, index, level).load(Relaxed);
        }
        frame != 0
    }

    /// Frame of page `index`, filled in if it was absent; `None` past the end.
    pub fn page(&self, k: Entered<'_>, index: u64) -> Option<u64> {
        self.page_or(k, index, || k.kernel.frames.pop())
    }

    /// The same for who writes the whole page at once: it may have anything in it.
    pub fn page_to_fill(&self, k: Entered<'_>, index: u64) -> Option<u64> {
        self.page_or(k, index, || k.kernel.frames.pop_dirty())
    }

    /// The same; an absent page is filled in with a frame that is `given`.
    fn page_or(&self, k: Entered<'_>, index: u64, given: impl Fn() -> u64) -> Option<u64> {
        if index >= self.pages.get() {
            return None;
        }
        if self.fixed.get() != 0 {
            return Some(self.fixed.get() + index * PAGE as u64);
        }
        let absent = |level| match level {
            0 => given(),
            _ => k.kernel.frames.pop(),
        };
        let depth = self.depth.get();
        let direct = if depth == 0 { index as usize } else { 0 };
        let mut frame = self.direct[direct].get();
        if frame == 0 {
            frame = absent(depth);
            self.direct[direct].set(frame);
        }
        for level in (0..depth).rev() {
            let entry = below(k, frame, index, level);
            frame = entry.load(Relaxed);
            if frame == 0 {
                frame = absent(level);
                entry.store(frame, Relaxed);
            }
        }
        Some(frame)
    }

    /// One capability or region less; after the last the frames go back.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            k.kernel.dying_memory.push(k, self);
            k.kernel.put_off(k);
        }
    }

    /// Gives frames back, a few at once.
    pub fn reap(&self, k: Entered<'_>) -> Progress {
        if let Some(payer) = self.payer.get(k) {
            for direct in &self.direct {
                let frame = direct.get();
                if frame == 0 {
                    continue;
                }
                if empty(k, frame, self.depth.get(), self.pages.get()) == Progress::Again {
                    return Progress::Again;
                }
                direct.set(0);
                give_back(k, frame, self.depth.get());
            }
            self.payer.set(None);
            k.kernel.dying_memory.remove(k, self);
            let charged = self.charged.get();
            slab::retire(k, self);
            quota::refund(k, payer, charged);
        } else {
            k.kernel.dying_memory.remove(k, self);
            slab::retire(k, self);
        }
        Progress::Done
    }
}

/// Where a directory of this level has the page `index`, or the directory below.
fn below(k: Entered<'_>, directory: u64, index: u64, level: u64) -> &AtomicU64 {
    &frames::words(k, directory)[(index >> (9 * level)) as usize % ENTRIES]
}

/// Gives a page back, or a directory of this depth, which is empty.
fn give_back(k: Entered<'_>, frame: u64, depth: u64) {
    match depth {
        0 => k.kernel.frames.push(frame),
        _ => k.kernel.frames.push_zeroed(frame),
    }
}

/// Frames that are given back at once.
const PIECE: u64 = 64;

/// Puts what a directory of this depth, with so many pages, names back into the
/// free list. Depth is at most 3, so the recursion is too.
fn empty(k: Entered<'_>, directory: u64, depth: u64, pages: u64) -> Progress {
    if depth == 0 {
        return Progress::Done;
    }
    let mut freed = 0;
    // Pages below an entry.
    let each = 1 << (9 * (depth - 1));
    let count = ENTRIES.min(pages.div_ceil(each) as usize);
    let entries = &frames::words(k, directory)[..count];
    let mut index = 0;
    while let Some(found) = frames::next_set(entries, index) {
        index = found + 1;
        let frame = entries[found].load(Relaxed);
        let below = each.min(pages - (index as u64 - 1) * each);
        if empty(k, frame, depth - 1, below) == Progress::Again {
            return Progress::Again;
        }
        entries[found].store(0, Relaxed);
        give_back(k, frame, depth - 1);
        freed += 1;
        if freed % PIECE == 0 && k.wanted() {
            return Progress::Again;
        }
    }
    Progress::Done
}
