//! `Screen`: lines of text for whoever sits in front of a device.

use super::*;

/// Why a line was not shown. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ScreenError {
    /// It is empty.
    Empty = 1,
    /// There is no room for it now.
    Busy = 2,
}

describe!(ScreenError {
    Empty => "there is nothing to show",
    Busy => "the screen has no room for it now",
});

/// Where lines are shown.
#[interface]
pub trait Screen {
    /// Shows a line, with a mark that says whose it is, and without control characters.
    /// `Empty`, `Busy`.
    #[op(0)]
    fn say(&mut self, text: Text<240>) -> Result<(), ScreenError>;
}
