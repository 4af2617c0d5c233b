//! The test is the bus, and a thread that has not run since it was told what to do.

use super::*;
use alloc::vec;
use libipc::{
    fake,
    handle::Rights,
    server::{Event, Receiver},
};
use std::sync::mpsc::{Receiver as Told, Sender, channel};

/// Who asks, and may be answered.
struct Asked(Vec<(u64, Reply<(), CrewError>)>);

impl Crew for Asked {
    fn next(&mut self, thread: u64, reply: Reply<(), CrewError>) {
        self.0.push((thread, reply));
    }
}

/// Waits until a thread asks for work, and gives it some if there is.
fn hear(workers: &mut Workers<'_>, receiver: &mut Receiver<'_>) {
    let mut asked = Asked(Vec::new());
    while asked.0.is_empty() {
        if let Event::Message(message) = receiver.next().unwrap() {
            message.dispatch::<dyn Crew>(&mut asked);
        }
    }
    for (number, reply) in asked.0 {
        workers.asked(number, reply);
    }
}

/// A thread of the crew that asks whenever it is told to, and begins nothing.
fn sluggish(workers: &mut Workers<'_>) -> Sender<()> {
    let crew = workers.endpoint.mint_client::<CrewClient>(workers.badge);
    let (crew, (tell, told)): (_, (_, Told<()>)) = (crew.unwrap(), channel());
    let run = move || {
        for () in told {
            crew.next(1).unwrap();
        }
    };
    let thread = Thread {
        state: State::Starting,
        handle: thread::spawn(run).unwrap(),
    };
    workers.newest = 1;
    workers.threads.insert(1, thread);
    tell
}

/// An endpoint at which nobody is.
fn nobody() -> Capability {
    fake::endpoint().as_ref().derive(Rights::CALL).unwrap()
}

fn job(token: u64) -> Job {
    Job {
        token: Token(token),
        device: PublicKey([1; 32]),
        behind: 7,
        server: nobody(),
        operation: 0,
        hash: 0,
        payload: Payload::default(),
        leases: vec![],
        capabilities: vec![],
        deadline: Instant::FOREVER,
    }
}

/// What threads are told to do and have not begun.
fn given(workers: &Workers<'_>) -> Vec<Doing> {
    workers
        .shared
        .lock()
        .given
        .values()
        .map(Work::what)
        .collect()
}

#[test]
fn what_no_thread_has_begun_is_taken_back() {
    let endpoint = fake::endpoint();
    let mut receiver = Receiver::new(&endpoint);
    let mut workers = Workers::new(&endpoint, 9);
    let thread = sluggish(&mut workers);
    workers.call(job(1));
    thread.send(()).unwrap();
    hear(&mut workers, &mut receiver);
    assert_eq!(given(&workers), [Doing::Call(Token(1))]);
    assert!(!workers.take(Token(2)));
    assert!(workers.take(Token(1)));
    assert!(!workers.take(Token(1)));
    assert_eq!(given(&workers), []);
    // The thread finds nothing and asks again, so that no other is made for the next calls.
    (2..=9).for_each(|token| workers.call(job(token)));
    assert_eq!((given(&workers), workers.threads.len()), (vec![], 1));
    thread.send(()).unwrap();
    hear(&mut workers, &mut receiver);
    assert_eq!(given(&workers), [Doing::Call(Token(2))]);
    // That has the device's own thread, and the server three of the shared ones: what was
    // taken back has none.
    assert_eq!(core::iter::from_fn(|| workers.calls.begin()).count(), 3);
}

#[test]
fn a_question_that_no_thread_has_asked_is_not_asked() {
    let endpoint = fake::endpoint();
    let mut receiver = Receiver::new(&endpoint);
    let mut workers = Workers::new(&endpoint, 9);
    let thread = sluggish(&mut workers);
    workers.ask(Question {
        number: 3,
        owner: nobody().into(),
        text: Text::default(),
    });
    thread.send(()).unwrap();
    hear(&mut workers, &mut receiver);
    assert_eq!(given(&workers), [Doing::Question(3)]);
    workers.interrupt(Doing::Question(3));
    assert_eq!(given(&workers), []);
}
