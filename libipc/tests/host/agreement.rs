//! Clients and servers of different versions of an interface.

use crate::common::copy;
use libipc::{
    CallError, Capability, fake,
    near::NearGate,
    objects::ObjectError,
    status::{Cause, TransportError},
};

/// The interface `Clock` as three builds know it: with one operation, with two,
/// and with a first one that means something else.
mod old {
    use libipc::objects::ObjectError;

    /// Tells the time.
    #[libipc::interface]
    pub(crate) trait Clock {
        /// Seconds since the start.
        #[op(0, idempotent)]
        fn seconds(&mut self) -> Result<u64, ObjectError>;
    }
}

mod new {
    use libipc::objects::{EndpointClient, ObjectError};

    /// Tells the time.
    #[libipc::interface]
    pub(crate) trait Clock {
        /// Seconds since the start.
        #[op(0, idempotent)]
        fn seconds(&mut self) -> Result<u64, ObjectError>;

        /// Seconds between 1970 and the start.
        #[op(1, idempotent, since = 2)]
        fn epoch(&mut self) -> Result<u64, ObjectError>;

        /// Signals `alarm`, which moves, at once.
        #[op(2, since = 3)]
        fn wake(&mut self, alarm: EndpointClient) -> Result<(), ObjectError>;
    }
}

mod other {
    use libipc::objects::ObjectError;

    /// Tells the time in a way of its own.
    #[libipc::interface]
    pub(crate) trait Clock {
        /// Thousandths of a second since the start.
        #[op(0, idempotent)]
        fn seconds(&mut self, thousandths: bool) -> Result<u64, ObjectError>;
    }
}

struct Seven;

impl old::Clock for Seven {
    fn seconds(&mut self) -> Result<u64, ObjectError> {
        Ok(7)
    }
}

impl new::Clock for Seven {
    fn seconds(&mut self) -> Result<u64, ObjectError> {
        Ok(7)
    }
    fn epoch(&mut self) -> Result<u64, ObjectError> {
        Ok(1_700_000_000)
    }
    fn wake(&mut self, alarm: libipc::objects::EndpointClient) -> Result<(), ObjectError> {
        alarm.signal(1).map_err(|_| ObjectError::Denied)
    }
}

const MISMATCH: TransportError = TransportError::refused(Cause::VersionMismatch);

fn serve_old() -> Capability {
    fake::serve(|endpoint| libipc::serve::<dyn old::Clock>(endpoint, &mut Seven))
}

fn serve_new() -> Capability {
    fake::serve(|endpoint| libipc::serve::<dyn new::Clock>(endpoint, &mut Seven))
}

#[test]
fn each_version_of_an_interface_has_a_hash() {
    assert_eq!(new::INTERFACE.name_hash, old::INTERFACE.name_hash);
    assert_eq!(new::INTERFACE.older.len(), 2);
    assert_eq!(new::INTERFACE.older[1], old::INTERFACE.hash);
    assert!(new::INTERFACE.accepts(old::INTERFACE.hash));
    assert!(old::INTERFACE.older.is_empty());
    assert_ne!(other::INTERFACE.hash, old::INTERFACE.hash);
}

#[test]
fn a_server_takes_the_hashes_of_its_earlier_versions() {
    let clock = old::ClockClient::from(serve_new());
    assert_eq!(clock.seconds(), Ok(7));
    assert_eq!(clock.agree(&[]), Ok(()));
}

#[test]
fn a_newer_client_calls_what_an_older_server_has() {
    let clock = new::ClockClient::from(serve_old());
    // The first call asks, the second knows.
    assert_eq!(clock.seconds(), Ok(7));
    assert_eq!(clock.seconds(), Ok(7));
    assert_eq!(clock.epoch(), Err(CallError::Transport(MISMATCH)));
    assert_eq!(clock.seconds(), Ok(7));
}

#[test]
fn opening_compares_the_operations_used() {
    let clock = new::ClockClient::from(serve_old());
    assert_eq!(clock.agree(&[new::number::SECONDS]), Ok(()));
    assert_eq!(clock.agree(&[new::number::EPOCH]), Err(MISMATCH));
    assert_eq!(clock.agree(&[]), Err(MISMATCH));
    assert_eq!(clock.seconds(), Ok(7));
    let clock = new::ClockClient::from(serve_new());
    assert_eq!(clock.agree(&[]), Ok(()));
    assert_eq!(clock.epoch(), Ok(1_700_000_000));
}

#[test]
fn an_operation_that_means_something_else_is_refused() {
    let clock = other::ClockClient::from(serve_old());
    assert_eq!(clock.seconds(true), Err(CallError::Transport(MISMATCH)));
    assert_eq!(clock.agree(&[other::number::SECONDS]), Err(MISMATCH));
}

#[test]
fn a_successor_of_another_version_is_noticed() {
    let endpoint = fake::endpoint();
    let clock = new::ClockClient::from(endpoint.as_ref().copy().unwrap());
    let serve = |run: fn(&libipc::objects::EndpointClient) -> TransportError| {
        let task = fake::Task::new();
        task.spawn_with(copy(&endpoint), move |own| run(&own));
        task
    };
    let old = serve(|own| libipc::serve::<dyn old::Clock>(own, &mut Seven));
    assert_eq!(clock.seconds(), Ok(7));
    endpoint.expel().unwrap();
    old.kill();
    let new = serve(|own| libipc::serve::<dyn new::Clock>(own, &mut Seven));
    assert_eq!((clock.seconds(), clock.epoch()), (Ok(7), Ok(1_700_000_000)));
    endpoint.expel().unwrap();
    new.kill();
    serve(|own| libipc::serve::<dyn old::Clock>(own, &mut Seven));
    assert_eq!(clock.seconds(), Ok(7));
    assert_eq!(clock.epoch(), Err(CallError::Transport(MISMATCH)));
}

#[test]
fn what_a_refused_call_would_have_moved_is_gone() {
    let before = fake::current().capabilities();
    {
        let clock = new::ClockClient::from(serve_old());
        let alarm = fake::endpoint();
        assert_eq!(clock.wake(alarm), Err(CallError::Transport(MISMATCH)));
    }
    assert_eq!(fake::current().capabilities(), before);
}

#[test]
fn gates_agree_as_endpoints_do() {
    let gate = NearGate::<dyn old::Clock + Send>::leak(Box::new(Seven));
    let capability = fake::endpoint().as_ref().copy().unwrap();
    let clock = new::ClockClient::from(capability).with_gate(gate);
    assert_eq!(clock.seconds(), Ok(7));
    assert_eq!(clock.epoch(), Err(CallError::Transport(MISMATCH)));
    assert_eq!(clock.agree(&[new::number::SECONDS]), Ok(()));
}
