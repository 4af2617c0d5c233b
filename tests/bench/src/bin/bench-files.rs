//! Measures what a client pays for files, in memory and on a disk: all tasks between
//! it and the device included.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec, vec::Vec};
use core::time::Duration;
use libipc::{
    Start, Text,
    interfaces::{DirectoryClient, FileAccess, FileClient, directory::Name},
    objects::{Shutdown, SystemClient},
    start::AnyError,
    time,
};
use tessera_bench::meter::{Cost, Meter};

libipc::program!(run);

/// Bytes of a short transfer.
const PAGE: usize = 4096;
/// Bytes of a long transfer.
const LONG: usize = 64 << 10;
/// How often short operations are done.
const TIMES: u64 = 256;
/// How many long transfers make a file: more than the page cache keeps.
const LONG_TIMES: u64 = 256;

/// A file that the host has put on the disk: [`LONG_TIMES`] long transfers.
const COLD: &str = "cold";

/// A case: how often it was done, and what that cost.
type Case = fn(&World) -> Result<(u64, Cost), AnyError>;

const CASES: [(&str, Case); 7] = [
    ("file_seq_read_64k", seq_read),
    ("file_open_read_warm", |world| open_read(world, &world.data)),
    ("ram_open_read", |world| open_read(world, &world.ram)),
    ("ram_open_part", open_part),
    ("file_overwrite_fsync", overwrite),
    ("file_create", create),
    ("file_seq_write_64k", seq_write),
];

/// What there is to work with.
struct World {
    meter: Meter,
    /// A file system in memory.
    ram: DirectoryClient,
    /// One on a disk.
    data: DirectoryClient,
}

fn run(mut start: Start) -> Result<(), AnyError> {
    let files: DirectoryClient = start.take("files")?;
    let log: SystemClient = start.take("kernel-log")?;
    let shutdown: SystemClient = start.take("shutdown")?;
    let world = World {
        meter: Meter::new(start.take("counters")?, start.take("inspect")?)?,
        ram: files.open_directory(name("tmp")?, FileAccess::ReadWrite)?,
        data: files.open_directory(name("data")?, FileAccess::ReadWrite)?,
    };
    // All others have come to rest.
    time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("");
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.split(',').any(|one| one == name) {
            let line = match case(&world) {
                Ok((times, cost)) => cost.line(name, times),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            log.log(&line)?;
        }
    }
    log.log("[bench] done\n")?;
    Ok(shutdown.shutdown(Shutdown::PowerOff)?)
}

fn name(text: &str) -> Result<Name, AnyError> {
    Text::new(text).ok_or_else(|| AnyError::new("a name is too long"))
}

/// A file of so many bytes, all on the disk if there is one.
fn file_of(
    directory: &DirectoryClient,
    called: &str,
    bytes: usize,
) -> Result<FileClient, AnyError> {
    let file = directory.create(name(called)?)?;
    file.write_at(0, &vec![1; bytes])?;
    file.sync()?;
    Ok(file)
}

/// Opens a file and reads its 4 KiB, which the page cache has.
fn open_read(world: &World, directory: &DirectoryClient) -> Result<(u64, Cost), AnyError> {
    drop(file_of(directory, "warm", PAGE)?);
    let warm = name("warm")?;
    let mut bytes = [0; PAGE];
    let mut once = |_| match directory.open_read(warm, &mut bytes)? {
        (4096, None) => Ok(()),
        _ => Err(AnyError::new("less than there is was read")),
    };
    (0..16).try_for_each(&mut once)?;
    Ok((TIMES, world.meter.measure(TIMES, once)?))
}

/// Opens a longer file, reads its first 4 KiB, and closes it.
fn open_part(world: &World) -> Result<(u64, Cost), AnyError> {
    drop(file_of(&world.ram, "longer", 2 * PAGE)?);
    let longer = name("longer")?;
    let mut bytes = [0; PAGE];
    let mut once = |_| match world.ram.open_read(longer, &mut bytes)? {
        (4096, Some(_)) => Ok(()),
        _ => Err(AnyError::new("it was not left open")),
    };
    (0..16).try_for_each(&mut once)?;
    Ok((TIMES, world.meter.measure(TIMES, once)?))
}

/// Reads a file from front to back that the page cache has nothing of.
fn seq_read(world: &World) -> Result<(u64, Cost), AnyError> {
    let file = world.data.open(name(COLD)?, FileAccess::Read)?;
    let mut bytes = vec![0; LONG];
    let cost = world.meter.measure(LONG_TIMES, |n| {
        match file.read_at(n * LONG as u64, &mut bytes)? {
            read if read == LONG as u64 => Ok(()),
            _ => Err(AnyError::new("less than there is was read")),
        }
    })?;
    Ok((LONG_TIMES, cost))
}

/// Writes 4 KiB over others of a file, and lets them be made durable.
fn overwrite(world: &World) -> Result<(u64, Cost), AnyError> {
    let file = file_of(&world.data, "overwritten", LONG)?;
    let bytes = [2; PAGE];
    let mut once = |n: u64| {
        file.write_at(n % 16 * PAGE as u64, &bytes)?;
        Ok(file.sync()?)
    };
    (0..16).try_for_each(&mut once)?;
    Ok((TIMES, world.meter.measure(TIMES, once)?))
}

/// Makes files of 4 KiB; after the last one everything is made durable.
fn create(world: &World) -> Result<(u64, Cost), AnyError> {
    let directory = world.data.create_directory(name("created")?)?;
    let names: Result<Vec<_>, _> = (0..TIMES).map(|n| name(&format!("file-{n}"))).collect();
    let names = names?;
    let bytes = [3; PAGE];
    let cost = world.meter.measure(TIMES, |n| {
        let file = directory.create(names[n as usize])?;
        file.write_at(0, &bytes)?;
        if n == TIMES - 1 {
            directory.sync()?;
        }
        Ok(())
    })?;
    Ok((TIMES, cost))
}

/// Writes a file from front to back; after the last write it is made durable.
fn seq_write(world: &World) -> Result<(u64, Cost), AnyError> {
    let file = world.data.create(name("written")?)?;
    let bytes = vec![4; LONG];
    let cost = world.meter.measure(LONG_TIMES, |n| {
        file.write_at(n * LONG as u64, &bytes)?;
        if n == LONG_TIMES - 1 {
            file.sync()?;
        }
        Ok(())
    })?;
    Ok((LONG_TIMES, cost))
}
