//! Calls with something out of the ordinary: made again, with a deadline, or refused,
//! with words in registers and in the buffer and with capabilities.

use crate::common::{copy, signals};
use libipc::{
    CallError, fake,
    objects::{EndpointClient, ObjectError},
    server::{Event, Receiver, Reply},
    status::{Cause, TransportError},
};
use std::time::Duration;

/// An interface of long messages.
mod long {
    use libipc::objects::{EndpointClient, ObjectError};

    /// Gives back what it gets.
    #[libipc::interface]
    pub(crate) trait Long {
        /// Throws each first call away.
        #[op(0, idempotent)]
        #[deferred]
        fn turn(&mut self, words: [u64; 20]) -> Result<[u64; 20], ObjectError>;
        /// Words and a capability both ways.
        #[op(1)]
        fn pass(
            &mut self,
            first: u64,
            endpoint: EndpointClient,
            last: [u64; 9],
        ) -> Result<([u64; 9], EndpointClient, u64), ObjectError>;
        /// The number of calls of it.
        #[op(2)]
        fn count(&mut self, start: u64) -> Result<u64, ObjectError>;
        /// Twice as much.
        #[op(3)]
        #[deferred]
        fn twice(&mut self, word: u64) -> Result<u64, ObjectError>;
    }
}

use long::{Long, LongClient};

#[derive(Default)]
struct Server {
    thrown_away: bool,
    count: u64,
    kept: Option<Kept<u64>>,
    turned: Option<Kept<[u64; 20]>>,
    waits: bool,
}

/// A request for later, and its argument.
type Kept<T> = (Reply<T, ObjectError>, T);

impl Long for Server {
    fn turn(&mut self, words: [u64; 20], reply: Reply<[u64; 20], ObjectError>) {
        if self.waits {
            self.turned = Some((reply, words));
            return;
        }
        self.thrown_away = !self.thrown_away;
        if !self.thrown_away {
            reply.answer(Ok(words));
        }
    }

    fn pass(
        &mut self,
        first: u64,
        endpoint: EndpointClient,
        last: [u64; 9],
    ) -> Result<([u64; 9], EndpointClient, u64), ObjectError> {
        endpoint
            .signal(first)
            .map_err(|_| ObjectError::WrongState)?;
        Ok((last, endpoint, first))
    }

    fn count(&mut self, start: u64) -> Result<u64, ObjectError> {
        self.count += 1;
        Ok(start + self.count)
    }

    fn twice(&mut self, word: u64, reply: Reply<u64, ObjectError>) {
        self.kept = Some((reply, word));
    }
}

fn start() -> LongClient {
    fake::serve(|endpoint| libipc::serve::<dyn Long>(endpoint, &mut Server::default()))
}

fn words<const N: usize>() -> [u64; N] {
    std::array::from_fn(|index| 100 + index as u64)
}

#[test]
fn a_call_made_again_is_the_same() {
    let client = start();
    assert_eq!(client.turn(words()), Ok(words()));
    let client = client.with_timeout(Duration::from_secs(60));
    assert_eq!(client.turn(words()), Ok(words()));
}

#[test]
fn words_and_capabilities_go_both_ways() {
    let client = start();
    let keep = fake::endpoint();
    let before = fake::current().capabilities();
    let moved = EndpointClient::from(copy(&keep));
    let (last, back, first) = client.pass(3, moved, words()).unwrap();
    assert_eq!((last, first), (words(), 3));
    let client = client.with_timeout(Duration::from_secs(60));
    let (last, back, first) = client.pass(8, back, words()).unwrap();
    assert_eq!((last, first), (words(), 8));
    assert_eq!(signals(&keep), 11);
    assert_eq!(fake::current().capabilities(), before + 1);
    drop(back);
    assert_eq!(fake::current().capabilities(), before);
}

#[test]
fn a_refused_call_takes_its_capabilities_along() {
    let endpoint = fake::endpoint();
    let client: LongClient = endpoint.mint_client(1).unwrap();
    let keep = fake::endpoint();
    endpoint.close().unwrap();
    let before = fake::current().capabilities();
    let died = CallError::Transport(TransportError::refused(Cause::Died));
    let pass = |client: &LongClient| {
        let moved = EndpointClient::from(copy(&keep));
        client.pass(3, moved, words()).map(drop)
    };
    assert_eq!(pass(&client), Err(died));
    let client = client.with_timeout(Duration::from_secs(60));
    assert_eq!(pass(&client), Err(died));
    assert_eq!(fake::current().capabilities(), before);
}

#[test]
fn a_served_call_with_a_deadline_runs_once() {
    let client = start().with_timeout(Duration::from_secs(60));
    assert_eq!(client.count(10), Ok(11));
    assert_eq!(client.count(10), Ok(12));
}

/// Answers what it has kept together with its next wait.
fn wait_with_answers(endpoint: &EndpointClient) -> TransportError {
    let mut server = Server {
        waits: true,
        ..Server::default()
    };
    let mut receiver = Receiver::new(endpoint);
    loop {
        match receiver.next() {
            Ok(Event::Message(message)) => message.dispatch::<dyn Long>(&mut server),
            Ok(_) => {}
            Err(error) => return error,
        }
        if let Some((reply, word)) = server.kept.take() {
            receiver.answer(reply, Ok(2 * word));
        }
        if let Some((reply, words)) = server.turned.take() {
            receiver.answer(reply, Ok(words));
        }
    }
}

#[test]
fn a_kept_reply_leaves_with_the_next_wait() {
    let client: LongClient = fake::serve(wait_with_answers);
    for word in 0..3 {
        assert_eq!(client.twice(word), Ok(2 * word));
        // What is answered at once is no answer by the reply that was kept before.
        assert_eq!(client.count(word), Ok(2 * word + 1));
        assert_eq!(client.turn(words()), Ok(words()));
    }
}
