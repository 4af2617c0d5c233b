//! Pages.
#![allow(unsafe_code, reason = "maps and touches pages of its own")]

use libipc::{PAGE, handle::Rights};
use tessera_bench::TIMES;

use crate::{
    World,
    measure::{Measured, once, repeat},
};

/// Where pages are mapped; nothing else is there.
const PLACE: u64 = 1 << 36;

pub(crate) fn zero_page(_: &World) -> Measured {
    const PAGES: u64 = 512;
    let memory = libipc::task().create_memory(PAGES)?;
    let access = (Rights::READ | Rights::WRITE).bits().into();
    // SAFETY: nothing of this program is there.
    unsafe { libipc::task().map(&memory, PLACE, 0, PAGES, access)? };
    let mut page = PLACE as *mut u64;
    let measured = once(PAGES, || {
        // SAFETY: the page was mapped, and no reference to it exists.
        unsafe { page.write_volatile(1) };
        page = page.wrapping_byte_add(PAGE);
        Ok(())
    });
    // SAFETY: nothing refers to it.
    unsafe { libipc::task().unmap(PLACE, PAGES)? };
    measured
}

pub(crate) fn map_page(_: &World) -> Measured {
    let memory = libipc::task().create_memory(1)?;
    let access = (Rights::READ | Rights::WRITE).bits().into();
    repeat(TIMES, || {
        // SAFETY: nothing of this program is there.
        unsafe { libipc::task().map(&memory, PLACE, 0, 1, access)? };
        // SAFETY: it was mapped, and no reference to it exists.
        unsafe { (PLACE as *mut u64).write_volatile(1) };
        // SAFETY: nothing refers to it.
        unsafe { libipc::task().unmap(PLACE, 1)? };
        Ok(())
    })
}
