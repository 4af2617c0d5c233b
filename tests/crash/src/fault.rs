//! Ordering bugs, to see that the harness finds them.

use crate::disk::{Image, Sector, Step};
use std::rc::Rc;

/// Something that a disk, a file system or a file server could do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk forgets every flush.
    NoFlush,
    /// What a transaction holds is not flushed before its commit record.
    NoFlushBeforeCommit,
    /// A commit record is not flushed.
    NoFlushAfterCommit,
    /// The first write behind a flush is done before it.
    WriteBeforeFlush,
    /// The last write before a flush is done behind it.
    WriteAfterFlush,
    /// The journal is said to be empty before its blocks are in their places.
    EmptyFirst,
    /// The copy of the superblock is never written.
    NoCopy,
    /// A sync of a file leaves its bytes in the page cache.
    SyncWithoutBytes,
    /// A sync does nothing.
    SyncWithoutCommit,
    /// Renaming first removes what is to be replaced.
    RenameInTwo,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 10] = [
        Fault::NoFlush,
        Fault::NoFlushBeforeCommit,
        Fault::NoFlushAfterCommit,
        Fault::WriteBeforeFlush,
        Fault::WriteAfterFlush,
        Fault::EmptyFirst,
        Fault::NoCopy,
        Fault::SyncWithoutBytes,
        Fault::SyncWithoutCommit,
        Fault::RenameInTwo,
    ];
}

/// Writes down a step, or what becomes of it.
pub(crate) fn log(fault: Option<Fault>, log: &mut Vec<Step>, step: Step) {
    let is_commit = |step| is_record(step, COMMIT);
    let last = log.last();
    match (fault, &step, last) {
        (Some(Fault::NoFlush), Step::Flush, _) => return,
        (Some(Fault::NoFlushAfterCommit), Step::Flush, last) if is_commit(last) => return,
        (Some(Fault::NoFlushBeforeCommit), Step::Write(..), Some(Step::Flush))
            if is_commit(Some(&step)) =>
        {
            log.pop();
        }
        (Some(Fault::WriteBeforeFlush), Step::Write(..), Some(Step::Flush)) => {
            let at = log.len() - 1;
            log.insert(at, step);
            return;
        }
        (Some(Fault::WriteAfterFlush), Step::Flush, Some(Step::Write(..))) => {
            let at = log.len() - 1;
            log.insert(at, step);
            return;
        }
        (Some(Fault::EmptyFirst), Step::Write(..), Some(Step::Flush))
            if is_record(Some(&step), SUPERBLOCK) =>
        {
            let before = &log[..log.len() - 1];
            let flush = before.iter().rposition(|step| matches!(step, Step::Flush));
            log.insert(flush.map_or(0, |flush| flush + 1), step);
            return;
        }
        _ => {}
    }
    log.push(step);
}

// Types of a journal's blocks: Linux, Documentation/filesystems/ext4/journal.rst.
const COMMIT: u8 = 2;
const SUPERBLOCK: u8 = 4;

/// Whether this writes a block of the journal that is of this type.
fn is_record(step: Option<&Step>, kind: u8) -> bool {
    let Some(Step::Write(_, sectors)) = step else {
        return false;
    };
    let first = sectors.first();
    first.is_some_and(|sector| sector[..8] == [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, kind])
}

/// What is written instead of a superblock, or of its copy.
pub(crate) fn superblock(
    fault: Option<Fault>,
    image: &Image,
    first: u64,
    sectors: &mut [Rc<Sector>],
) {
    let is_superblock = sectors
        .first()
        .is_some_and(|sector| sector[0x38..0x3a] == [0x53, 0xef]);
    if !is_superblock || sectors.len() != 2 {
        return;
    }
    if fault == Some(Fault::NoCopy) && first == 0 {
        for (number, sector) in (first..).zip(sectors) {
            *sector = Rc::new(*image.sector(number));
        }
    }
}
