//! Counts how often each instruction is executed while marks say so, and on the way
//! to what.
//!
//! A mark is a hint that does nothing (`tests/bench/src/mark.rs` has the other side):
//! one opens, the next closes. With `from=reset` it is open from the first
//! instruction on. Marks themselves are not counted.
//!
//! `rim=FROM-TO` is the kernel's code that saves and restores registers. Which of
//! the two it did shows when it is left: to the kernel, or to a program. So what is
//! executed there waits for that.
//!
//! When the machine ends the file of `trace=FILE` has a line for each instruction
//! that was executed, `i VIRTUAL HOST BYTES`, numbered from 0, and then the counts,
//! `c PAGE ROLE INSTRUCTION COUNT`. `HOST` is where the emulator keeps the page, so
//! programs at the same address can be told apart; `PAGE` is that of the instruction
//! with which a program last entered the kernel, or 0.

mod counts;

use std::ffi::{c_uint, c_void};
use std::io::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::qemu::{self, Block, Id, Instruction};
use counts::Counts;

/// The encodings of the marks on aarch64 and riscv64, open and close.
const OPEN: [u32; 2] = [0xd503_2e1f, 0x0700_2013];
const CLOSE: [u32; 2] = [0xd503_2e3f, 0x0710_2013];

/// There is one plugin in a process, and its callbacks are plain functions. Under a
/// clock that counts instructions one core runs at a time, so nobody waits for it.
static COUNTS: Mutex<Option<Counts>> = Mutex::new(None);

fn counts() -> MutexGuard<'static, Option<Counts>> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the callbacks.
pub(crate) fn install(id: Id, file: &str, rim: &str, from: Option<&str>) -> Result<()> {
    let range = rim.split_once('-').and_then(|(from, to)| {
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(number(from)?..number(to)?)
    });
    let range = range.ok_or_else(|| Error::other(format!("`{rim}` is no range")))?;
    *counts() = Some(Counts::new(file, range, from == Some("reset")));
    qemu::on_translation(id, translated);
    qemu::on_exit(id, ended);
    Ok(())
}

/// Instruments a block that was just translated.
extern "C" fn translated(_: Id, block: &mut Block) {
    let mut counts = counts();
    let Some(counts) = counts.as_mut() else {
        return;
    };
    for instruction in qemu::instructions(block) {
        match mark(&instruction) {
            Some(open) => instruction.on_execution(marked, u64::from(open)),
            None => {
                let (address, host) = (instruction.address(), instruction.host());
                let index = counts.number(address, host, instruction.bytes());
                instruction.on_execution(executed, index as u64);
            }
        }
    }
}

/// Whether it is a mark, and which.
fn mark(instruction: &Instruction<'_>) -> Option<bool> {
    let word = u32::from_le_bytes(instruction.bytes().try_into().ok()?);
    let is = |words: [u32; 2], open| words.contains(&word).then_some(open);
    is(OPEN, true).or(is(CLOSE, false))
}

extern "C" fn marked(_: c_uint, open: *mut c_void) {
    if let Some(counts) = counts().as_mut() {
        counts.open = open.addr() != 0;
    }
}

extern "C" fn executed(_: c_uint, index: *mut c_void) {
    if let Some(counts) = counts().as_mut() {
        counts.executed(index.addr());
    }
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    if let Some(Err(error)) = counts().as_mut().map(|counts| counts.write()) {
        eprintln!("plugin: cannot write the counts: {error}");
    }
}
