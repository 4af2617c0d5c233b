//! `fsck`: checks a file system that nobody has mounted, and changes nothing.
//!
//! ```text
//! ext4       superblock, groups, inodes, names: passes over all of it
//!   layout     where things are, and what they are called there
//!   checksum   of all that has one
//!   blocks     which blocks belong to an inode
//!   names      what directories say
//! fat        by hadris_fat's own checker
//! report     what was found
//! ```
//!
//! What is on the disk is not trusted: it leads to findings, and to nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ext4;
pub mod fat;
pub mod report;

use libipc::note::{Operand, Rule, Use};
use report::Report;
use tessera_tools::{
    About, Arguments, Error, Io, IoError,
    disk::{Content, Disk, content},
};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    paths: &[Rule(Operand::Nth(0), Use::READ.union(Use::DISK))],
    ..About::new(
        "fsck",
        "fsck @DISK",
        "check the file system on a disk that nobody has mounted; 1 if there is a problem",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let operand = &arguments.operands[0];
    let mut disk = io.disk(operand).map_err(Error::at(operand.text))?;
    let mut report = Report::default();
    let kind = check(&mut disk, &mut report).map_err(Error::at(operand.text))?;
    for line in report.lines() {
        io.print(format_args!("{line}\n"))?;
    }
    let (name, found) = (operand.text, report.count());
    match found {
        0 => io.print(format_args!("{name}: {}, clean\n", kind.program()))?,
        found => io.print(format_args!(
            "{name}: {}, {found} problems\n",
            kind.program()
        ))?,
    }
    Ok(i32::from(found > 0))
}

/// Checks what is on a disk.
pub fn check(disk: &mut impl Disk, report: &mut Report) -> Result<Content, IoError> {
    let whole = disk.partition(0)?;
    if whole.is_some_and(|whole| !whole.user.as_str().is_empty()) {
        return Err(IoError::Failed("it is mounted".into()));
    }
    let unknown = || IoError::Failed("holds no file system that is known here".into());
    let kind = content(disk, 0)?.ok_or_else(unknown)?;
    match kind {
        Content::Ext4 => ext4::check(disk, report)?,
        Content::Fat => fat::check(disk, report)?,
    }
    Ok(kind)
}
