//! The maker's side of a child's faults.

use crate::check::Failure;
use libipc::{
    fault::Fault,
    objects::{EndpointClient, FaultKind, ObjectError},
    server::{Event, Receiver},
    time::Instant,
};

/// What a fault handler is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) task: u64,
    pub(crate) thread: u64,
    pub(crate) kind: FaultKind,
    pub(crate) address: u64,
    pub(crate) code: u64,
    pub(crate) pc: u64,
    pub(crate) sp: u64,
}

struct Handler {
    goes_on: bool,
    report: Option<Report>,
}

impl Fault for Handler {
    fn fault(
        &mut self,
        task: u64,
        thread: u64,
        kind: FaultKind,
        address: u64,
        code: u64,
        pc: u64,
        sp: u64,
    ) -> Result<(), ObjectError> {
        self.report = Some(Report {
            task,
            thread,
            kind,
            address,
            code,
            pc,
            sp,
        });
        if self.goes_on {
            Ok(())
        } else {
            Err(ObjectError::WrongState)
        }
    }
}

/// Waits for a fault and answers that the thread is to go on, or to end.
#[track_caller]
pub(crate) fn serve_fault(
    endpoint: &EndpointClient,
    deadline: Instant,
    goes_on: bool,
) -> Result<Report, Failure> {
    let mut receiver = Receiver::new(endpoint);
    loop {
        match receiver.wait(deadline)? {
            Event::Message(message) => {
                let mut handler = Handler {
                    goes_on,
                    report: None,
                };
                message.dispatch::<dyn Fault>(&mut handler);
                match handler.report {
                    Some(report) => return Ok(report),
                    None => return Err(Failure::new("that was no fault message")),
                }
            }
            Event::Signals(_) | Event::Closed(_) => {}
        }
    }
}
