//! Calls on endpoints themselves.

use super::Caller;
use crate::{
    capability::object::Target,
    ipc::{self, end},
    memory::{slab, space::Progress},
    object::{
        endpoint::{Endpoint, State},
        session::Session,
    },
};
use libipc_abi::{
    handle::Rights,
    objects::{self, EndpointClient, EndpointInfo, ObjectError, SessionInfo},
};

/// Receivers that are counted.
const COUNTED: usize = 64;

/// An endpoint that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) endpoint: &'k Endpoint,
    /// The endpoint's epoch when the capability that was used was made.
    pub(super) epoch: u64,
}

impl On<'_, '_> {
    /// The right to receive, unless it was expelled.
    fn receiver(&self) -> Result<(), ObjectError> {
        self.caller.need(Rights::RECEIVE)?;
        if self.epoch == self.endpoint.epoch.get() {
            Ok(())
        } else {
            Err(ObjectError::Denied)
        }
    }
}

impl objects::Endpoint for On<'_, '_> {
    fn mint(&mut self, badge: u64, rights: u64, limit: u64) -> Result<EndpointClient, ObjectError> {
        self.receiver()?;
        if self.endpoint.state.get() == State::Closed {
            return Err(ObjectError::Died);
        }
        if limit == 0 {
            return Err(ObjectError::BadArgument);
        }
        let rights = u8::try_from(rights).map_err(|_| ObjectError::BadArgument)?;
        let held = self.caller.rights;
        let wanted = Rights::from_bits_retain(rights);
        let rights = held & wanted | (held | wanted) & Rights::FAR_ONLY;
        let k = self.caller.k;
        let source = self.caller.slot(self.caller.handle())?;
        let session = ipc::session::create(k, self.endpoint, badge, limit)?;
        let target = Target::Endpoint(self.endpoint, Some(session), self.epoch);
        let table = &self.caller.task.table;
        match table.insert_from(k, self.caller.task, &target, rights, source) {
            Ok(handle) => Ok(EndpointClient(handle)),
            Err(error) => {
                session.told.set(true);
                session.end_if_unused(k);
                Err(error)
            }
        }
    }

    fn pause(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        match self.endpoint.state.get() {
            State::Open => {
                self.endpoint.set_state(self.caller.k, State::Paused);
                Ok(())
            }
            State::Paused => Ok(()),
            State::Closed => Err(ObjectError::WrongState),
        }
    }

    fn resume(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        if self.endpoint.state.get() == State::Closed {
            return Err(ObjectError::WrongState);
        }
        end::resume(self.caller.k, self.endpoint);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        end::close(self.caller.k, self.endpoint);
        Ok(())
    }

    fn expel(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let mut epoch = self.caller.progress();
        if end::expel(self.caller.k, self.endpoint, &mut epoch) == Progress::Again {
            return self.caller.interrupted(epoch);
        }
        self.caller.renew_epoch(epoch);
        Ok(())
    }

    fn info(&mut self) -> Result<EndpointInfo, ObjectError> {
        let allowed = Rights::CONTROL | Rights::RECEIVE;
        if !self.caller.rights.intersects(allowed) {
            return Err(ObjectError::Denied);
        }
        let (k, endpoint) = (self.caller.k, self.endpoint);
        Ok(EndpointInfo {
            id: endpoint.id.get(),
            state: endpoint.state.get() as u64,
            queued: endpoint.senders.length(),
            receivers: endpoint.receivers.iter(k).take(COUNTED).count() as u64,
            signals: endpoint.signals.get(),
            sessions: endpoint.session_count.get(),
        })
    }

    fn session(&mut self, cursor: u64) -> Result<SessionInfo, ObjectError> {
        self.receiver()?;
        let k = self.caller.k;
        let sessions = &self.endpoint.sessions;
        let session = match cursor {
            0 => sessions.first(k),
            _ => slab::named(k, cursor).filter(|s: &&Session| s.endpoint.is(self.endpoint)),
        };
        let session = session.ok_or(ObjectError::NotFound)?;
        let next = sessions.after(k, session);
        Ok(SessionInfo {
            badge: session.badge.get(),
            copies: session.copies.get(),
            in_flight: session.in_flight(),
            limit: session.limit.get(),
            calls: session.calls.get(),
            bytes: session.bytes.get(),
            next: next.map_or(0, |next| slab::name(k, next)),
        })
    }
}
