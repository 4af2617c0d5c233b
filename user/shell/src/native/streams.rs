//! Where the streams of commands lead.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::RefCell;

use libipc::interfaces::StreamClient;
use libipc::{CallError, Capability};
use tessera_tools::IoError;
use tessera_tools::native::{counted, write_all};

use super::events::failed;

/// Most bytes between two tools inside the shell: the second one begins when
/// the first has ended.
const MEMORY: usize = 32 << 10;

type Buffer = Rc<RefCell<VecDeque<u8>>>;

/// Something to read.
#[derive(Clone)]
pub enum Input {
    /// A file or a pipe.
    Stream(Rc<StreamClient>),
    /// What a tool inside the shell wrote.
    Memory(Buffer),
}

/// Something to write to.
#[derive(Clone)]
pub enum Output {
    /// A file or a pipe.
    Stream(Rc<StreamClient>),
    /// What the next tool inside the shell reads.
    Memory(Buffer),
}

/// A pipe between two tools inside the shell.
pub(super) fn memory() -> (Output, Input) {
    let buffer = Buffer::default();
    (Output::Memory(buffer.clone()), Input::Memory(buffer))
}

/// A second capability for a stream.
pub(super) fn copy(stream: &StreamClient) -> Result<Capability, IoError> {
    let capability: &Capability = stream.as_ref();
    capability.copy().map_err(failed)
}

fn only_inside() -> IoError {
    IoError::Failed("a program cannot be piped here: this system has no server for pipes".into())
}

impl Input {
    pub(super) fn stream(stream: StreamClient) -> Self {
        Input::Stream(Rc::new(stream))
    }

    /// A capability for a program.
    pub(super) fn capability(&self) -> Result<Capability, IoError> {
        match self {
            Input::Stream(stream) => copy(stream),
            Input::Memory(_) => Err(only_inside()),
        }
    }

    pub(super) fn read(&self, into: &mut [u8]) -> Result<usize, IoError> {
        match self {
            Input::Stream(stream) => {
                let most = into.len();
                let count = stream.read(into).map_err(failed)?;
                counted(count, most)
            }
            Input::Memory(buffer) => {
                let mut buffer = buffer.borrow_mut();
                let count = buffer.len().min(into.len());
                into.iter_mut()
                    .zip(buffer.drain(..count))
                    .for_each(|(to, from)| *to = from);
                Ok(count)
            }
        }
    }
}

impl Output {
    pub(super) fn stream(stream: StreamClient) -> Self {
        Output::Stream(Rc::new(stream))
    }

    /// A capability for a program.
    pub(super) fn capability(&self) -> Result<Capability, IoError> {
        match self {
            Output::Stream(stream) => copy(stream),
            Output::Memory(_) => Err(only_inside()),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), IoError> {
        match self {
            Output::Stream(stream) => write_all(stream, bytes),
            Output::Memory(buffer) => {
                let mut buffer = buffer.borrow_mut();
                if buffer.len() + bytes.len() > MEMORY {
                    let text = "more than 32K cannot be piped here";
                    return Err(IoError::Failed(text.into()));
                }
                buffer.extend(bytes);
                Ok(())
            }
        }
    }
}

/// Whether the error says that there is no more of what was asked for by index.
pub(super) fn is_last<E: PartialEq>(error: &CallError<E>, last: E) -> bool {
    matches!(error, CallError::Server(error) if *error == last)
}
