//! The suites that run inside the guest, and the tasks that they make.
//!
//! One program, in several roles:
//!
//! - As the task that a page starts with `SUITE CASES` it runs those cases one
//!   by one and tells how each goes (`run`).
//! - Started with `fuzz COUNT SEED` it is the syscall fuzzer (`fuzz`).
//! - Started with `outcomes COUNT SEED` it makes calls to good and bad servers
//!   (`outcomes`).
//! - As a task that a case made (`child`) it runs one function in an address
//!   space of its own: hostile, crashing, or just somebody else.
//!
//! Cases are in `suites`, a file for each suite or a folder if it is large.
//! They check with `check` and trap by hand with `raw` where a client of
//! `libipc` would be too well-behaved.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
#[macro_use]
mod check;
#[cfg(target_os = "none")]
mod child;
#[cfg(target_os = "none")]
mod echo;
#[cfg(target_os = "none")]
mod faulty;
#[cfg(target_os = "none")]
mod fuzz;
#[cfg(target_os = "none")]
mod outcomes;
#[cfg(target_os = "none")]
mod raw;
#[cfg(target_os = "none")]
mod run;
#[cfg(target_os = "none")]
mod suites;
#[cfg(target_os = "none")]
mod wait;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this program runs on Tessera: use `cargo xtask test`");
}
