//! The supervisor's side of its interfaces: one endpoint for all, where the
//! badge says who calls and with which power.

mod caps;
mod fault;
mod inspect;
mod kill_any;
mod program;
mod start;

use crate::{badge::Badge, supervisor::Supervisor};
use libipc::{
    fault::Fault,
    interfaces::supervisor::{Caps, Inspect, KillAny, Program, Start},
    server::{Event, Message, Receiver},
    start::AnyError,
    status::{Cause, TransportError},
};
use tessera_page::Power;

/// A call being served: on behalf of the slot with this number.
struct Session<'s> {
    supervisor: &'s mut Supervisor,
    number: u64,
}

impl Supervisor {
    /// Serves for ever; returns why that came to an end.
    pub fn serve(&mut self) -> AnyError {
        let endpoint = match self.endpoint.as_ref().copy() {
            Ok(copy) => copy.into(),
            Err(error) => return error.into(),
        };
        let mut receiver = Receiver::new(&endpoint);
        loop {
            let deadline = self.restart_due();
            match receiver.wait(deadline) {
                Ok(Event::Message(message)) => {
                    self.dispatch(message);
                    // What was killed meanwhile may be the caller: such an
                    // answer is refused, and must not keep this from receiving.
                    receiver.flush();
                }
                Ok(Event::Closed(badge)) => self.closed(badge),
                Ok(Event::Signals(_)) => {}
                Err(TransportError {
                    cause: Cause::TimedOut,
                    ..
                }) => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// Runs one request, if its badge allows that interface.
    fn dispatch(&mut self, message: Message<'_, '_>) {
        let Some(badge) = Badge::from_word(message.badge()) else {
            return message.refuse();
        };
        let (Badge::Fault(number) | Badge::Power(_, number) | Badge::Program(number)) = badge;
        let mut session = Session {
            supervisor: self,
            number,
        };
        match badge {
            Badge::Fault(_) => message.dispatch::<dyn Fault>(&mut session),
            Badge::Program(_) => message.dispatch::<dyn Program>(&mut session),
            Badge::Power(Power::Start, _) => message.dispatch::<dyn Start>(&mut session),
            Badge::Power(Power::Inspect, _) => message.dispatch::<dyn Inspect>(&mut session),
            Badge::Power(Power::Caps, _) => message.dispatch::<dyn Caps>(&mut session),
            Badge::Power(Power::KillAny, _) => message.dispatch::<dyn KillAny>(&mut session),
            // Placing and upgrading are not served yet.
            Badge::Power(Power::Place | Power::Upgrade, _) => message.refuse(),
        }
    }

    /// Nobody holds a capability with this badge any more.
    fn closed(&mut self, badge: u64) {
        let Some(Badge::Program(number)) = Badge::from_word(badge) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let Some(program) = slot.as_program() else {
            return;
        };
        program.held = false;
        let (started, over) = (program.started, program.outcome.is_some());
        if over {
            self.slots.remove(number);
        } else if !started {
            self.discard(number);
        }
    }
}
