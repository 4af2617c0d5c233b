//! A panic is a fault: the task's supervisor is told the reason.

use crate::{client::Borrowed, handle::Handle, objects::ThreadClient, output::Text, thread};
use core::{
    fmt::Write,
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering},
};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    if !PANICKING.swap(true, Ordering::Relaxed) {
        let mut reason = Text::<512>::new();
        // What does not fit is cut off.
        let _ = write!(reason, "{info}");
        let reason = reason.as_bytes();
        let thread = Borrowed::<ThreadClient>::new(Handle::THREAD);
        let _ = thread.panic(reason.as_ptr() as u64, reason.len() as u64);
    }
    // A second thread, or a panic while panicking.
    thread::exit(u64::MAX)
}
