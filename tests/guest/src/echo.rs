//! A small interface with one operation for each way in which something
//! travels, and a server of it.

use crate::check::{Failure, Verdict};
use core::sync::atomic::{AtomicU64, Ordering};
use libipc::{
    Capability, ErrorCode, Lease, LeaseMut, Start,
    client::Borrowed,
    interface,
    objects::{EndpointClient, ThreadClient},
    server::{LeaseId, Reply},
    thread::{self, JoinHandle},
};

/// Why [`Echo`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum EchoError {
    /// It was asked to.
    Asked = 7,
    /// A lease could not be copied.
    Lease = 8,
}

impl core::fmt::Display for EchoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            EchoError::Asked => "refused as asked",
            EchoError::Lease => "a lease could not be copied",
        })
    }
}

/// Says back what it is told.
#[interface]
pub trait Echo {
    /// The sum, and the badge of the caller.
    #[op(0, idempotent)]
    fn add(&mut self, left: u64, right: u64) -> Result<u64, EchoError>;

    /// More words than registers hold, in reverse.
    #[op(1)]
    fn reverse(&mut self, words: [u64; 100]) -> Result<[u64; 100], EchoError>;

    /// The same capability.
    #[op(2)]
    fn pass(&mut self, capability: Capability) -> Result<Capability, EchoError>;

    /// The sum of all bytes.
    #[op(3)]
    fn sum(&mut self, from: Lease) -> Result<u64, EchoError>;

    /// Fills memory with `byte` plus the offset.
    #[op(4)]
    fn fill(&mut self, into: LeaseMut, byte: u8) -> Result<(), EchoError>;

    /// Refuses.
    #[op(5)]
    fn refuse(&mut self) -> Result<(), EchoError>;

    /// Sums up another lease later.
    #[op(6)]
    #[deferred]
    fn later(&mut self, from: Lease) -> Result<u64, EchoError>;

    /// How often this was called before, by anybody.
    #[op(7, recorded, since = 2)]
    fn count(&mut self, why: u64) -> Result<u64, EchoError>;
}

/// Calls of [`Echo::count`].
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Serves [`Echo`].
pub(crate) struct Echoing;

impl Echo for Echoing {
    fn add(&mut self, left: u64, right: u64) -> Result<u64, EchoError> {
        Ok(left.wrapping_add(right))
    }

    fn reverse(&mut self, mut words: [u64; 100]) -> Result<[u64; 100], EchoError> {
        words.reverse();
        Ok(words)
    }

    fn pass(&mut self, capability: Capability) -> Result<Capability, EchoError> {
        Ok(capability)
    }

    fn sum(&mut self, from: Lease<'_>) -> Result<u64, EchoError> {
        sum(&from)
    }

    fn fill(&mut self, into: LeaseMut<'_>, byte: u8) -> Result<(), EchoError> {
        let mut piece = [0; 1024];
        for start in (0..into.len()).step_by(piece.len()) {
            let length = piece.len().min(into.len() - start);
            for (index, place) in piece[..length].iter_mut().enumerate() {
                *place = byte.wrapping_add((start + index) as u8);
            }
            into.write_at(start, &piece[..length])
                .map_err(|_| EchoError::Lease)?;
        }
        Ok(())
    }

    fn refuse(&mut self) -> Result<(), EchoError> {
        Err(EchoError::Asked)
    }

    fn count(&mut self, _why: u64) -> Result<u64, EchoError> {
        Ok(COUNT.fetch_add(1, Ordering::Relaxed))
    }

    fn later(&mut self, from: LeaseId, reply: Reply<u64, EchoError>) {
        let result = sum(&reply.lease(from));
        reply.answer(result);
    }
}

/// A child that serves [`Echo`] at its `endpoint` until that is closed.
pub(crate) fn serve(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    libipc::serve::<dyn Echo>(&endpoint, &mut Echoing);
    Ok(())
}

fn sum(from: &Lease<'_>) -> Result<u64, EchoError> {
    let mut piece = [0; 1024];
    let mut total = 0;
    for start in (0..from.len()).step_by(piece.len()) {
        let length = piece.len().min(from.len() - start);
        from.read_at(start, &mut piece[..length])
            .map_err(|_| EchoError::Lease)?;
        total += piece[..length]
            .iter()
            .map(|byte| u64::from(*byte))
            .sum::<u64>();
    }
    Ok(total)
}

/// An endpoint with a thread of this task behind it. Dropping it closes the
/// endpoint and waits for the thread.
pub(crate) struct Server<T: Send + 'static> {
    pub(crate) endpoint: EndpointClient,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Server<T> {
    /// Runs `server` on a thread of its own with a new endpoint.
    pub(crate) fn new(
        server: impl FnOnce(&EndpointClient) -> T + Send + 'static,
    ) -> Result<Server<T>, Failure> {
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let thread = thread::spawn(move || server(&Borrowed::new(handle)))?;
        Ok(Server {
            endpoint,
            thread: Some(thread),
        })
    }

    /// The thread, while it runs.
    pub(crate) fn thread(&self) -> Option<&ThreadClient> {
        self.thread.as_ref().and_then(JoinHandle::thread)
    }

    /// Waits for the thread's result.
    pub(crate) fn join(mut self) -> Result<T, Failure> {
        let thread = self.thread.take();
        thread
            .and_then(JoinHandle::join)
            .ok_or_else(|| Failure::new("the server's thread ended without a result"))
    }
}

impl Server<libipc::status::TransportError> {
    /// Serves [`Echo`] until it is closed.
    pub(crate) fn echo() -> Result<Self, Failure> {
        Server::new(|endpoint| libipc::serve::<dyn Echo>(endpoint, &mut Echoing))
    }
}

impl<T: Send + 'static> Drop for Server<T> {
    fn drop(&mut self) {
        // A case may have closed it.
        let _ = self.endpoint.close();
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}
