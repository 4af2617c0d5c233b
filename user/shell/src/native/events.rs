//! What the shell waits for besides bytes: Ctrl-C, and the ends of programs.

use alloc::format;

use libipc::handle::Rights;
use libipc::objects::EndpointClient;
use libipc::server::{Event, Receiver};
use libipc::time::Instant;
use libipc::{CallError, Capability, task};
use tessera_tools::IoError;

/// The signal of Ctrl-C.
pub(super) const INTERRUPT: u64 = 1 << 0;

/// The shell's endpoint for signals. Each running program has one bit of its
/// own; bit 0 is Ctrl-C.
pub(super) struct Events {
    endpoint: EndpointClient,
    /// Signals that were received and not yet taken.
    pending: u64,
    /// Bits that belong to somebody.
    used: u64,
}

impl Events {
    pub(super) fn new() -> Result<Self, IoError> {
        let endpoint = task().create_endpoint();
        Ok(Events {
            endpoint: endpoint.map_err(failed)?,
            pending: 0,
            used: INTERRUPT,
        })
    }

    /// A capability with which somebody can signal the shell, and no more.
    pub(super) fn signaller(&self) -> Result<EndpointClient, IoError> {
        let own: &Capability = self.endpoint.as_ref();
        let derived = own.derive(Rights::SIGNAL | Rights::GRANT);
        derived.map(EndpointClient::from).map_err(failed)
    }

    /// A bit that nobody uses.
    pub(super) fn allot(&mut self) -> Option<u64> {
        let bit = !self.used & self.used.wrapping_add(1);
        self.used |= bit;
        (bit != 0).then_some(bit)
    }

    /// Gives a bit back.
    pub(super) fn free(&mut self, bit: u64) {
        self.used &= !bit;
        self.pending &= !bit;
    }

    /// Waits for a signal until `deadline`.
    pub(super) fn wait(&mut self, deadline: Instant) {
        let mut receiver = Receiver::new(&self.endpoint);
        if let Ok(Event::Signals(signals)) = receiver.wait(deadline) {
            self.pending |= signals;
        }
    }

    /// Looks for signals without waiting.
    pub(super) fn poll(&mut self) {
        self.wait(Instant::PAST);
    }

    /// Whether the signal is there; it is not any more afterwards.
    pub(super) fn take(&mut self, bit: u64) -> bool {
        let there = self.pending & bit != 0;
        self.pending &= !bit;
        there
    }

    pub(super) fn take_interrupt(&mut self) -> bool {
        self.take(INTERRUPT)
    }
}

/// The kernel refused what it should not: in words.
pub(super) fn failed<E: core::fmt::Display>(error: CallError<E>) -> IoError {
    IoError::Failed(format!("{error}"))
}
