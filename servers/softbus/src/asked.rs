//! What programs here ask of a device as a whole: what it publishes, and to open it.

use crate::{events::transport, server::Server};
use alloc::{string::String, vec::Vec};
use core::time::Duration;
use libipc::{
    Capability,
    interfaces::{
        BusError,
        bus::{BusName, Listed},
    },
    server::{LeaseId, Reply},
    status::{Cause, TransportError},
    time::Instant,
};
use tessera_softbus_protocol::{
    node::{CallId, Listed as Found, Object},
    suite::PublicKey,
};

/// How long another device may take to say what it publishes, or to open it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a device may take until it is heard.
const REACH: Duration = Duration::from_secs(6);

/// Requests to devices that cannot be reached yet.
const UNREACHED: usize = 32;

/// What is asked of a device, and who waits for it.
pub(crate) enum Asked {
    /// What it publishes, of this interface.
    Browse(LeaseId, Reply<u64, BusError>, String),
    /// A service. What is published here comes home only to one who may use all of the bus.
    Open(BusName, Reply<Capability, BusError>, bool),
    /// A service if it is of this interface: what the device publishes is asked first.
    OpenOf(String, BusName, Reply<Capability, BusError>),
}

impl Asked {
    fn fail(self, error: BusError) {
        match self {
            Asked::Browse(_, reply, _) => reply.answer(Err(error)),
            Asked::Open(_, reply, _) | Asked::OpenOf(_, _, reply) => reply.answer(Err(error)),
        };
    }

    /// When it ends at the latest.
    fn deadline(&self) -> Instant {
        let caller = match self {
            Asked::Browse(_, reply, _) => reply.deadline(),
            Asked::Open(_, reply, _) | Asked::OpenOf(_, _, reply) => reply.deadline(),
        };
        caller.min(Instant::now() + PATIENCE)
    }
}

impl Server<'_> {
    /// Asks a device, now or when it can be reached.
    pub(crate) fn ask(&mut self, key: PublicKey, asked: Asked) {
        if self.waiting.unreached.len() >= UNREACHED {
            return asked.fail(BusError::Busy);
        }
        let until = Instant::now() + REACH;
        self.waiting.unreached.push((until, key, asked));
        self.ask_unreached();
    }

    /// Asks devices that can be reached now. A device that was just paired, or that has
    /// just started, is heard a little later.
    pub(crate) fn ask_unreached(&mut self) {
        let waiting = core::mem::take(&mut self.waiting.unreached);
        for (until, key, asked) in waiting {
            let (deadline, now) = (self.millis(asked.deadline()), self.now());
            let made = match &asked {
                Asked::Browse(..) | Asked::OpenOf(..) => self.node.browse(&key, deadline, now),
                Asked::Open(service, ..) => self.node.open(&key, service.as_str(), deadline, now),
            };
            match made {
                Ok(id) => {
                    self.waiting.asked.insert(id, (key, asked));
                }
                Err(Cause::Unreachable) if until > Instant::now() => {
                    self.waiting.unreached.push((until, key, asked));
                }
                Err(cause) => asked.fail(refused(cause)),
            }
        }
    }

    pub(crate) fn browsed(&mut self, id: CallId, found: Result<Vec<Found>, TransportError>) {
        let Some((key, asked)) = self.waiting.asked.remove(&id) else {
            return;
        };
        match (asked, found) {
            (asked, Err(error)) => asked.fail(transport(error)),
            (Asked::Browse(into, reply, interface), Ok(found)) => {
                let list = list(found, &interface, into.len());
                let lease = reply.lease_mut(into);
                let written = lease.and_then(|lease| lease.write_at(0, &list));
                let written = written.map(|()| list.len() as u64);
                reply.answer(written.map_err(|_| BusError::BadMemory));
            }
            (Asked::OpenOf(interface, service, reply), Ok(found)) => {
                let is_wanted =
                    |one: &Found| one.name == service.as_str() && one.interface == interface;
                match found.iter().any(is_wanted) {
                    true => self.ask(key, Asked::Open(service, reply, false)),
                    false => {
                        reply.answer(Err(BusError::NoService));
                    }
                }
            }
            (Asked::Open(..), Ok(_)) => {}
        }
    }

    pub(crate) fn opened(&mut self, id: CallId, opened: Result<Object, TransportError>) {
        let asked = self.waiting.asked.remove(&id);
        let may_have = matches!(asked, Some((_, Asked::Open(.., true))));
        let capability = match opened {
            Ok(object) => self
                .arrive_one(object, may_have)
                .map_err(|cause| transport(TransportError::refused(cause))),
            Err(error) => Err(transport(error)),
        };
        if let Some((_, Asked::Open(_, reply, _))) = asked {
            reply.answer(capability);
        }
    }
}

/// The services of an interface, or of any if that is empty, as the caller gets them: those
/// that do not fit are left out.
fn list(found: Vec<Found>, interface: &str, room: usize) -> Vec<u8> {
    let mut list = Vec::new();
    let wanted = |one: &Found| interface.is_empty() || one.interface == interface;
    for one in found.into_iter().filter(wanted) {
        let before = list.len();
        let one = Listed {
            name: one.name,
            interface: one.interface,
        };
        one.emit(&mut list);
        if list.len() > room {
            list.truncate(before);
        }
    }
    list
}

fn refused(cause: Cause) -> BusError {
    transport(TransportError::refused(cause))
}
