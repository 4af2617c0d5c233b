//! The shell of Tessera.
//!
//! In reading order:
//!
//! 1. [`session`]: prompt, line, execution, again and again.
//! 2. [`mod@line`]: the line editor, bytes of a terminal in, lines out.
//! 3. [`language`]: what a line means, from text to a list of commands.
//! 4. [`execute`]: carries commands out, over the trait [`execute::Host`].
//! 5. [`complete`]: what the Tab key offers; [`suggest`]: what may have been meant.
//! 6. [`native`]: the world of a running system, behind its servers' interfaces.
//!
//! All but the last are free of input and output, and tested on the host.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod complete;
pub mod execute;
#[cfg(test)]
mod fake;
pub mod language;
pub mod line;
pub mod native;

pub mod session;
pub mod suggest;
