//! Address spaces: a task's page tables and the regions mapped in them.
//!
//! Mapping makes the tables and a [`Region`]; pages come in at first touch
//! ([`super::fill`]), so a table entry is either empty or a page of the region
//! that covers it. Long operations stop when an interrupt or another core waits
//! and say [`Progress::Again`]; what they have done stays, so trying again goes
//! on.

use crate::{
    Entered,
    arch::{Access, Arch, ENTRIES, Entry, Port},
    capability::{derivation, slot::Slot},
    cell::Word,
    memory::{frames, quota, slab},
    object::{memory::Memory, region::Region, task::Task},
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use libipc_abi::{PAGE, USER_END, objects::ObjectError};

/// First address of the message buffers, above all that tasks can map.
pub const BUFFERS: u64 = USER_END - (1 << 30);

/// Most regions of a task: finding one takes time in proportion.
pub const REGIONS: u64 = 1024;

/// How far an operation came.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// To its end.
    Done,
    /// An interrupt or another core waits: let it come, then try again.
    Again,
}

fn index(address: u64, level: usize) -> usize {
    (address >> (12 + 9 * level)) as usize % ENTRIES
}

/// Makes the root table of a new task.
pub fn create_root(k: Entered<'_>, payer: &Task) -> Result<u64, ObjectError> {
    let root = make_table(k, payer, &payer.tables)?;
    for (index, word) in Port::root_entries() {
        frames::words(k, root)[index].store(word, Relaxed);
    }
    Ok(root)
}

/// Makes a page table, the first in this list of its task's.
fn make_table(k: Entered<'_>, task: &Task, list: &Word<u32>) -> Result<u64, ObjectError> {
    let table = quota::allocate(k, task)?;
    let number = k.kernel.frames.number(table);
    let record = k.kernel.frames.record(table);
    record.next.set(list.replace(number));
    Ok(table)
}

/// The table with the entry for the page at `address`, if the tables for it exist.
#[inline(always)]
fn leaf_table<'k>(k: Entered<'k>, task: &Task, address: u64) -> Option<&'k frames::Words> {
    let mut table = task.root.get();
    for level in [2, 1] {
        let word = frames::words(k, table)[index(address, level)].load(Relaxed);
        let Entry::Table(next) = Port::entry(word, level) else {
            return None;
        };
        table = next;
    }
    Some(frames::words(k, table))
}

/// The table entry for the page at `address`, if the tables for it exist.
pub fn leaf<'k>(k: Entered<'k>, task: &Task, address: u64) -> Option<&'k AtomicU64> {
    leaf_table(k, task, address).map(|table| &table[index(address, 0)])
}

/// The table entries for so many pages from `address` on, all in one table that
/// exists.
#[inline(always)]
pub fn leaves<'k>(k: Entered<'k>, task: &Task, address: u64, pages: u64) -> &'k [AtomicU64] {
    let first = index(address, 0);
    let table = leaf_table(k, task, address);
    let entries = table.and_then(|table| table.get(first..first + pages as usize));
    entries.unwrap_or_default()
}

/// The table entry for the page at `address`; the task pays for missing tables.
pub fn make_leaf<'k>(
    k: Entered<'k>,
    task: &Task,
    address: u64,
) -> Result<&'k AtomicU64, ObjectError> {
    let mut table = task.root.get();
    for level in [2, 1] {
        let entry = &frames::words(k, table)[index(address, level)];
        table = match Port::entry(entry.load(Relaxed), level) {
            Entry::Table(next) => next,
            _ => {
                let list = match level == 1 && address < BUFFERS {
                    true => &task.leaves,
                    false => &task.tables,
                };
                let next = make_table(k, task, list)?;
                // After the zeros in it, as a core may walk there at once.
                entry.store(Port::table_entry(next), Release);
                k.kernel
                    .frames
                    .record(next)
                    .used
                    .set(k.kernel.physical(entry));
                next
            }
        };
    }
    Ok(&frames::words(k, table)[index(address, 0)])
}

/// The region that covers `address`.
pub fn region_at<'k>(k: Entered<'k>, task: &Task, address: u64) -> Option<&'k Region> {
    last_before(k, task, address + 1).filter(|region| region.end() > address)
}

/// The last region that begins before `end`. Who looked for one mostly looks for it
/// or its neighbour again, so the search begins where the last one ended.
fn last_before<'k>(k: Entered<'k>, task: &Task, end: u64) -> Option<&'k Region> {
    let mut found = task.found.get(k).or_else(|| task.regions.first(k))?;
    while found.address.get() >= end {
        found = task.regions.before(k, found)?;
    }
    while let Some(next) = task.regions.after(k, found)
        && next.address.get() < end
    {
        found = next;
    }
    task.found.set(Some(found));
    Some(found)
}

/// Checks a page-aligned range of user space below the message buffers.
fn range(address: u64, pages: u64) -> Result<u64, ObjectError> {
    let length = pages
        .checked_mul(PAGE as u64)
        .ok_or(ObjectError::BadAddress)?;
    let end = address.checked_add(length).ok_or(ObjectError::BadAddress)?;
    if pages == 0 || !address.is_multiple_of(PAGE as u64) || address == 0 || end > BUFFERS {
        return Err(ObjectError::BadAddress);
    }
    Ok(end)
}

/// What to map where.
pub struct Mapping<'k> {
    /// The memory.
    pub memory: &'k Memory,
    /// The capability that it comes from; when that is taken back, so is the
    /// mapping.
    pub source: Option<&'k Slot>,
    /// Where the mapping begins.
    pub address: u64,
    /// First page of the memory.
    pub offset: u64,
    /// How many pages.
    pub pages: u64,
    /// What may be done there.
    pub access: Access,
    /// What `protect` may allow later.
    pub most: Access,
    /// How many page tables are known to be there.
    pub tables: Word<u64>,
}

/// Maps memory into `task`.
pub fn map(k: Entered<'_>, task: &Task, wanted: &Mapping<'_>) -> Result<Progress, ObjectError> {
    let end = range(wanted.address, wanted.pages)?;
    check_access(wanted.access, wanted.most)?;
    let last = wanted
        .offset
        .checked_add(wanted.pages)
        .ok_or(ObjectError::OutOfRange)?;
    if last > wanted.memory.pages.get() {
        return Err(ObjectError::OutOfRange);
    }
    let before = last_before(k, task, end);
    if before.is_some_and(|before| before.end() > wanted.address) {
        return Err(ObjectError::Overlap);
    }
    if task.region_count.get() >= REGIONS {
        return Err(ObjectError::QuotaExceeded);
    }
    // One leaf table for each 2 MiB; they stay until the task ends.
    let span = (PAGE * ENTRIES) as u64;
    let first = wanted.address & !(span - 1);
    if wanted.tables.get() == 0 && before.is_some_and(|before| before.end() > first) {
        wanted.tables.set(1);
    }
    loop {
        let known = wanted.tables.get();
        let Some(address) = known
            .checked_mul(span)
            .and_then(|past| past.checked_add(first))
        else {
            break;
        };
        if address >= end {
            break;
        }
        make_leaf(k, task, address)?;
        wanted.tables.add(1);
        if address + span < end && k.wanted() {
            return Ok(Progress::Again);
        }
    }
    let region = Region::create(k, task, wanted)?;
    if let Some(source) = wanted.source {
        derivation::add(k, source, &region.slot);
    }
    wanted.memory.uses.add(1);
    task.region_count.add(1);
    task.regions.insert_after(k, before, region);
    Ok(Progress::Done)
}

/// Access that is contained in `most`, does something, and keeps W^X.
fn check_access(access: Access, most: Access) -> Result<(), ObjectError> {
    let plain = access - Access::DEVICE;
    if plain.contains(Access::WRITE | Access::EXECUTE) {
        return Err(ObjectError::WriteExecute);
    }
    if plain.is_empty() || !most.contains(plain) {
        return Err(ObjectError::Denied);
    }
    Ok(())
}

/// Removes the regions that lie inside the range. One that only reaches into it
/// is an error, and then nothing was removed.
pub fn unmap(
    k: Entered<'_>,
    task: &Task,
    address: u64,
    pages: u64,
) -> Result<Progress, ObjectError> {
    let end = range(address, pages)?;
    let reached = |region: &&Region| region.end() > address;
    let last = last_before(k, task, end).filter(reached);
    let last = last.ok_or(ObjectError::NotMapped)?;
    let mut first = last;
    while let Some(before) = task.regions.before(k, first).filter(reached) {
        first = before;
    }
    if first.address.get() < address || last.end() > end {
        return Err(ObjectError::Overlap);
    }
    let mut region = last;
    loop {
        let before = task.regions.before(k, region).filter(reached);
        if remove(k, task, region) == Progress::Again {
            return Ok(Progress::Again);
        }
        match before {
            None => return Ok(Progress::Done),
            Some(_) if k.wanted() => return Ok(Progress::Again),
            Some(before) => region = before,
        }
    }
}

/// Removes a region from its end on, so that it can stop in between.
pub fn remove(k: Entered<'_>, task: &Task, region: &Region) -> Progress {
    if empty(k, task, region) == Progress::Again {
        return Progress::Again;
    }
    forget(k, task, region);
    Progress::Done
}

/// Removes a region whose pages are not in the tables, or no longer matter there, since
/// the address space is nobody's any more.
pub fn forget(k: Entered<'_>, task: &Task, region: &Region) {
    if task.found.is(region) {
        task.found.set(task.regions.before(k, region));
    }
    task.regions.remove(k, region);
    task.region_count.take(1);
    derivation::remove(k, &region.slot);
    if let Some(memory) = region.memory.take(k) {
        memory.release(k);
    }
    slab::retire(k, region);
}

/// Pages that are taken out of the tables at once.
const PIECE: u64 = 64;

/// Takes all pages of a region out of the tables, shrinking it.
fn empty(k: Entered<'_>, task: &Task, region: &Region) -> Progress {
    while region.pages.get() > 0 {
        let piece = (region.pages.get() - 1) % PIECE + 1;
        let left = region.pages.get() - piece;
        clear(k, task, region.address.get() + left * PAGE as u64, piece);
        region.pages.set(left);
        if left > 0 && k.wanted() {
            return Progress::Again;
        }
    }
    Progress::Done
}

/// Takes pages out of the tables.
fn clear(k: Entered<'_>, task: &Task, address: u64, pages: u64) {
    let mut there = false;
    let mut done = 0;
    while done < pages {
        let first = address + done * PAGE as u64;
        let rest = ENTRIES - index(first, 0);
        let count = (rest as u64).min(pages - done);
        for entry in leaves(k, task, first, count) {
            if entry.load(Relaxed) != 0 {
                entry.store(0, Relaxed);
                there = true;
            }
        }
        done += count;
    }
    if there {
        Port::invalidate_pages(task.asid.get(), address, pages);
    }
}

/// Changes the access of the region with exactly this range. Its pages come in
/// again with the new access.
pub fn protect(
    k: Entered<'_>,
    task: &Task,
    address: u64,
    pages: u64,
    access: Access,
) -> Result<Progress, ObjectError> {
    range(address, pages)?;
    let region = region_at(k, task, address).ok_or(ObjectError::NotMapped)?;
    if region.address.get() != address || region.pages.get() != pages {
        return Err(ObjectError::NotMapped);
    }
    check_access(access, region.most())?;
    region.set_access(access);
    while region.stale.get() > 0 {
        let piece = (region.stale.get() - 1) % PIECE + 1;
        let left = region.stale.take(piece);
        clear(k, task, address + left * PAGE as u64, piece);
        if left > 0 && k.wanted() {
            return Ok(Progress::Again);
        }
    }
    Ok(Progress::Done)
}

/// Sees to it that no core has the address space of a dying task chosen, or
/// anything of it in a translation buffer: from then on its pages and tables can
/// become something else without more ado. `Again` until all cores have left it.
pub fn leave(k: Entered<'_>, task: &Task) -> Progress {
    if task.left.get() {
        return Progress::Done;
    }
    let mut progress = Progress::Done;
    for core in k.kernel.cores() {
        if core.leave_space(k, task) == Progress::Again {
            progress = Progress::Again;
        }
    }
    if progress == Progress::Done {
        Port::invalidate_space(task.asid.get());
        task.left.set(true);
    }
    progress
}

/// Gives the page tables back, one at a time. All regions are gone, and so is whoever
/// used the address space. Tables with pages of regions go as they are; the others
/// after those that they name, so each is empty when its turn comes, but for what is
/// noted in absent message buffers.
pub fn destroy(k: Entered<'_>, task: &Task) -> Progress {
    for (list, empty) in [
        (&task.leaves, false),
        (&task.tables, task.free_place.get() == 0),
    ] {
        while let Some((record, table)) = k.kernel.frames.numbered(list.get()) {
            list.set(record.next.get());
            let named_by = record.used.get();
            if table == task.root.get() {
                task.root.set(0);
                for (index, _) in Port::root_entries() {
                    frames::words(k, table)[index].store(0, Relaxed);
                }
            } else {
                let index = named_by as usize % PAGE / size_of::<u64>();
                frames::words(k, named_by & !(PAGE as u64 - 1))[index].store(0, Relaxed);
            }
            match empty {
                true => quota::free_zeroed(k, task, table),
                false => quota::free(k, task, table),
            }
            if k.wanted() {
                return Progress::Again;
            }
        }
    }
    Progress::Done
}
