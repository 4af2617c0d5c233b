//! Operations of what a device may reach.

use super::row::{OK, Row};
use crate::{
    check::{Failure, Verdict},
    run::World,
};
use libipc::{
    handle::Rights,
    objects::{DmaClient, MemoryClient, ObjectError},
};

/// No pin has this number.
const NO_PIN: u64 = 64;

/// An object with one pin, number 0, of two pages.
fn pinned(world: &World) -> Result<(DmaClient, MemoryClient), Failure> {
    let (dma, memory) = (
        world.devices()?.create_dma()?,
        libipc::task().create_memory(2)?,
    );
    check_eq!(dma.pin(&memory)?, 0);
    Ok((dma, memory))
}

pub(super) fn pin(world: &mut World, row: &Row) -> Verdict {
    let (dma, memory) = pinned(world)?;
    row.pass(&memory);
    row.object(&dma, Rights::PIN)?;
    row.pass(world.uart()?);
    row.expect(ObjectError::BadArgument, &dma, &[])?;
    row.pass(&memory);
    row.until(ObjectError::QuotaExceeded, &dma, |_| [0; 4])?;
    // Its memory comes back when nothing is pinned any more.
    Ok(dma.release_all()?)
}

pub(super) fn unpin(world: &mut World, row: &Row) -> Verdict {
    let (dma, _memory) = pinned(world)?;
    row.object(&dma, Rights::PIN)?;
    row.expect(OK, &dma, &[0])?;
    row.expect(ObjectError::NotFound, &dma, &[0])
}

pub(super) fn addresses(world: &mut World, row: &Row) -> Verdict {
    let (dma, _memory) = pinned(world)?;
    row.object(&dma, Rights::PIN)?;
    row.expect(OK, &dma, &[0, 1])?;
    row.expect(ObjectError::OutOfRange, &dma, &[0, 2])?;
    row.expect(ObjectError::NotFound, &dma, &[NO_PIN, 0])?;
    Ok(dma.release_all()?)
}

pub(super) fn release_all(world: &mut World, row: &Row) -> Verdict {
    let (dma, _memory) = pinned(world)?;
    row.object(&dma, Rights::CONTROL)?;
    row.expect(OK, &dma, &[])?;
    check_eq!(dma.pins()?, 0);
    Ok(())
}

pub(super) fn pins(world: &mut World, row: &Row) -> Verdict {
    let (dma, _memory) = pinned(world)?;
    row.object(&dma, Rights::CONTROL)?;
    row.expect(OK, &dma, &[])?;
    Ok(dma.release_all()?)
}

pub(super) fn create_contiguous(world: &mut World, row: &Row) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    row.object(&dma, Rights::PIN)?;
    row.expect(OK, &dma, &[4])?;
    row.expect(ObjectError::OutOfRange, &dma, &[17])?;
    // As if it had been interrupted behind the last frame.
    row.expect(
        ObjectError::NotFound,
        &dma,
        &[4, 0, 0, 0, 0, 0, 0, u64::MAX],
    )?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, &dma, &[4])
}
