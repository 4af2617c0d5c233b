//! Prints the architecture's counter: on a machine whose clock counts
//! instructions, it tells how many have run.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libipc::{Start, println, time::Instant};

libipc::program!(run);

fn run(_: Start) {
    println!("{} ticks", Instant::now().ticks());
}
