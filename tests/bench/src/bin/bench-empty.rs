//! The smallest program: it ends.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libipc::Start;

libipc::program!(run);

fn run(_: Start) {}
