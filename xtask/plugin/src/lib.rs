//! A plugin of QEMU (API version 1), of two uses.
//!
//! - [`branches`] counts which way conditional branches go, for
//!   `cargo xtask fuzz syscalls --branches`.
//! - [`trace`] counts how often each instruction is executed between two marks, for
//!   `cargo xtask bench --trace`.
//!
//! Its arguments say which: each is `NAME=VALUE`.

mod branches;
mod qemu;
mod trace;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::{Error, Result};

use qemu::Id;

/// The version of the API that this is written for.
#[unsafe(no_mangle)]
#[allow(
    non_upper_case_globals,
    unsafe_code,
    reason = "QEMU looks for this name"
)]
pub static qemu_plugin_version: c_int = 1;

/// Registers the callbacks. Anything but 0 is an error, and QEMU does not start.
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
        let mut given = given.iter().filter_map(|argument| argument.split_once('='));
        given
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    match install(id, value) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("plugin: {error}");
            1
        }
    }
}

fn install<'a>(id: Id, value: impl Fn(&str) -> Option<&'a str>) -> Result<()> {
    if let (Some(list), Some(counts)) = (value("branches"), value("counts")) {
        return branches::install(id, list, counts);
    }
    if let (Some(file), Some(rim)) = (value("trace"), value("rim")) {
        return trace::install(id, file, rim, value("from"));
    }
    Err(Error::other(
        "branches=FILE and counts=FILE, or trace=FILE and rim=FROM-TO are needed",
    ))
}
