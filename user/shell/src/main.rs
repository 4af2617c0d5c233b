//! The shell, with its tools as programs of their own.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{ExitCode, Start};
use tessera_tools::IoError;

libipc::program!(run);

fn run(start: Start) -> Result<ExitCode, IoError> {
    tessera_shell::native::run(start, None)
}
