//! Recorded operations: a repeat is answered, and never runs.

use crate::{
    common::{copy, start},
    notebook::*,
};
use libipc::{
    CallError, fake,
    objects::EndpointClient,
    status::{Cause, TransportError},
};
use std::time::Duration;

fn delivered<T>(cause: Cause) -> Result<T, CallError<NotebookError>> {
    Err(CallError::Transport(TransportError::delivered(cause)))
}

fn refused<T>(cause: Cause) -> Result<T, CallError<NotebookError>> {
    Err(CallError::Transport(TransportError::refused(cause)))
}

#[test]
fn a_repeat_is_answered_from_the_record() {
    let book = start();
    assert_eq!(book.add_line(b"one"), Ok(1));
    assert_eq!(book.repeating().add_line(b"one"), Ok(1));
    assert_eq!(book.repeating().add_line(b"one"), Ok(1));
    assert_eq!(book.add_line(b"two"), Ok(2));
    assert_eq!(book.repeating().add_line(b"two"), Ok(2));
    // A server's error is an answer too.
    let empty = Err(CallError::Server(NotebookError::NoSuchPage));
    assert_eq!(book.add_line(b""), empty);
    assert_eq!(book.repeating().add_line(b""), empty);
}

#[test]
fn an_answer_that_came_too_late_is_had_by_repeating() {
    let book = start();
    let hasty = NotebookClient::from(copy(&book)).with_timeout(Duration::from_millis(20));
    assert_eq!(hasty.add_slowly(60), delivered(Cause::TimedOut));
    let patient = hasty.repeating();
    // Until the server is done with the first attempt, and the host lets it answer
    // in time.
    let late = |answer: &_| {
        let (waiting, served) = (refused(Cause::TimedOut), delivered(Cause::TimedOut));
        *answer == waiting || *answer == served
    };
    let mut answer = patient.add_slowly(60);
    while late(&answer) {
        answer = patient.add_slowly(60);
    }
    assert_eq!(answer, Ok([1; 20]));
    assert_eq!(book.add_line(b"next"), Ok(2));
}

#[test]
fn a_repeat_of_something_else_is_malformed() {
    let book = start();
    assert_eq!(book.add_slowly(0), Ok([1; 20]));
    assert_eq!(book.repeating().add_slowly(1), refused(Cause::Malformed));
    assert_eq!(book.repeating().add_line(b"x"), refused(Cause::Malformed));
    assert_eq!(book.repeating().add_slowly(0), Ok([1; 20]));
}

#[test]
fn what_nobody_recorded_is_dropped() {
    let book = start();
    // Nothing was called yet, and then something that is not recorded.
    assert_eq!(book.repeating().add_line(b"x"), delivered(Cause::Dropped));
    assert_eq!(book.write(b"text"), Ok(4));
    assert_eq!(book.repeating().write(b"text"), delivered(Cause::Dropped));
    // The thread's next recorded call acknowledges the last one.
    assert_eq!(book.add_line(b"one"), Ok(1));
    assert!(book.cover().is_ok());
    assert_eq!(book.repeating().add_line(b"one"), delivered(Cause::Dropped));
    // What is idempotent may run again.
    assert!(book.repeating().cover().is_ok());
}

#[test]
fn threads_and_sessions_have_records_of_their_own() {
    let book = start();
    let other = book.open(7).unwrap();
    assert_eq!(book.add_line(b"one"), Ok(1));
    let elsewhere = NotebookClient::from(copy(&book));
    let theirs = fake::current().spawn(move || {
        assert_eq!(elsewhere.add_line(b"two"), Ok(2));
        elsewhere.repeating().add_line(b"two")
    });
    assert_eq!(theirs.join().unwrap(), Ok(2));
    assert_eq!(book.repeating().add_line(b"one"), Ok(1));
    assert_eq!(
        other.repeating().add_line(b"one"),
        delivered(Cause::Dropped)
    );
}

#[test]
fn the_first_error_stands_when_the_server_is_gone() {
    let endpoint = fake::endpoint();
    let book: NotebookClient = endpoint.mint_client(3).unwrap();
    let serve = || {
        let task = fake::Task::new();
        task.spawn_with(copy(&endpoint), |own: EndpointClient| {
            crate::common::serve(&own)
        });
        task
    };
    let first = serve();
    let waiting = NotebookClient::from(copy(&book));
    let waiting = fake::current().spawn(move || waiting.add_slowly(100));
    while endpoint.session(0).unwrap().in_flight == 0 || endpoint.info().unwrap().queued > 0 {
        std::thread::yield_now();
    }
    endpoint.expel().unwrap();
    first.kill();
    serve();
    // Its stub repeats; the successor knows nothing of it and runs nothing.
    assert_eq!(waiting.join().unwrap(), delivered(Cause::Died));
    assert_eq!(book.add_line(b"one"), Ok(1));
}

#[test]
fn the_oldest_records_make_room() {
    let book = start();
    let add = |book: NotebookClient| {
        fake::current().spawn(move || {
            let count = book.add_slowly(0);
            (book, count)
        })
    };
    assert_eq!(book.add_slowly(0), Ok([1; 20]));
    for count in 2..=200 {
        let (_, answer) = add(NotebookClient::from(copy(&book))).join().unwrap();
        assert_eq!(answer, Ok([count; 20]));
    }
    assert_eq!(book.repeating().add_slowly(0), delivered(Cause::Dropped));
}
