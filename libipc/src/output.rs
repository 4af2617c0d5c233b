//! Text for people: through the standard output that start information names.

use crate::{
    Capability,
    client::Borrowed,
    handle::Handle,
    interfaces::{LogClient, LogLevel, StreamClient, log::LINE},
    objects::SystemClient,
    wire::Text as Line,
};
use core::{
    fmt::{self, Write},
    mem::ManuallyDrop,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The capability's name for output in start information.
pub const OUT: &str = "out";
/// The capability's name for error messages; without it they go to [`OUT`].
pub const ERR: &str = "err";
/// With neither, text goes to the kernel's log: through the name by which the
/// supervisor holds the kernel's `System`, or that which pages have for its log.
pub const SYSTEM: [&str; 2] = ["system", "kernel-log"];
/// With none of these, what goes wrong is told to the log server.
pub const LOG: &str = "log";
/// How long that may take: the log server itself has nobody to tell.
const PATIENCE: Duration = Duration::from_millis(200);

/// Prints text to the standard output.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::output::print(core::format_args!($($argument)*))
    };
}

/// Prints a line to the standard output.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::output::print(core::format_args!("{}\n", core::format_args!($($argument)*)))
    };
}

/// Prints a line to the standard error output.
#[macro_export]
macro_rules! eprintln {
    ($($argument:tt)*) => {
        $crate::output::print_error(core::format_args!("{}\n", core::format_args!($($argument)*)))
    };
}

static OUT_HANDLE: AtomicU64 = AtomicU64::new(0);
static ERR_HANDLE: AtomicU64 = AtomicU64::new(0);
static SYSTEM_HANDLE: AtomicU64 = AtomicU64::new(0);
static LOG_HANDLE: AtomicU64 = AtomicU64::new(0);

/// Finds the capabilities to print through.
#[cfg(target_os = "none")]
pub(crate) fn choose(info: &libipc_abi::start::StartInfo<'_>) {
    let named = |name| info.capability(name).unwrap_or_default().0;
    OUT_HANDLE.store(named(OUT), Ordering::Relaxed);
    ERR_HANDLE.store(named(ERR), Ordering::Relaxed);
    let system = SYSTEM.map(named);
    let system = if system[0] == 0 { system[1] } else { system[0] };
    SYSTEM_HANDLE.store(system, Ordering::Relaxed);
    LOG_HANDLE.store(named(LOG), Ordering::Relaxed);
}

/// Prints to the standard output; what nobody takes is lost.
pub fn print(text: fmt::Arguments<'_>) {
    let out = OUT_HANDLE.load(Ordering::Relaxed);
    print_to(Handle(out), text);
}

/// Prints to the standard error output, or to the standard output if there is
/// no such.
pub fn print_error(text: fmt::Arguments<'_>) {
    let err = ERR_HANDLE.load(Ordering::Relaxed);
    let handle = if err == 0 {
        OUT_HANDLE.load(Ordering::Relaxed)
    } else {
        err
    };
    print_to(Handle(handle), text);
}

fn print_to(handle: Handle, text: fmt::Arguments<'_>) {
    let mut pieces = Pieces {
        handle,
        text: Text::new(),
    };
    // Formatting fails only if a `Display` says so; then the rest is missing.
    let _ = pieces.write_fmt(text);
    pieces.flush();
}

/// Up to `N` bytes of text being made.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Text {
            bytes: [0; N],
            length: 0,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = N - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// Collects text, so that a line usually leaves in one call.
struct Pieces {
    handle: Handle,
    text: Text<512>,
}

impl Pieces {
    fn flush(&mut self) {
        write(self.handle, self.text.as_bytes());
        self.text.length = 0;
    }
}

impl Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.text.bytes.len() - self.text.length {
            self.flush();
        }
        if text.len() > self.text.bytes.len() {
            write(self.handle, text.as_bytes());
            return Ok(());
        }
        self.text.write_str(text)
    }
}

fn write(handle: Handle, mut bytes: &[u8]) {
    if handle.is_null() {
        return write_log(bytes);
    }
    let stream = Borrowed::<StreamClient>::new(handle);
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) if count > 0 => bytes = &bytes[(count as usize).min(bytes.len())..],
            _ => return,
        }
    }
}

fn write_log(bytes: &[u8]) {
    let system = SYSTEM_HANDLE.load(Ordering::Relaxed);
    if system != 0 {
        let system = Borrowed::<SystemClient>::new(Handle(system));
        let _ = system.write_log(bytes.as_ptr() as u64, bytes.len() as u64);
    } else {
        tell_log(bytes);
    }
    // On the host nobody gave a program anything: use the host's own.
    #[cfg(not(target_os = "none"))]
    let _ = std::io::Write::write_all(&mut std::io::stdout(), bytes);
}

/// Tells the log server, if the task may.
fn tell_log(bytes: &[u8]) {
    let log = Handle(LOG_HANDLE.load(Ordering::Relaxed));
    let text = str::from_utf8(bytes).unwrap_or_default();
    if log.is_null() || text.is_empty() {
        return;
    }
    let client = LogClient::from(Capability::from_handle(log)).with_timeout(PATIENCE);
    // The handle is the task's.
    let client = ManuallyDrop::new(client);
    let end = text.floor_char_boundary(LINE);
    let line = Line::new(text[..end].trim_end()).unwrap_or_default();
    let _ = client.append(LogLevel::Error, line);
}
