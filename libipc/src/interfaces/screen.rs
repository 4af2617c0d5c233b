//! `Screen`: lines of text for whoever sits in front of a device.

use super::*;

/// Why a line was not shown. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ScreenError {
    /// It is empty.
    Empty = 1,
}

describe!(ScreenError {
    Empty => "there is nothing to show",
});

/// Where lines are shown.
#[interface]
pub trait Screen {
    /// Shows a line, with a mark that says whose it is, and without control characters.
    /// `Empty`.
    #[op(0)]
    fn say(&mut self, text: Text<240>) -> Result<(), ScreenError>;
}
