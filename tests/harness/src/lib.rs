//! Runs the cases inside the guest as tests of the host.
//!
//! A test's name is `ARCH/smpN/SUITE/CASE`. All cases of a suite that are asked
//! for run in one boot for each architecture and number of cores; what the suite
//! reports, line by line, becomes the outcome of each test. Only after a crash
//! is there a fresh boot, for the cases that have not run.
//!
//! In reading order:
//!
//! 1. [`plan`]: which tests there are, and which are asked for.
//! 2. [`pool`]: boots in the background, outcomes when they come.
//! 3. [`suite`]: one suite on one machine; [`progress`] reads its reports.
//! 4. [`session`]: a scripted session at the shell, told as a transcript;
//!    [`stranger`]: the same with a server and an app that are not ours;
//!    [`nodes`]: one at several machines on a segment of Ethernet, with a name server
//!    ([`names`]) and a look at what tells one machine from another ([`stable`]);
//!    [`persistent`]: two boots on one disk; [`parted`]: a disk with partitions.
//! 5. [`determinism`]: two runs are the same.
//! 6. [`images`]: builds each system once.

#![forbid(unsafe_code)]

pub mod determinism;
pub mod images;
pub mod names;
pub mod nodes;
pub mod parted;
pub mod persistent;
pub mod plan;
pub mod pool;
pub mod progress;
pub mod session;
pub mod stable;
pub mod stranger;
pub mod suite;

/// Why a test failed, or nothing.
pub type Outcome = Result<(), String>;
