//! `cargo xtask`: builds, runs, tests and measures Tessera.
//!
//! In reading order:
//!
//! 1. [`cli`]: the commands and their options; [`commands`] has a file for each.
//! 2. [`page`]: reads and checks a system page.
//! 3. [`image`]: builds what a page names and packs one bootable image.
//! 4. [`machine`]: the QEMU machine that an image boots on.
//! 5. [`guest`]: such a machine while it runs.
//!    [`hub`]: several of them on a segment of Ethernet.
//! 6. [`branches`]: which of the kernel's branches it reaches.
//! 7. [`trace`]: how often each instruction is executed; [`plugin`] counts for both.
//! 8. [`setup`]: brings what this needs to the machine it runs on.
//! 9. [`lines`]: counts lines of code.
//! 10. [`crash`]: machines whose disks or servers die.
//! 11. [`arch`], [`workspace`], [`process`]: what the others stand on.
//!
//! It is a library too, so that the harness in `tests/harness` builds its images
//! with the same code.

#![forbid(unsafe_code)]

pub mod arch;
pub mod branches;
pub mod cli;
pub mod commands;
pub mod crash;
pub mod disk;
pub mod guest;
pub mod hub;
pub mod image;
pub mod lines;
pub mod machine;
pub mod page;
pub mod plugin;
pub mod process;
pub mod setup;
pub mod trace;
pub mod workspace;
