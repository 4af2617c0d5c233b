//! What the shell waits for besides bytes: Ctrl-C, the ends of programs, and answers that
//! take their time.

use alloc::boxed::Box;
use alloc::format;
use core::time::Duration;

use libipc::handle::Rights;
use libipc::objects::EndpointClient;
use libipc::server::{Event, Receiver};
use libipc::time::Instant;
use libipc::{CallError, Capability, task, thread};
use tessera_tools::IoError;

/// How often a call is cancelled anew: its thread may not have waited yet.
const AGAIN: Duration = Duration::from_millis(50);

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

    /// Does what may wait long for others, on a thread. Ctrl-C ends each call that it makes,
    /// and stays for whoever asks.
    pub(super) fn until_interrupted(
        &mut self,
        work: Box<dyn FnOnce() + Send>,
    ) -> Result<(), IoError> {
        let too_many = || IoError::Failed("too many programs run".into());
        let bit = self.allot().ok_or_else(too_many)?;
        let done = self.wait_for(bit, work);
        self.free(bit);
        match self.pending & INTERRUPT {
            0 => done,
            _ => Err(IoError::Failed("interrupted".into())),
        }
    }

    fn wait_for(&mut self, bit: u64, work: Box<dyn FnOnce() + Send>) -> Result<(), IoError> {
        let signaller = self.signaller()?;
        let working = thread::spawn(move || {
            work();
            // The shell waits for it, and is there.
            let _ = signaller.signal(bit);
        });
        let working = working.map_err(failed)?;
        while !self.take(bit) {
            let is_interrupted = self.pending & INTERRUPT != 0;
            self.wait(match is_interrupted {
                true => Instant::after(AGAIN),
                false => Instant::FOREVER,
            });
            if self.pending & INTERRUPT != 0 {
                working.cancel();
            }
        }
        working.join();
        Ok(())
    }

    pub(super) fn take_interrupt(&mut self) -> bool {
        self.take(INTERRUPT)
    }
}

/// The kernel refused what it should not: in words.
pub(super) fn failed<E: core::fmt::Display>(error: CallError<E>) -> IoError {
    IoError::Failed(format!("{error}"))
}
