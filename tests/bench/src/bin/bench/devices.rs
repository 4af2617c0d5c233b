//! Devices.

use core::hint::black_box;
use libipc::{
    start::AnyError,
    time::{self, Instant},
};
use tessera_bench::{TIMES, driver::DriverClient, mark, uart::Uart};

use crate::{World, measure::Measured};

/// The serial line of QEMU's machine: what it is, and where.
const LINE: (&str, u64) = if cfg!(target_arch = "aarch64") {
    ("arm,pl011", 0x900_0000)
} else {
    ("ns16550a", 0x1000_0000)
};

/// From the write by which this task makes the device interrupt to the first
/// instructions of its driver, a task of higher priority that waits.
pub(crate) fn interrupt(world: &World) -> Measured {
    let (compatible, address) = LINE;
    let registers = world.devices.device_memory(address, 1)?;
    let mut uart = Uart::new(&registers, compatible, 0)?;
    let mut once = |driver: &DriverClient| -> Result<u64, AnyError> {
        let begin = Instant::now();
        mark::open();
        uart.announce_room(true);
        Ok(driver.woken()? - begin.ticks())
    };
    for _ in 0..16 {
        once(&world.driver)?;
    }
    let mut ticks = 0;
    for round in 0..TIMES {
        // A tick of the clock may be many instructions; so each begins elsewhere
        // between two, and their mean is exact.
        for step in 0..round % 16 {
            black_box(step);
        }
        ticks += once(&world.driver)?;
    }
    Ok((TIMES, time::from_ticks(ticks)))
}
