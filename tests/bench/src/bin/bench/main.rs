//! Measures, in nanoseconds of the machine's clock, which are instructions when
//! it counts them: a line for each case, with how often it was done.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use core::time::Duration;
use libipc::{
    Start,
    interfaces::supervisor::StartClient,
    objects::{Shutdown, SystemClient},
    start::AnyError,
};
use tessera_bench::{TargetClient, driver::DriverClient};

mod calls;
mod devices;
mod measure;
mod memory;
mod programs;
mod threads;

use measure::Measured;

libipc::program!(run);

/// What cases have to work with.
struct World {
    target: TargetClient,
    driver: DriverClient,
    start: StartClient,
    devices: SystemClient,
    counters: SystemClient,
    log: SystemClient,
    shutdown: SystemClient,
}

/// A case.
type Case = fn(&World) -> Measured;

/// All of them, by name.
const CASES: [(&str, Case); 16] = [
    ("refused", calls::refused),
    ("call_2w", calls::call_2w),
    ("call_2w_fp", calls::call_2w_fp),
    ("call_8w", calls::call_8w),
    ("call_32w", calls::call_32w),
    ("lease_4k", calls::lease_4k),
    ("call_cap", calls::call_cap),
    ("call_kept", calls::call_kept),
    ("call_timeout", calls::call_timeout),
    ("signal_wait", threads::signal_wait),
    ("interrupt", devices::interrupt),
    ("fault", programs::fault),
    ("thread", threads::spawn_join),
    ("spawn", programs::spawn),
    ("zero_page", memory::zero_page),
    ("map_page", memory::map_page),
];

fn run(mut start: Start) -> Result<(), AnyError> {
    let world = World {
        target: start.take("target")?,
        driver: start.take("driver")?,
        start: start.take("start")?,
        devices: start.take("devices")?,
        counters: start.take("counters")?,
        log: start.take("kernel-log")?,
        shutdown: start.take("shutdown")?,
    };
    // All others have come to rest.
    libipc::time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("all");
    for (name, case) in CASES {
        if wanted == "all" || wanted.split(',').any(|one| one == name) {
            let line = match case(&world) {
                Ok((times, taken)) => format!("[bench] {name} {times} {}\n", taken.as_nanos()),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            world.log.log(&line)?;
        }
    }
    world.log.log("[bench] done\n")?;
    Ok(world.shutdown.shutdown(Shutdown::PowerOff)?)
}
