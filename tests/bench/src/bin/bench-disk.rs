//! Measures what a client pays for sectors of a disk, all tasks between it and the
//! device included.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use core::time::Duration;
use libipc::{
    Start,
    interfaces::block::{BlockClient, SECTOR},
    objects::{Shutdown, SystemClient},
    start::AnyError,
    time,
};
use tessera_bench::meter::{Cost, Meter};

libipc::program!(run);

/// How often each is done: the device takes its time.
const TIMES: u64 = 512;
/// Bytes of the memory that is registered.
const MEMORY: u64 = 64 << 10;

/// A disk, the number of the memory that is registered there, and its sectors.
struct Disk {
    block: BlockClient,
    memory: u64,
    sectors: u64,
}

/// What is done for the `n`-th time.
type Case = fn(&Disk, u64) -> Result<(), AnyError>;

const CASES: [(&str, Case); 3] = [
    ("block_read_64k", |disk, n| disk.read(n, MEMORY)),
    ("block_read_4k", |disk, n| disk.read(n, 4096)),
    ("block_write_flush", |disk, n| {
        let (sector, count) = disk.place(n, 4096);
        disk.block.write_at(sector, count, disk.memory, 0)?;
        Ok(disk.block.flush()?)
    }),
];

impl Disk {
    /// Sectors for the `n`-th transfer of so many bytes.
    fn place(&self, n: u64, bytes: u64) -> (u64, u64) {
        let count = bytes / SECTOR as u64;
        (n * count % (self.sectors / count * count), count)
    }

    fn read(&self, n: u64, bytes: u64) -> Result<(), AnyError> {
        let (sector, count) = self.place(n, bytes);
        Ok(self.block.read_at(sector, count, self.memory, 0)?)
    }
}

fn run(mut start: Start) -> Result<(), AnyError> {
    let block: BlockClient = start.take("disk")?;
    let meter = Meter::new(start.take("counters")?, start.take("inspect")?)?;
    let log: SystemClient = start.take("kernel-log")?;
    let shutdown: SystemClient = start.take("shutdown")?;
    let memory = libipc::task().create_memory(MEMORY / libipc::PAGE as u64)?;
    let disk = Disk {
        memory: block.register(memory)?,
        sectors: block.geometry()?.sectors,
        block,
    };
    // All others have come to rest.
    time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("");
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.split(',').any(|one| one == name) {
            let line = match measure(&meter, &disk, case) {
                Ok(cost) => cost.line(name, TIMES),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            log.log(&line)?;
        }
    }
    log.log("[bench] done\n")?;
    Ok(shutdown.shutdown(Shutdown::PowerOff)?)
}

fn measure(meter: &Meter, disk: &Disk, case: Case) -> Result<Cost, AnyError> {
    for n in 0..16 {
        case(disk, n)?;
    }
    meter.measure(TIMES, |n| case(disk, n))
}
