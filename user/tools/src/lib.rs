//! The command-line tools of Tessera.
//!
//! Each tool is a function over the trait [`Io`], so that the same code runs as
//! a program of its own, inside the shell of a small system, and under test on
//! the host with a fake. In reading order:
//!
//! 1. [`io`]: what a tool may use, its streams, paths and the system's numbers.
//!    [`mod@disk`]: disks. [`network`]: the network.
//! 2. [`about`]: what a tool says of itself, which arguments are paths included.
//! 3. [`arguments`]: options and operands.
//! 4. [`tools`]: the tools, a file each, and the table of them.
//! 5. [`input`]: operands or standard input, by pieces and by lines.
//! 6. [`native`]: the tools as programs.
//! 7. [`keys`]: what a terminal sends, as keys; [`mod@format`]: numbers for people.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod about;
pub mod arguments;
pub mod disk;
mod error;
#[cfg(test)]
mod fake;
pub mod format;
pub mod input;
pub mod io;
pub mod keys;
pub mod native;
pub mod network;
pub mod tools;

pub use about::About;
pub use arguments::Arguments;
pub use error::{Error, IoError};
pub use io::Io;

use alloc::format;
use alloc::string::String;

/// Runs `tool` with `arguments`, the tool's name first, and returns its exit
/// code: 0 if all went well, 1 if something failed, 2 if it was used wrongly.
pub fn run<I: Io>(tool: &tools::Tool<I>, io: &mut I, arguments: &[String]) -> i32 {
    let about = tool.about;
    let result = match Arguments::parse(about, arguments) {
        Ok(None) => io
            .write(about.help().as_bytes())
            .map(|()| 0)
            .map_err(Error::Io),
        Ok(Some(arguments)) => (tool.run)(io, &arguments),
        Err(error) => Err(error),
    };
    let result = match io.flush() {
        Err(error) if result.is_ok() => Err(Error::Io(error)),
        _ => result,
    };
    match result {
        Ok(code) => code,
        // Whoever read the output has seen enough, as in `cat big | head`.
        Err(Error::Io(IoError::Closed)) => 1,
        Err(error) => {
            let text = format!("{}: {}\n", about.name, error.explain(about));
            // There is nowhere left to report that standard error is gone.
            let _ = io.write_error(text.as_bytes());
            error.code()
        }
    }
}
