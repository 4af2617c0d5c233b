//! `Console`: a seat at the terminal.

use super::*;

/// Why the console refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ConsoleError {
    /// The caller is not in front, and nobody whom it seated is.
    NotInFront = 1,
    /// The caller has not opened a seat with this number, or it is gone.
    NoSuchSeat = 2,
    /// There are as many seats as the console keeps.
    TooManySeats = 3,
    /// The name is empty or holds control characters.
    BadName = 4,
    /// A size of zero, or above 1000.
    BadSize = 5,
    /// The console could not make the capability.
    NoResources = 6,
}

describe!(ConsoleError {
    NotInFront => "not in front at the terminal",
    NoSuchSeat => "no such seat at the terminal",
    TooManySeats => "the terminal has no more seats",
    BadName => "a name must be short and plain text",
    BadSize => "not a possible window size",
    NoResources => "the console has no resources left",
});

/// How a seat wants its input. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum ConsoleMode {
    /// By the line, echoed, with erase (Backspace), kill line (Ctrl-U), Ctrl-C
    /// and Ctrl-D. What a seat begins with.
    #[default]
    Cooked = 0,
    /// Every byte as it is typed, without echo, Ctrl-C included: for a line
    /// editor.
    Raw = 1,
    /// As `Raw`, and the output of others waits: for a program that draws the
    /// whole screen.
    Screen = 2,
}

/// The terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct WindowSize {
    /// Characters in a line.
    pub columns: u64,
    /// Lines.
    pub rows: u64,
}

/// A seat at the terminal; the same capability is a [`Stream`] too.
///
/// One seat is in front: it gets the input, and its output appears as it is.
/// Whole lines of the others appear above it, marked with their names and
/// without control characters. A program that starts others opens a seat for
/// each and puts one in front; when that seat is closed (its last capability is
/// gone), whoever opened it is in front again.
///
/// The key Ctrl-] always leads to the console's own prompt, which no client can
/// draw or intercept.
#[interface]
pub trait Console {
    /// Opens a seat for a program called `name`, and returns its number and
    /// capability. `BadName`, `TooManySeats`, `NoResources`.
    #[op(0)]
    fn open(&mut self, name: Text<24>) -> Result<(u64, StreamClient), ConsoleError>;

    /// Puts the seat with this number, which the caller opened, in front; 0 puts
    /// the caller itself in front. `NotInFront` unless the caller is, or
    /// somebody whom it seated; `NoSuchSeat`.
    #[op(1)]
    fn put_in_front(&mut self, seat: u64) -> Result<(), ConsoleError>;

    /// Sets how this seat wants its input. It holds while the seat is in front
    /// and ends with the seat.
    #[op(2, idempotent)]
    fn set_mode(&mut self, mode: ConsoleMode) -> Result<(), ConsoleError>;

    /// The terminal's size.
    #[op(3, idempotent)]
    fn size(&mut self) -> Result<WindowSize, ConsoleError>;

    /// Sets what `size` answers: a serial line does not tell. `BadSize`;
    /// `NotInFront`.
    #[op(4, idempotent)]
    fn set_size(&mut self, size: WindowSize) -> Result<(), ConsoleError>;

    /// Names the endpoint whose signal bits `signals` are set when Ctrl-C is
    /// pressed while this seat, or one opened through it that named none, is in
    /// front. Waiting reads of the seat in front end with `Interrupted`.
    #[op(5, idempotent)]
    fn on_interrupt(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), ConsoleError>;
}
