//! Client, dispatch, receiver and leases through the fake kernel.

use crate::{
    common::{self, copy, signals, start},
    notebook::*,
};
use libipc::{
    CallError, Capability, fake,
    handle::Rights,
    objects::{EndpointClient, ObjectError},
    server::{Event, Receiver},
    status::{Cause, TransportError},
    time::Instant,
};
use std::time::Duration;

/// An interface that the notebook does not serve.
mod stranger {
    use libipc::objects::ObjectError;

    /// Unknown to the server.
    #[libipc::interface]
    pub(crate) trait Stranger {
        /// Never answered.
        #[op(0, idempotent)]
        fn hello(&mut self) -> Result<u64, ObjectError>;
    }
}

fn refused<T>(cause: Cause) -> Result<T, CallError<NotebookError>> {
    Err(CallError::Transport(TransportError::refused(cause)))
}

#[test]
fn plain_data_and_errors_arrive() {
    let book = start();
    let cover = book.cover().unwrap();
    assert_eq!(
        (cover.owner.as_str(), cover.badge, cover.bytes),
        ("Ada", 0, 0)
    );
    assert_eq!(
        book.read(1, &mut []),
        Err(CallError::Server(NotebookError::NoSuchPage))
    );
    let numbers = book.numbers(-3).unwrap();
    assert_eq!((numbers[0], numbers[59]), (-3, 56));
}

#[test]
fn leases_are_copied_both_ways() {
    let book = start();
    assert_eq!(book.write(b"a mosaic of small stones"), Ok(24));
    let mut text = [0; 9];
    assert_eq!(book.read(2, &mut text), Ok(9));
    assert_eq!(&text, b"mosaic of");
    let mut long = [7; 40];
    assert_eq!(book.read(20, &mut long), Ok(4));
    assert_eq!((&long[..4], long[4]), (&b"ones"[..], 7));
}

#[test]
fn capabilities_move_and_are_copied() {
    let book = start();
    let (keep, borrowed) = (fake::endpoint(), fake::endpoint());
    let before = fake::current().capabilities();
    let moved = EndpointClient::from(copy(&keep));
    book.watch(moved, &borrowed).unwrap();
    assert_eq!(fake::current().capabilities(), before);
    assert_eq!((signals(&keep), signals(&borrowed)), (1, 2));
}

#[test]
fn the_last_copy_of_a_badge_closes_its_session() {
    let book = start();
    let (keep, borrowed) = (fake::endpoint(), fake::endpoint());
    book.watch(EndpointClient::from(copy(&keep)), &borrowed)
        .unwrap();
    assert_eq!(signals(&keep), 1);
    let seventh = book.open(7).unwrap();
    assert_eq!(seventh.cover().unwrap().badge, 7);
    let second = NotebookClient::from(copy(&seventh));
    drop(seventh);
    assert_eq!(second.cover().unwrap().badge, 7);
    drop(second);
    assert_eq!(signals(&keep), 7 << 8);
}

#[test]
fn a_deferred_call_is_answered_by_a_later_one() {
    let book = start();
    let other = NotebookClient::from(copy(&book));
    let waiting = fake::current().spawn(move || {
        let mut text = [0; 4];
        other.changed(&mut text).map(|count| (count, text))
    });
    // The waiting call may not have arrived yet, so write until it has.
    while !waiting.is_finished() {
        book.write(b"news of the day").unwrap();
    }
    assert_eq!(waiting.join().unwrap(), Ok((4, *b"news")));
}

#[test]
fn a_reply_thrown_away_is_dropped() {
    let book = start();
    let other = NotebookClient::from(copy(&book));
    let waiting = fake::current().spawn(move || other.changed(&mut [0; 4]));
    while !waiting.is_finished() {
        book.forget().unwrap();
    }
    let dropped = TransportError::delivered(Cause::Dropped);
    assert_eq!(waiting.join().unwrap(), Err(CallError::Transport(dropped)));
}

#[test]
fn deadlines_end_calls_and_waits() {
    let book = start();
    let patient = NotebookClient::from(copy(&book)).with_timeout(Duration::from_millis(20));
    let begun = Instant::now();
    let timed_out = TransportError::delivered(Cause::TimedOut);
    assert_eq!(
        patient.changed(&mut [0; 4]),
        Err(CallError::Transport(timed_out))
    );
    assert!(begun.elapsed() >= Duration::from_millis(20));
    // The late answer hits nobody, and the server lives.
    assert_eq!(book.write(b"late"), Ok(4));
    let late = NotebookClient::from(copy(&book)).with_deadline(Instant::PAST);
    assert_eq!(late.changed(&mut [0; 4]), refused(Cause::TimedOut));

    let endpoint = fake::endpoint();
    let mut receiver = Receiver::new(&endpoint);
    let nothing = receiver.wait(Instant::after(Duration::from_millis(1)));
    let error = nothing.err().map(|error| error.cause);
    assert_eq!(error, Some(Cause::TimedOut));
}

#[test]
fn a_server_that_dies_leaves_nobody_hanging() {
    let book = start();
    let died = TransportError::delivered(Cause::Died);
    assert_eq!(book.tear(), Err(CallError::Transport(died)));
    assert_eq!(book.cover(), refused(Cause::Died));
}

#[test]
fn a_killed_task_receives_nothing_more() {
    let endpoint = fake::endpoint();
    let book: NotebookClient = endpoint.mint_client(3).unwrap();
    let old = fake::Task::new();
    let server = old.spawn_with(copy(&endpoint), |own: EndpointClient| common::serve(&own));
    while endpoint.info().unwrap().receivers == 0 {
        std::thread::yield_now();
    }
    old.kill();
    let quick = NotebookClient::from(copy(&book)).with_timeout(Duration::from_millis(10));
    assert_eq!(quick.cover(), refused(Cause::TimedOut));
    assert_eq!(server.join().unwrap().cause, Cause::Died);
}

#[test]
fn another_interface_is_a_version_mismatch() {
    let book = start();
    let stranger = stranger::StrangerClient::from(copy(&book));
    let mismatch = TransportError::refused(Cause::VersionMismatch);
    assert_eq!(stranger.hello(), Err(CallError::Transport(mismatch)));
    assert!(book.cover().is_ok());
}

#[test]
fn a_capability_without_the_right_is_denied() {
    let endpoint = fake::endpoint();
    let silent = endpoint.as_ref().derive(Rights::SIGNAL).unwrap();
    assert_eq!(NotebookClient::from(silent).cover(), refused(Cause::Denied));
    let caller = endpoint.as_ref().derive(Rights::CALL).unwrap();
    let caller = EndpointClient::from(caller);
    assert_eq!(
        caller.signal(1),
        Err(TransportError::refused(Cause::Denied))
    );
    assert!(matches!(
        caller.mint(1, 1, 1),
        Err(CallError::Transport(error)) if error.cause == Cause::Denied
    ));
    // Not to be passed on either: it lacks `GRANT`, and stays where it is.
    let book = start();
    let before = fake::current().capabilities();
    assert_eq!(book.watch(caller, &endpoint), refused(Cause::Denied));
    assert_eq!(fake::current().capabilities(), before - 1);
}

#[test]
fn a_dead_handle_is_denied() {
    let endpoint = fake::endpoint();
    let handle = endpoint.as_ref().handle();
    drop(endpoint);
    let stale = NotebookClient::from(Capability::from_handle(handle));
    assert_eq!(stale.cover(), refused(Cause::Denied));
}

#[test]
fn a_paused_endpoint_queues_and_a_closed_one_refuses() {
    let endpoint = fake::endpoint();
    let book: NotebookClient = endpoint.mint_client(3).unwrap();
    let control = copy(&endpoint);
    let server = fake::Task::new().spawn_with(control, |own: EndpointClient| common::serve(&own));
    endpoint.pause().unwrap();
    let quick = NotebookClient::from(copy(&book)).with_timeout(Duration::from_millis(10));
    assert_eq!(quick.cover(), refused(Cause::TimedOut));
    endpoint.resume().unwrap();
    assert_eq!(book.cover().unwrap().badge, 3);
    let session = endpoint.session(0).unwrap();
    assert_eq!((session.badge, session.copies), (3, 2));
    endpoint.close().unwrap();
    assert_eq!(book.cover(), refused(Cause::Died));
    assert_eq!(server.join().unwrap().cause, Cause::Died);
    assert_eq!(
        endpoint.resume(),
        Err(CallError::Server(ObjectError::WrongState))
    );
}

#[test]
fn signals_come_first_and_are_cleared() {
    let endpoint = fake::endpoint();
    endpoint.signal(0b01).unwrap();
    endpoint.signal(0b10).unwrap();
    assert_eq!(signals(&endpoint), 0b11);
    let empty = Receiver::new(&endpoint)
        .wait(Instant::PAST)
        .map(|event| matches!(event, Event::Signals(_)));
    assert_eq!(empty, Err(TransportError::refused(Cause::TimedOut)));
}

#[test]
fn memory_objects_hold_bytes() {
    let memory = libipc::task().create_memory(2).unwrap();
    assert_eq!(memory.pages(), Ok(2));
    memory.write_from(4090, b"across a page").unwrap();
    let mut read = [0; 13];
    memory.read_into(4090, &mut read).unwrap();
    assert_eq!(&read, b"across a page");
    assert_eq!(
        memory.read_into(8190, &mut read),
        Err(CallError::Server(ObjectError::OutOfRange))
    );
}
