//! How a call failed.

use crate::status::TransportError;
use core::fmt;

/// How a call failed: on the way, or refused by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The server did not answer; whether the call ran is in the error.
    Transport(TransportError),
    /// The server's answer.
    Server(E),
}

impl<E> CallError<E> {
    /// The transport error, if it is one.
    pub fn transport(&self) -> Option<TransportError> {
        match self {
            CallError::Transport(error) => Some(*error),
            CallError::Server(_) => None,
        }
    }

    /// The server's error, if it is one.
    pub fn server(self) -> Option<E> {
        match self {
            CallError::Transport(_) => None,
            CallError::Server(error) => Some(error),
        }
    }
}

impl<E> From<TransportError> for CallError<E> {
    fn from(error: TransportError) -> Self {
        CallError::Transport(error)
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Transport(error) => error.fmt(f),
            CallError::Server(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for CallError<E> {}
