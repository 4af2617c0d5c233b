//! From reset to the kernel's main.
//!
//! 1. `entry`: the first instructions of each core; translation on, with a
//!    map just good enough to run Rust in;
//! 2. `start`: the way of the core that boots, step by step;
//! 3. `tree`: the device tree, read into the kernel's `Platform`;
//! 4. `image`: where the linker put the kernel, and the archive behind it;
//! 5. `map`: the kernel's final map;
//! 6. `cores`: the other cores;
//! 7. `program`: the first program, out of the archive.
//!
//! What cannot be booted ends in one line: `refusal`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod cores;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod image;
#[cfg(any(test, target_os = "none"))]
mod map;
#[cfg(any(test, target_os = "none"))]
mod program;
#[cfg(any(test, target_os = "none"))]
mod refusal;
#[cfg(target_os = "none")]
mod start;
#[cfg(any(test, target_os = "none"))]
mod tree;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is the kernel: use `cargo xtask run`");
}
