//! Counts which way branches go.
//!
//! `branches=FILE` has a line for each conditional branch with three hexadecimal
//! addresses: its own, the one that it goes to when it is taken, and the next one.
//! When the machine ends the file of `counts=FILE` has two numbers for each: how
//! often it was taken, and how often not.
//!
//! A branch ends a translated block, so where it went is where the next block of
//! that core begins. Only branches of the list and blocks that begin where one of
//! them leads to are instrumented; all other code runs as fast as without.

mod counts;

use std::ffi::{c_uint, c_void};
use std::io::{Error, Result};
use std::sync::OnceLock;

use crate::qemu::{self, Block, Id};
use counts::Counts;

/// There is one plugin in a process, and its callbacks are plain functions.
static COUNTS: OnceLock<Counts> = OnceLock::new();

/// Reads the list of branches and registers the callbacks.
pub(crate) fn install(id: Id, list: &str, counts: &str) -> Result<()> {
    let read =
        Counts::read(list, counts).map_err(|error| Error::other(format!("{list}: {error}")))?;
    _ = COUNTS.set(read);
    qemu::on_translation(id, translated);
    qemu::on_exit(id, ended);
    Ok(())
}

/// Instruments a block that was just translated.
extern "C" fn translated(_: Id, block: &mut Block) {
    let Some(counts) = COUNTS.get() else { return };
    let begin = qemu::instructions(block).next();
    if let Some(begin) = begin.map(|instruction| instruction.address())
        && counts.is_target(begin)
    {
        qemu::on_block(block, came_to, begin);
    }
    for instruction in qemu::instructions(block) {
        if let Some(branch) = counts.find(instruction.address()) {
            instruction.on_execution(branches, branch as u64);
        }
    }
}

extern "C" fn branches(core: c_uint, branch: *mut c_void) {
    if let Some(counts) = COUNTS.get() {
        counts.branches(core as usize, branch.addr());
    }
}

extern "C" fn came_to(core: c_uint, address: *mut c_void) {
    if let Some(counts) = COUNTS.get() {
        counts.came_to(core as usize, address.addr() as u64);
    }
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    if let Some(Err(error)) = COUNTS.get().map(Counts::write) {
        eprintln!("plugin: cannot write the counts: {error}");
    }
}
