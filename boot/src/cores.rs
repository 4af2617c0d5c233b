//! Wakes the other cores.

use crate::entry;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tessera_kernel::{
    arch::{Arch, Boot, Port},
    platform::Platform,
};

/// Cores that have come up.
static UP: AtomicUsize = AtomicUsize::new(1);

/// The calling core is ready.
pub(crate) fn arrived() {
    UP.fetch_add(1, SeqCst);
}

/// Starts one core after the other; gives up at the first that does not come
/// within a second. Returns how many there are.
pub(crate) fn start(platform: &Platform) -> usize {
    for core in 1..platform.cores {
        let late = Port::now() + platform.frequency;
        let mut started = false;
        while UP.load(SeqCst) == core {
            // Firmware may still be stopping it.
            started = started || Port::start_core(platform, core, entry::secondary_entry());
            if Port::now() > late {
                return core;
            }
            Port::pause();
        }
    }
    platform.cores
}
