//! How a case says that something is not as it should be.

use alloc::{format, string::String};
use core::{fmt, panic::Location};

/// What is wrong, in one line, and where that was found.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// How a case ends.
pub(crate) type Verdict = Result<(), Failure>;

impl Failure {
    /// A failure found by the caller.
    #[track_caller]
    pub(crate) fn new(what: impl fmt::Display) -> Failure {
        let place = Location::caller();
        Failure(format!("{what} ({}:{})", place.file(), place.line()).replace('\n', " "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: core::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Failure::new(format_args!("{error:?}"))
    }
}

/// Fails the case unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::check::Failure::new(concat!(
                "not so: ",
                stringify!($condition)
            )));
        }
    };
}

/// Fails the case unless both are equal.
macro_rules! check_eq {
    ($is:expr, $should:expr) => {
        match (&$is, &$should) {
            (is, should) => {
                if *is != *should {
                    return Err($crate::check::Failure::new(format_args!(
                        "{} is {is:?}, not {should:?}",
                        stringify!($is)
                    )));
                }
            }
        }
    };
}
