//! Near calls: the same client with a gate.

use crate::{
    common::{self, Book, Session, copy},
    notebook::*,
};
use libipc::{
    CallError, fake,
    handle::Rights,
    near::NearGate,
    objects::EndpointClient,
    status::{Cause, TransportError},
    time::Instant,
};
use std::{sync::mpsc, time::Duration};

/// A server for a gate: the notebook, which tells who runs it.
struct Near {
    book: Book,
    threads: mpsc::Sender<std::thread::ThreadId>,
    /// What it waits for before each operation, if anything.
    go: Option<mpsc::Receiver<()>>,
}

impl Near {
    fn session(&mut self) -> Session<'_> {
        self.threads
            .send(std::thread::current().id())
            .expect("the test listens");
        if let Some(go) = &self.go {
            // Once nobody can send any more it goes on without.
            let _ = go.recv();
        }
        Session {
            book: &mut self.book,
            endpoint: None,
            badge: 0,
        }
    }
}

impl Notebook for Near {
    fn cover(&mut self) -> Result<Cover, NotebookError> {
        self.session().cover()
    }
    fn write(&mut self, from: libipc::Lease) -> Result<u64, NotebookError> {
        self.session().write(from)
    }
    fn read(&mut self, offset: u64, into: libipc::LeaseMut) -> Result<u64, NotebookError> {
        self.session().read(offset, into)
    }
    fn open(&mut self, badge: u64) -> Result<NotebookClient, NotebookError> {
        self.session().open(badge)
    }
    fn watch(
        &mut self,
        keep: EndpointClient,
        borrowed: &EndpointClient,
    ) -> Result<(), NotebookError> {
        self.session().watch(keep, borrowed)
    }
    fn changed(
        &mut self,
        _: libipc::server::LeaseId,
        reply: libipc::server::Reply<u64, NotebookError>,
    ) {
        self.threads
            .send(std::thread::current().id())
            .expect("the test listens");
        reply.answer(Ok(5));
    }
    fn forget(&mut self) -> Result<(), NotebookError> {
        self.session().forget()
    }
    fn numbers(&mut self, first: i64) -> Result<[i64; 60], NotebookError> {
        self.session().numbers(first)
    }
    fn add_line(&mut self, line: libipc::Lease) -> Result<u64, NotebookError> {
        self.session().add_line(line)
    }
    fn add_slowly(&mut self, milliseconds: u64) -> Result<[u64; 20], NotebookError> {
        self.session().add_slowly(milliseconds)
    }
    fn tear(&mut self) -> Result<(), NotebookError> {
        self.session().tear()
    }
}

type Gate = NearGate<dyn Notebook + Send>;

struct Setting {
    gate: &'static Gate,
    book: NotebookClient,
    threads: mpsc::Receiver<std::thread::ThreadId>,
    endpoint: EndpointClient,
}

/// A gate, its service thread, and a client, all in this task. `behind` gets a
/// client of the server itself.
fn setting(go: Option<mpsc::Receiver<()>>, loops: bool) -> Setting {
    let endpoint = fake::endpoint();
    let (sender, threads) = mpsc::channel();
    let book: NotebookClient = endpoint.mint_client(1).expect("a new endpoint");
    let inner: NotebookClient = endpoint.mint_client(2).expect("a new endpoint");
    // The server's own client needs the gate, which needs the server.
    let cell: &'static std::sync::OnceLock<&'static Gate> = Box::leak(Box::default());
    let gate: &'static Gate = Gate::leak(Box::new(Near {
        book: Book {
            behind: loops.then(|| inner.with_gate(Box::leak(Box::new(Late(cell))))),
            ..Book::default()
        },
        threads: sender,
        go,
    }));
    assert!(cell.set(gate).is_ok());
    let served = EndpointClient::from(copy(&endpoint));
    libipc::thread::spawn(move || gate.serve(&served))
        .expect("the host makes threads")
        .detach();
    Setting {
        gate,
        book: book.with_gate(gate),
        threads,
        endpoint,
    }
}

/// A gate that is known later.
#[derive(Debug)]
struct Late(&'static std::sync::OnceLock<&'static Gate>);

impl libipc::near::Gate for Late {
    fn call(
        &self,
        call: &libipc::near::NearCall<'_>,
        answer: &mut libipc::near::NearAnswer,
    ) -> bool {
        self.0.get().is_some_and(|gate| gate.call(call, answer))
    }
}

#[test]
fn an_idle_gate_runs_the_call_on_the_callers_thread() {
    let Setting { book, threads, .. } = setting(None, false);
    assert_eq!(book.write(b"near by"), Ok(7));
    let mut text = [0; 4];
    assert_eq!(book.read(0, &mut text), Ok(4));
    assert_eq!(&text, b"near");
    assert_eq!(book.numbers(40).map(|n| n[59]), Ok(99));
    assert_eq!(
        book.read(8, &mut text),
        Err(CallError::Server(NotebookError::NoSuchPage))
    );
    let own = std::thread::current().id();
    assert_eq!(threads.try_iter().collect::<Vec<_>>(), [own; 4]);
}

#[test]
fn a_far_gate_sends_the_same_call_through_the_kernel() {
    let Setting {
        gate,
        book,
        threads,
        ..
    } = setting(None, false);
    gate.set_far(Instant::FOREVER).unwrap();
    assert_eq!(book.write(b"far off"), Ok(7));
    assert_ne!(threads.recv(), Ok(std::thread::current().id()));
    gate.set_near(Instant::FOREVER).unwrap();
    assert_eq!(book.cover().map(|cover| cover.bytes), Ok(7));
    assert_eq!(threads.recv(), Ok(std::thread::current().id()));
}

#[test]
fn a_marked_capability_does_not_enter() {
    let Setting {
        gate,
        book,
        threads,
        ..
    } = setting(None, false);
    let marked = Rights::CALL | Rights::FAR_ONLY;
    let marked = book.as_ref().derive(marked).expect("it can be derived");
    let marked = NotebookClient::from(marked).with_gate(gate);
    assert_eq!(marked.write(b"far off"), Ok(7));
    assert_ne!(threads.recv(), Ok(std::thread::current().id()));
}

#[test]
fn a_busy_gate_falls_back_and_one_request_runs_at_a_time() {
    let (go, permits) = mpsc::channel();
    let Setting {
        gate,
        book,
        threads,
        endpoint,
    } = setting(Some(permits), false);
    let second = NotebookClient::from(copy(&book)).with_gate(gate);
    let first = fake::current().spawn(move || book.write(b"one"));
    let inside = threads.recv().unwrap();
    let second = fake::current().spawn(move || second.cover().map(|cover| cover.bytes));
    // A near call is in flight nowhere; the second one is, so it went far.
    while endpoint.session(0).unwrap().in_flight == 0 {
        std::thread::yield_now();
    }
    assert!(threads.try_recv().is_err());
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(second.join().unwrap(), Ok(3));
    let service = threads.recv().unwrap();
    assert_ne!(service, inside);
    assert_eq!(first.join().unwrap(), Ok(3));
}

#[test]
fn a_deferred_call_goes_through_the_kernel() {
    let Setting { book, threads, .. } = setting(None, false);
    assert_eq!(book.changed(&mut [0; 8]), Ok(5));
    assert_ne!(threads.recv(), Ok(std::thread::current().id()));
}

#[test]
fn a_call_past_its_deadline_does_not_enter() {
    let Setting { book, threads, .. } = setting(None, false);
    let late = book.with_deadline(Instant::PAST);
    let refused = TransportError::refused(Cause::TimedOut);
    assert_eq!(late.cover(), Err(CallError::Transport(refused)));
    assert!(threads.try_recv().is_err());
}

#[test]
fn a_handler_that_calls_its_own_gate_gets_deadlock() {
    let Setting { book, threads, .. } = setting(None, true);
    // The notebook passes `cover` on to itself, which fails there.
    assert_eq!(
        book.cover(),
        Err(CallError::Server(NotebookError::NoSuchPage))
    );
    assert_eq!(threads.try_iter().count(), 1);
}

#[test]
fn copied_capabilities_are_the_servers_own() {
    let Setting { book, threads, .. } = setting(None, false);
    let (keep, borrowed) = (fake::endpoint(), fake::endpoint());
    let before = fake::current().capabilities();
    book.watch(EndpointClient::from(copy(&keep)), &borrowed)
        .unwrap();
    // `keep` moved into the server, which is in this task; the copy is gone.
    assert_eq!(fake::current().capabilities(), before + 1);
    assert_eq!((common::signals(&keep), common::signals(&borrowed)), (1, 2));
    assert_eq!(threads.recv(), Ok(std::thread::current().id()));
}

#[test]
fn a_gate_that_is_not_left_in_time_stays_near() {
    let (go, permits) = mpsc::channel();
    let Setting {
        gate,
        book,
        threads,
        ..
    } = setting(Some(permits), false);
    let inside = fake::current().spawn(move || book.cover().map(|_| ()));
    threads.recv().unwrap();
    let short = Instant::after(Duration::from_millis(5));
    assert_eq!(
        gate.set_far(short),
        Err(TransportError::refused(Cause::TimedOut))
    );
    go.send(()).unwrap();
    assert_eq!(inside.join().unwrap(), Ok(()));
    assert_eq!(gate.set_far(Instant::FOREVER), Ok(()));
}
