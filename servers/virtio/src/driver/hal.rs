//! Where the crate finds memory for its rings, and how it names memory.

use alloc::{rc::Rc, vec::Vec};
use core::ptr::NonNull;
use libipc::{PAGE, memory::Mapping, sync::Mutex};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Pages that were given to the device and are not in use: address and number.
static PAGES: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Lets the crate have these pages, which stay mapped for good.
pub(super) fn provide(mapping: Rc<Mapping>) {
    PAGES.lock().push((mapping.address(), mapping.len() / PAGE));
    core::mem::forget(mapping);
}

/// A driver's memory, which the device reaches at the same addresses as the driver.
pub(super) struct Shared;

// SAFETY: `dma_alloc` hands out each page to one user at a time, zeroed, page-aligned and
// mapped for good, and the proxy knows it at its own address (`transport`); nothing hands
// out physical memory.
unsafe impl Hal for Shared {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let mut free = PAGES.lock();
        let found = free.iter_mut().find(|(_, count)| *count >= pages);
        let taken = found.and_then(|(address, count)| {
            let taken = NonNull::new(*address as *mut u8)?;
            *address += pages * PAGE;
            *count -= pages;
            Some(taken)
        });
        match taken {
            Some(taken) => {
                // SAFETY: so many pages are mapped there for good, and nobody else has
                // them now: they are new, or were given back.
                unsafe { taken.write_bytes(0, pages * PAGE) };
                (taken.as_ptr() as u64, taken)
            }
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, first: NonNull<u8>, pages: usize) -> i32 {
        // A queue ends when its device was reset.
        PAGES.lock().push((first.as_ptr() as usize, pages));
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        // Only transports on PCI ask for it.
        NonNull::dangling()
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.as_ptr().cast::<u8>() as u64
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
