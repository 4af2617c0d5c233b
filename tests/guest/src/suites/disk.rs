//! Disks as a client of the block server sees them, and what remains of that when a
//! driver or its proxy is killed.

use crate::{
    check::{Failure, Verdict},
    child::patience,
    run::{Case, World, cases},
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use libipc::{
    CallError, Text,
    handle::Rights,
    interfaces::{
        block::{
            BlockAccess, BlockAction, BlockClient, BlockError, BlockRequest, Geometry, MAX_COPY,
            SECTOR,
        },
        supervisor::KillAnyClient,
    },
    objects::MemoryClient,
    server::{Event, Receiver},
    status::Cause,
    thread, time,
};
use tessera_test_cases::disk;

pub(crate) const CASES: &[Case] = cases![
    what_the_host_wrote_is_read,
    what_is_written_is_read,
    errors_are_told,
    many_requests_are_under_way_at_once,
    a_partition_is_all_that_its_client_sees,
    who_has_a_disk_to_himself_keeps_it_when_its_driver_is_killed,
    clients_go_on_when_a_driver_is_killed,
    clients_go_on_when_a_proxy_is_killed,
];

fn server<T>(error: BlockError) -> Result<T, CallError<BlockError>> {
    Err(CallError::Server(error))
}

/// Memory that is registered, and its number.
fn register(block: &BlockClient, pages: u64) -> Result<(MemoryClient, u64), Failure> {
    let own = libipc::task().create_memory(pages)?;
    let number = block.register(own.as_ref().copy()?.into())?;
    Ok((own, number))
}

/// What a sector's worth of memory holds.
fn sector_at(memory: &MemoryClient, offset: u64) -> Result<[u8; SECTOR], Failure> {
    let mut bytes = [0; SECTOR];
    memory.read_into(offset, &mut bytes)?;
    Ok(bytes)
}

fn what_the_host_wrote_is_read(world: &mut World) -> Verdict {
    let block: BlockClient = world.power("disk")?;
    let geometry = block.geometry()?;
    let expected = Geometry {
        sectors: disk::sectors(0),
        read_only: false,
        volatile_cache: true,
        ..geometry
    };
    check_eq!(geometry, expected);
    for sector in [0, 1, 4095, disk::sectors(0) - 1] {
        let mut bytes = [0; SECTOR];
        block.read(sector, &mut bytes)?;
        check_eq!(bytes, disk::sector(0, sector));
    }
    // Pages of memory are where they are: the request is in many pieces.
    let (own, number) = register(&block, 17)?;
    block.read_at(64, 128, number, 20)?;
    for sector in 0..128 {
        check_eq!(
            sector_at(&own, 20 + sector * 512)?,
            disk::sector(0, 64 + sector)
        );
    }
    check_eq!(sector_at(&own, 20 + 128 * 512)?, [0; SECTOR]);
    Ok(block.unregister(number)?)
}

fn what_is_written_is_read(world: &mut World) -> Verdict {
    let block: BlockClient = world.power("disk")?;
    let bytes: Vec<u8> = (0..MAX_COPY).map(|place| (place / 3) as u8).collect();
    block.write(1000, &bytes)?;
    let (own, number) = register(&block, 4)?;
    own.write_from(508, &[0xa5; 3 * SECTOR])?;
    block.write_at(1001, 3, number, 508)?;
    block.flush()?;
    let mut back = vec![0; MAX_COPY];
    block.read(1000, &mut back)?;
    check!(back[..SECTOR] == bytes[..SECTOR]);
    check!(back[SECTOR..4 * SECTOR] == [0xa5; 3 * SECTOR]);
    check!(back[4 * SECTOR..] == bytes[4 * SECTOR..]);
    // Its neighbours are what they were.
    block.read_at(999, 1, number, 0)?;
    check_eq!(sector_at(&own, 0)?, disk::sector(0, 999));
    block.read_at(1128, 1, number, 0)?;
    check_eq!(sector_at(&own, 0)?, disk::sector(0, 1128));
    Ok(block.unregister(number)?)
}

fn errors_are_told(world: &mut World) -> Verdict {
    let fixed: BlockClient = world.power("fixed")?;
    let geometry = fixed.geometry()?;
    check!(geometry.read_only);
    check_eq!(geometry.sectors, disk::sectors(1));
    let (own, number) = register(&fixed, 1)?;
    check_eq!(fixed.write(3, &[1; SECTOR]), server(BlockError::ReadOnly));
    check_eq!(
        fixed.write_at(3, 1, number, 0),
        server(BlockError::ReadOnly)
    );
    check_eq!(
        fixed.read_at(64, 1, number, 0),
        server(BlockError::OutOfRange)
    );
    check_eq!(
        fixed.read_at(63, 2, number, 0),
        server(BlockError::OutOfRange)
    );
    check_eq!(fixed.read_at(0, 9, number, 0), server(BlockError::BadRange));
    check_eq!(
        fixed.read_at(0, 1, number + 1, 0),
        server(BlockError::NoSuchMemory)
    );
    fixed.read_at(3, 1, number, 0)?;
    check_eq!(sector_at(&own, 0)?, disk::sector(1, 3));
    fixed.flush()?;
    let read_only = own.as_ref().derive(Rights::READ | Rights::GRANT)?;
    let refused = fixed.register(read_only.into()).map(drop);
    check_eq!(refused, server(BlockError::NoResources));
    Ok(fixed.unregister(number)?)
}

fn many_requests_are_under_way_at_once(world: &mut World) -> Verdict {
    let block: BlockClient = world.power("disk")?;
    let (own, number) = register(&block, 16)?;
    let told = libipc::task().create_endpoint()?;
    let signal = told.as_ref().derive(Rights::SIGNAL | Rights::GRANT)?;
    block.notify(signal.into(), 2)?;
    let most = block.geometry()?.max_requests as u32;
    let mut receiver = Receiver::new(&told);
    for round in 0..4 {
        let sector = |tag: u32| u64::from(tag * 37 + round * 1777) % 900;
        for tag in 0..most {
            block.submit(BlockRequest {
                tag,
                action: BlockAction::Read,
                sector: sector(tag),
                count: 1,
                memory: number,
                offset: u64::from(tag) * SECTOR as u64,
                more: tag % 5 != 0,
            })?;
        }
        let mut left: Vec<u32> = (0..most).collect();
        while !left.is_empty() {
            check!(matches!(receiver.wait(patience()), Ok(Event::Signals(2))));
            loop {
                let completions = block.collect()?;
                for (tag, result) in completions.iter() {
                    check_eq!(result, Ok(()));
                    let place = left.iter().position(|one| *one == tag);
                    left.swap_remove(place.ok_or_else(|| Failure::new("a tag twice"))?);
                    let read = sector_at(&own, u64::from(tag) * SECTOR as u64)?;
                    check_eq!(read, disk::sector(0, sector(tag)));
                }
                if !completions.is_full() {
                    break;
                }
            }
        }
    }
    Ok(block.unregister(number)?)
}

fn a_partition_is_all_that_its_client_sees(world: &mut World) -> Verdict {
    let block: BlockClient = world.power("parted")?;
    let (_, first, sectors) = disk::PARTITION;
    check_eq!(block.geometry()?.sectors, sectors);
    let mut bytes = [0; SECTOR];
    for sector in [0, 1, sectors - 1] {
        block.read(sector, &mut bytes)?;
        check_eq!(bytes, disk::sector(3, first + sector));
    }
    for sector in [sectors, u64::MAX - first, u64::MAX - first + 1, u64::MAX] {
        let outside = server(BlockError::OutOfRange);
        check_eq!(block.read(sector, &mut bytes), outside);
        check_eq!(block.write(sector, &bytes), outside);
    }
    let (own, number) = register(&block, 1)?;
    block.read_at(7, 2, number, 512)?;
    check_eq!(sector_at(&own, 1024)?, disk::sector(3, first + 8));
    let outside = block.write_at(sectors - 1, 2, number, 0);
    check_eq!(outside, server(BlockError::OutOfRange));
    Ok(block.unregister(number)?)
}

fn who_has_a_disk_to_himself_keeps_it_when_its_driver_is_killed(world: &mut World) -> Verdict {
    let (kill, block): (KillAnyClient, BlockClient) =
        (world.power("kill-any")?, world.power("disk")?);
    let whole = block.partition(0)?;
    check_eq!(whole.sectors, disk::sectors(0));
    check_eq!(whole.user.as_str(), "");
    check_eq!(block.partition(1), server(BlockError::NoSuchPartition));
    let bytes = disk::sector(0, 5000);
    let held = block.open(0, BlockAccess::Exclusive)?;
    let reading = block.open(0, BlockAccess::Read)?;
    for _ in 0..2 {
        check_eq!(block.write(5000, &bytes), server(BlockError::InUse));
        check_eq!(reading.write(5000, &bytes), server(BlockError::ReadOnly));
        held.write(5000, &bytes)?;
        check_eq!(block.partition(0)?.user.as_str(), "suite");
        kill.kill(Text::new("disk").ok_or_else(|| Failure::new("a long name"))?)?;
        // Calls that were on their way end with the driver.
        crate::wait::until(|| Ok(block.geometry().is_ok()))?;
    }
    drop(held);
    crate::wait::until(|| Ok(block.write(5000, &bytes) != server(BlockError::InUse)))?;
    Ok(block.write(5000, &bytes)?)
}

/// A client that goes on, whatever happens to the server.
struct Stubborn {
    block: BlockClient,
    own: MemoryClient,
    number: u64,
    /// Calls that ended otherwise than well.
    again: u64,
}

impl Stubborn {
    fn new(block: BlockClient) -> Result<Stubborn, Failure> {
        Ok(Stubborn {
            own: libipc::task().create_memory(1)?,
            number: 0,
            again: 0,
            block,
        })
    }

    /// Makes a call until it ends well.
    fn call(
        &mut self,
        call: impl Fn(&BlockClient, u64) -> Result<(), CallError<BlockError>>,
    ) -> Verdict {
        loop {
            match call(&self.block, self.number) {
                Ok(()) => return Ok(()),
                Err(CallError::Server(BlockError::NoSuchMemory)) => {
                    let copy = self.own.as_ref().copy()?;
                    // If the server is gone again, that is found out next.
                    self.number = self.block.register(copy.into()).unwrap_or(0);
                }
                Err(CallError::Transport(error))
                    if matches!(error.cause, Cause::Died | Cause::Dropped) => {}
                Err(error) => return Err(error.into()),
            }
            self.again += 1;
        }
    }
}

/// A sector that the client writes over and over, each time with another number, and
/// what the disk holds of it after a flush.
fn write_and_read(client: &mut Stubborn, round: u64) -> Verdict {
    let (sector, bytes) = (4000 + round % 50, [round as u8; SECTOR]);
    client.own.write_from(0, &bytes)?;
    client.call(|block, number| block.write_at(sector, 1, number, 0))?;
    client.call(|block, _| block.flush())?;
    client.call(|block, number| block.read_at(sector, 1, number, 1024))?;
    check_eq!(sector_at(&client.own, 1024)?, bytes);
    client.call(|block, number| block.read_at(round % 900, 2, number, 2048))?;
    check_eq!(sector_at(&client.own, 2048)?, disk::sector(0, round % 900));
    Ok(())
}

/// Kills the task of this name while a client works, again and again.
fn go_on_without(world: &mut World, victim: &'static str) -> Verdict {
    let (kill, block): (KillAnyClient, _) = (world.power("kill-any")?, world.power("disk")?);
    let (rounds, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (counted, stop) = (rounds.clone(), over.clone());
    let works = thread::spawn(move || -> Result<u64, Failure> {
        let mut client = Stubborn::new(block)?;
        while !stop.load(Relaxed) {
            write_and_read(&mut client, counted.fetch_add(1, Relaxed))?;
        }
        Ok(client.again)
    })?;
    let mut verdict = Ok(());
    for kills in 0..10_u64 {
        // Not always at the same step.
        let before = rounds.load(Relaxed);
        verdict = crate::wait::until(|| Ok(rounds.load(Relaxed) > before + 2));
        if verdict.is_err() {
            break;
        }
        time::sleep(Duration::from_micros(137 * kills));
        let name = Text::new(victim).ok_or_else(|| Failure::new("a long name"))?;
        kill.kill(name)?;
    }
    over.store(true, Relaxed);
    let again = works
        .join()
        .ok_or_else(|| Failure::new("the client ended"))??;
    verdict?;
    check!(again > 0);
    Ok(())
}

fn clients_go_on_when_a_driver_is_killed(world: &mut World) -> Verdict {
    go_on_without(world, "disk")
}

fn clients_go_on_when_a_proxy_is_killed(world: &mut World) -> Verdict {
    go_on_without(world, "disk-queue")
}
