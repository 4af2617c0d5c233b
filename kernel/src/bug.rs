//! When the kernel itself is wrong: it says where, and stops.

use crate::{
    arch::{Arch, Port},
    logln,
    start::KERNEL,
};
use core::fmt::Display;
use libipc_abi::objects::Shutdown;

/// Return addresses that are printed.
const DEPTH: usize = 24;

/// Reports a bug of the kernel and stops the machine.
pub fn bug(reason: &dyn Display) -> ! {
    KERNEL.log.seize_console();
    logln!(KERNEL, "kernel bug on core {}: {reason}", Port::core());
    if let Some(thread) = KERNEL.current_thread() {
        logln!(KERNEL, "  while serving thread {thread}");
    }
    let mut frame = Port::frame_pointer();
    for _ in 0..DEPTH {
        let Some((address, next)) = Port::caller(frame) else {
            break;
        };
        logln!(
            KERNEL,
            "  at {address:#x} {}",
            crate::start::symbol(address)
        );
        if next <= frame {
            break;
        }
        frame = next;
    }
    Port::shutdown(Shutdown::Fail)
}
