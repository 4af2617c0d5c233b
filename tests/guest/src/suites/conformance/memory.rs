//! Operations of memory.

use super::row::{OK, Row};
use crate::{check::Verdict, run::World};
use libipc::{handle::Rights, objects::ObjectError};

pub(super) fn pages(_: &mut World, row: &Row) -> Verdict {
    let memory = libipc::task().create_memory(2)?;
    row.object(&memory, Rights::empty())?;
    row.expect(OK, &memory, &[])
}

pub(super) fn read(_: &mut World, row: &Row) -> Verdict {
    copies(row, Rights::READ)
}

pub(super) fn write(_: &mut World, row: &Row) -> Verdict {
    copies(row, Rights::WRITE)
}

fn copies(row: &Row, needs: Rights) -> Verdict {
    let memory = libipc::task().create_memory(2)?;
    let mut own = [0_u8; 16];
    let here = own.as_mut_ptr() as u64;
    row.object(&memory, needs)?;
    row.expect(OK, &memory, &[4090, here, 16])?;
    row.expect(ObjectError::OutOfRange, &memory, &[8190, here, 16])?;
    row.expect(ObjectError::OutOfRange, &memory, &[u64::MAX, here, 16])?;
    row.expect(ObjectError::LeaseFault, &memory, &[0, 0, 16])?;
    core::hint::black_box(&own);
    Ok(())
}
