//! The shell of a small system, with the tools linked in.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{ExitCode, Start};
use tessera_shell::native::inside::any_tool;
use tessera_tools::IoError;

libipc::program!(run);

fn run(start: Start) -> Result<ExitCode, IoError> {
    tessera_shell::native::run(start, Some(any_tool))
}
