//! The shell's place at the terminal.

use core::time::Duration;

use libipc::client::Borrowed;
use libipc::interfaces::{ConsoleClient, ConsoleMode, StreamClient};
use libipc::{Capability, Text, time};
use tessera_tools::IoError;
use tessera_tools::native::{counted, write_all};

use super::events::{Events, INTERRUPT, failed};

/// How long to wait before a terminal that is gone is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Longest name of a seat.
const NAME: usize = 24;

/// A seat, which is a stream too.
pub(super) struct Seat(ConsoleClient);

impl Seat {
    pub(super) fn new(console: ConsoleClient, events: &Events) -> Self {
        let seat = Seat(console);
        seat.prepare(events);
        seat
    }

    /// The same capability as a stream.
    fn stream(&self) -> Borrowed<StreamClient> {
        let capability: &Capability = self.0.as_ref();
        Borrowed::new(capability.handle())
    }

    /// Takes the front, asks for keys as they are typed and for Ctrl-C. All of
    /// it is said again before every line, for the console may have been
    /// restarted; what it refuses is noticed when the line is read.
    pub(super) fn prepare(&self, events: &Events) {
        if let Ok(signaller) = events.signaller() {
            let _ = self.0.on_interrupt(signaller, INTERRUPT);
        }
        let _ = self.0.put_in_front(0);
        let _ = self.0.set_mode(ConsoleMode::Raw);
    }

    /// Asks for lines, as programs expect them.
    pub(super) fn cook(&self) {
        let _ = self.0.set_mode(ConsoleMode::Cooked);
    }

    /// One byte, so that what follows a line is left for the program that the
    /// line starts. `None` if the terminal was gone.
    pub(super) fn read(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.stream().read(&mut byte) {
            Ok(0) => Some(0x04),
            Ok(_) => Some(byte[0]),
            Err(_) => {
                time::sleep(RETRY);
                None
            }
        }
    }

    /// Some of a line, for a tool inside the shell.
    pub(super) fn read_some(&self, into: &mut [u8]) -> Result<usize, IoError> {
        let most = into.len();
        let count = self.stream().read(into).map_err(failed)?;
        counted(count, most)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), IoError> {
        write_all(&self.stream(), bytes)
    }

    pub(super) fn set_mode(&self, mode: ConsoleMode) -> Result<(), IoError> {
        self.0.set_mode(mode).map_err(failed)
    }

    /// A seat for a program, and its number.
    pub(super) fn open(&self, program: &str) -> Result<(u64, StreamClient), IoError> {
        let plain = |c: char| if c.is_control() { '?' } else { c };
        let name: alloc::string::String = program.chars().map(plain).collect();
        let name = &name[..name.floor_char_boundary(NAME)];
        self.0
            .open(Text::new(name).unwrap_or_default())
            .map_err(failed)
    }

    /// Puts a program's seat in front.
    pub(super) fn put_in_front(&self, seat: u64) -> Result<(), IoError> {
        self.0.put_in_front(seat).map_err(failed)
    }
}
