//! The kernel's log: a ring of bytes that a log server reads. Until the console
//! driver has taken over, lines also go to the early console.

use crate::{
    Entered,
    arch::{Arch, Port},
    cell::Word,
    object::{binding::Binding, endpoint::Endpoint},
};
use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

/// Bytes that are kept.
const SIZE: usize = 16 * 1024;

/// The log.
pub struct Log {
    ring: [AtomicU8; SIZE],
    /// Bytes written so far.
    end: Word<u64>,
    /// The console driver prints now.
    released: Word<bool>,
    /// Whom it signals when it grows.
    pub reader: Binding,
    /// The reader has to be told.
    grown: Word<bool>,
}

impl Log {
    pub(crate) const fn new() -> Log {
        Log {
            ring: [const { AtomicU8::new(0) }; SIZE],
            end: Word::zeroed(),
            released: Word::zeroed(),
            reader: Binding::none(),
            grown: Word::zeroed(),
        }
    }

    /// Appends a byte.
    pub fn put(&self, byte: u8) {
        let end = self.end.get();
        self.ring[end as usize % SIZE].store(byte, Relaxed);
        self.end.set(end + 1);
        self.grown.set(true);
        if !self.released.get() {
            if byte == b'\n' {
                Port::print(b'\r');
            }
            Port::print(byte);
        }
    }

    /// Copies bytes from position `from`, or the oldest that are kept, into
    /// `into`: the position of the first, and how many.
    pub fn read(&self, from: u64, into: &mut [u8]) -> (u64, usize) {
        let end = self.end.get();
        let first = from.clamp(end.saturating_sub(SIZE as u64), end);
        let count = into.len().min((end - first) as usize);
        for (index, byte) in into[..count].iter_mut().enumerate() {
            *byte = self.ring[(first as usize + index) % SIZE].load(Relaxed);
        }
        (first, count)
    }

    /// The early console is no longer the kernel's.
    pub fn release_console(&self) {
        self.released.set(true);
    }

    /// The kernel is about to end and must be heard.
    pub fn seize_console(&self) {
        self.released.set(false);
    }

    /// The endpoint answers nobody any more, so it is not told either.
    pub fn forget_reader(&self, k: Entered<'_>, endpoint: &Endpoint) {
        if self.reader.leads_to(endpoint) {
            self.reader.end(k);
        }
    }

    /// Whether the log has grown since its reader was told.
    pub fn has_grown(&self) -> bool {
        self.grown.get()
    }

    /// Tells the reader, if the log has grown since it was told.
    pub fn tell(&self, k: Entered<'_>) {
        if self.grown.replace(false) {
            self.reader.signal(k);
        }
    }
}

/// Formats into a log.
pub struct Writer<'l>(pub &'l Log);

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.0.put(byte));
        Ok(())
    }
}

/// Writes a line to the kernel's log.
#[macro_export]
macro_rules! logln {
    ($kernel:expr, $($argument:tt)*) => {{
        use core::fmt::Write;
        // Writing to the log cannot fail.
        let _ = writeln!($crate::log::Writer(&$kernel.log), $($argument)*);
    }};
}
