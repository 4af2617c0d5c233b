//! `Reservation`: processor time.

use super::*;

/// A budget of processor time, refilled each period. In any stretch of time as
/// long as its period it gives at most twice its budget.
#[interface]
pub trait Reservation {
    /// Makes this the time that `thread` runs on: no more of it in each period,
    /// and the next thread takes it from the last. Needs `CONTROL`, on the thread
    /// too.
    #[op(0)]
    #[errors(Died)]
    fn bind(&mut self, thread: &ThreadClient) -> Result<(), ObjectError>;

    /// Its thread runs whenever its priority lets it. Needs `CONTROL`.
    #[op(1)]
    fn unbind(&mut self) -> Result<(), ObjectError>;

    /// Changes budget and period, in counter ticks, from the next refill on.
    /// `BadArgument` as for `create_reservation`. Needs `CONTROL`.
    #[op(2)]
    #[errors(BadArgument)]
    fn change(&mut self, budget: u64, period: u64) -> Result<(), ObjectError>;

    /// Names the endpoint whose signal bits `signals` are set when the budget is
    /// used up. Needs `CONTROL`, and `SIGNAL` on the endpoint.
    #[op(3)]
    #[errors(Died)]
    fn watch(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError>;

    /// The reservation's numbers. Needs `INSPECT`.
    #[op(4, idempotent)]
    fn info(&mut self) -> Result<ReservationInfo, ObjectError>;
}
