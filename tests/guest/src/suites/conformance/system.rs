//! Operations of the machine.

use super::{
    endpoint::closed,
    interrupt::LINE,
    reservation,
    row::{OK, Row},
};
use crate::{check::Verdict, run::World};
use libipc::{handle::Rights, objects::ObjectError};

/// Neither memory nor a device that the kernel drives, on both machines.
const REGISTERS: u64 = 0x3000_0000;
/// Where RAM begins on either machine is inside: address and pages.
const RAM: [u64; 2] = [0x4000_0000, 0x4_1000];

/// Who stops the machine sees nothing of it; each suite ends so.
pub(super) fn shutdown(world: &mut World, row: &Row) -> Verdict {
    row.object(&world.shutdown, Rights::SHUTDOWN)?;
    row.expect(ObjectError::Malformed, &world.shutdown, &[99])
}

pub(super) fn counters(world: &mut World, row: &Row) -> Verdict {
    row.object(&world.counters, Rights::COUNTERS)?;
    row.expect(OK, &world.counters, &[])
}

pub(super) fn read_log(world: &mut World, row: &Row) -> Verdict {
    let mut into = [0_u8; 16];
    let here = into.as_mut_ptr() as u64;
    row.object(&world.log, Rights::LOG)?;
    row.expect(OK, &world.log, &[0, here, 16])?;
    row.expect(ObjectError::LeaseFault, &world.log, &[0, 0, 16])?;
    check!(core::hint::black_box(&into).iter().any(|byte| *byte != 0));
    Ok(())
}

pub(super) fn write_log(world: &mut World, row: &Row) -> Verdict {
    let text = "the log is written\n";
    let here = text.as_ptr() as u64;
    row.object(&world.log, Rights::LOG)?;
    row.expect(OK, &world.log, &[here, text.len() as u64])?;
    row.expect(ObjectError::OutOfRange, &world.log, &[here, 513])?;
    row.expect(ObjectError::LeaseFault, &world.log, &[0, 16])
}

pub(super) fn bind_log(world: &mut World, row: &Row) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    row.pass(&endpoint);
    row.object(&world.log, Rights::LOG)?;
    row.expect(OK, &world.log, &[1])?;
    let closed = closed()?;
    row.pass(&closed);
    row.expect(ObjectError::Died, &world.log, &[1])?;
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &world.log, &[1])
}

pub(super) fn device_memory(world: &mut World, row: &Row) -> Verdict {
    let devices = world.devices()?;
    row.object(devices, Rights::DEVICES)?;
    row.expect(OK, devices, &[REGISTERS, 1])?;
    row.expect(ObjectError::BadAddress, devices, &[REGISTERS + 1, 1])?;
    row.expect(ObjectError::OutOfRange, devices, &[1 << 48, 1])?;
    // RAM is nobody's device.
    row.expect(ObjectError::Denied, devices, &RAM)?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, devices, &[REGISTERS, 1])
}

pub(super) fn interrupt(world: &mut World, row: &Row) -> Verdict {
    let devices = world.devices()?;
    row.object(devices, Rights::DEVICES)?;
    row.expect(OK, devices, &[LINE])?;
    row.expect(ObjectError::Overlap, devices, &[LINE])?;
    row.expect(ObjectError::NotFound, devices, &[1 << 20])?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, devices, &[LINE + 1])
}

pub(super) fn create_reservation(world: &mut World, row: &Row) -> Verdict {
    let (time, [budget, period]) = (world.time()?, reservation::numbers());
    row.object(time, Rights::TIME)?;
    row.expect(OK, time, &[budget, period])?;
    row.expect(ObjectError::BadArgument, time, &[0, period])?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, time, &[budget, period])
}

pub(super) fn create_dma(world: &mut World, row: &Row) -> Verdict {
    let devices = world.devices()?;
    row.object(devices, Rights::DEVICES)?;
    row.expect(OK, devices, &[])?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, devices, &[])
}

pub(super) fn release_console(world: &mut World, row: &Row) -> Verdict {
    row.object(&world.log, Rights::LOG)?;
    world.take_console()?;
    row.expect(OK, &world.log, &[])
}
