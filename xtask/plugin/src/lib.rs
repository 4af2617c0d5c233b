//! A plugin of QEMU (API version 1) that counts which way branches go.
//!
//! Its arguments are `branches=FILE` and `counts=FILE`. Each line of the first
//! names a conditional branch by three hexadecimal addresses: its own, the one
//! that it goes to when it is taken, and the next one. When the machine ends the
//! second file has two numbers for each: how often it was taken, and how often
//! not.
//!
//! A branch ends a translated block, so where it went is where the next block of
//! that core begins. Only branches of the list and blocks that begin where one of
//! them leads to are instrumented; all other code runs as fast as without.

mod counts;
mod qemu;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use counts::Counts;
use qemu::{Block, Id};

/// There is one plugin in a process, and its callbacks are plain functions.
static COUNTS: OnceLock<Counts> = OnceLock::new();

/// The version of the API that this is written for.
#[unsafe(no_mangle)]
#[allow(
    non_upper_case_globals,
    unsafe_code,
    reason = "QEMU looks for this name"
)]
pub static qemu_plugin_version: c_int = 1;

/// Reads the list of branches and registers the callbacks. Anything but 0 is an
/// error, and QEMU does not start.
///
/// # Safety
///
/// `arguments` are `count` strings that end with a zero, as QEMU hands them over.
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "QEMU calls it by this name")]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: there are so many of them.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    let given: Vec<_> = arguments
        .iter()
        // SAFETY: each is a string that ends with a zero.
        .map(|argument| unsafe { CStr::from_ptr(*argument) }.to_string_lossy())
        .collect();
    let value = |name: &str| {
        given
            .iter()
            .find_map(|argument| argument.strip_prefix(name))
    };
    let (Some(branches), Some(counts)) = (value("branches="), value("counts=")) else {
        eprintln!("plugin: branches=FILE and counts=FILE are needed");
        return 1;
    };
    match Counts::read(branches, counts) {
        Ok(read) => _ = COUNTS.set(read),
        Err(error) => {
            eprintln!("plugin: {branches}: {error}");
            return 1;
        }
    }
    qemu::on_translation(id, translated);
    qemu::on_exit(id, ended);
    0
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
