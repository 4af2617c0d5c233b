//! Calls on reservations.

use super::Caller;
use crate::{
    arch::{Arch, Port},
    capability::object::Target,
    object::{reservation::Reservation, thread},
};
use libipc_abi::{
    handle::{ObjectType, Rights},
    objects::{self, EndpointClient, ObjectError, ReservationInfo, ThreadClient},
};

/// Shortest period, as a fraction of a second: each period can end in a timer
/// interrupt.
const PERIODS_PER_SECOND: u64 = 10_000;

/// A reservation that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) reservation: &'k Reservation,
}

/// Whether these can be a budget and a period.
pub(super) fn check(budget: u64, period: u64) -> Result<(), ObjectError> {
    let shortest = Port::frequency() / PERIODS_PER_SECOND;
    if budget == 0 || budget > period || period < shortest {
        return Err(ObjectError::BadArgument);
    }
    Ok(())
}

impl objects::Reservation for On<'_, '_> {
    fn bind(&mut self, thread: &ThreadClient) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let target = self
            .caller
            .argument(thread.0, ObjectType::Thread, Rights::CONTROL)?;
        let Target::Thread(thread) = target else {
            return Err(ObjectError::Denied);
        };
        if thread.state.get() == thread::State::Dead {
            return Err(ObjectError::Died);
        }
        if !thread.reservation.is(self.reservation) {
            self.unbind()?;
            thread.set_reservation(self.caller.k, Some(self.reservation));
        }
        Ok(())
    }

    fn unbind(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let k = self.caller.k;
        if let Some(thread) = self.reservation.thread.get(k) {
            thread.set_reservation(k, None);
        }
        Ok(())
    }

    fn change(&mut self, budget: u64, period: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        check(budget, period)?;
        self.reservation.budget.set(budget);
        self.reservation.period.set(period);
        Ok(())
    }

    fn watch(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let watcher = &self.reservation.watcher;
        self.caller.bind(watcher, endpoint.0, signals)
    }

    fn info(&mut self) -> Result<ReservationInfo, ObjectError> {
        self.caller.need(Rights::INSPECT)?;
        let (k, reservation) = (self.caller.k, self.reservation);
        Ok(ReservationInfo {
            id: reservation.id.get(),
            budget: reservation.budget.get(),
            period: reservation.period.get(),
            left: reservation.left.get(),
            spent: reservation.spent.get(),
            overruns: reservation.overruns.get(),
            thread: reservation.thread.get(k).map_or(0, |t| t.id.get()),
        })
    }
}
