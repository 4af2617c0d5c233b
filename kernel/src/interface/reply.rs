//! Calls on the duty to answer.

use super::Caller;
use crate::{
    capability::object::Target,
    ipc::{
        lease::{self, Failure, Wanted, Way},
        reply::waits_for,
    },
    memory::copy::Stop,
    object::thread::Thread,
    schedule::{budget, inherit},
};
use libipc_abi::{
    handle::Rights,
    objects::{self, ObjectError, ReplyClient},
};

/// A request that is called: the one being served, or a kept one.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) client: &'k Thread,
    /// The call's number, for a kept one.
    pub(super) number: u64,
}

impl On<'_, '_> {
    fn is_current(&self) -> bool {
        self.caller.thread.client.is(self.client)
    }

    /// Whether the caller still waits for this very answer.
    fn waits(&self) -> bool {
        self.is_current() || waits_for(self.client, self.number)
    }

    fn copy(&mut self, wanted: &Wanted) -> Result<(), ObjectError> {
        self.caller.need(Rights::ANSWER)?;
        if !self.waits() {
            return Err(ObjectError::WrongState);
        }
        let result = match lease::copy(self.caller.k, self.caller.thread, self.client, wanted) {
            Ok(()) => Ok(()),
            Err(Failure::NoLease) => return Err(ObjectError::OutOfRange),
            Err(Failure::Lender) => return Err(ObjectError::LeaseFault),
            Err(Failure::Server) => return Err(ObjectError::BadAddress),
            Err(Failure::Interrupt(done)) => Err(Stop::Interrupt(done)),
        };
        self.caller.copied(result, [1, 2], 3)
    }
}

impl objects::Reply for On<'_, '_> {
    fn keep(&mut self) -> Result<ReplyClient, ObjectError> {
        self.caller.need(Rights::ANSWER)?;
        // A passive server has no time of its own to answer later with.
        if !self.is_current() || self.caller.thread.passive.get() {
            return Err(ObjectError::WrongState);
        }
        let k = self.caller.k;
        let server = self.caller.thread;
        let target = Target::Reply(self.client, self.client.call_number.get());
        let handle = self.caller.give(&target, Rights::ANSWER | Rights::GRANT)?;
        self.client.server.set(None);
        server.client.set(None);
        server.depth.set(0);
        // Donation ends where a reply is kept.
        inherit::settle(k, server);
        budget::settle(k, server);
        Ok(ReplyClient(handle))
    }

    fn read(&mut self, lease: u64, offset: u64, into: u64, length: u64) -> Result<(), ObjectError> {
        self.copy(&Wanted {
            lease,
            offset,
            address: into,
            length,
            way: Way::Read,
        })
    }

    fn write(
        &mut self,
        lease: u64,
        offset: u64,
        from: u64,
        length: u64,
    ) -> Result<(), ObjectError> {
        self.copy(&Wanted {
            lease,
            offset,
            address: from,
            length,
            way: Way::Write,
        })
    }

    fn cancelled(&mut self) -> Result<bool, ObjectError> {
        self.caller.need(Rights::ANSWER)?;
        Ok(!self.waits())
    }

    fn deadline(&mut self) -> Result<u64, ObjectError> {
        self.caller.need(Rights::ANSWER)?;
        match self.waits() {
            true => Ok(self.client.alarm.deadline()),
            false => Err(ObjectError::WrongState),
        }
    }
}
