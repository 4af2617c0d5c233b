//! `fsck` as a program: see the library.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{ExitCode, Start};
use tessera_fsck::{ABOUT, run};
use tessera_tools::{native, tools::Tool};

libipc::note!(ABOUT.paths);
libipc::program!(start);

fn start(start: Start) -> ExitCode {
    let tool = Tool { about: &ABOUT, run };
    native::run(start, &tool)
}
