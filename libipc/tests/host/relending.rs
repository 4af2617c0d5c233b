//! Leases that a server gives on to the server behind it, at every distance.

use libipc::{
    CallError, ErrorCode, Lease, LeaseMut, fake,
    near::NearGate,
    server::{LeaseId, Reply},
};
use std::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub(crate) enum ChainError {
    /// The caller's memory could not be used.
    BadMemory = 1,
    /// The call to the next one failed.
    Behind = 2,
    /// The part is outside the lease.
    Outside = 3,
}

impl core::fmt::Display for ChainError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Bytes that go from one server to the next.
#[libipc::interface]
pub(crate) trait Chain {
    /// Takes the bytes.
    #[op(0)]
    fn put(&mut self, from: Lease) -> Result<u64, ChainError>;
    /// Turns the bytes round.
    #[op(1)]
    fn turn(&mut self, bytes: LeaseMut) -> Result<u64, ChainError>;
    /// The same, by a server that answers later.
    #[op(2)]
    #[deferred]
    fn turn_later(&mut self, bytes: LeaseMut) -> Result<u64, ChainError>;
}

/// The last server.
struct Last(mpsc::Sender<Vec<u8>>);

impl Chain for Last {
    fn put(&mut self, from: Lease) -> Result<u64, ChainError> {
        let mut bytes = vec![0; from.len()];
        from.read_at(0, &mut bytes)
            .map_err(|_| ChainError::BadMemory)?;
        self.0.send(bytes).expect("the test listens");
        Ok(from.len() as u64)
    }

    fn turn(&mut self, bytes: LeaseMut) -> Result<u64, ChainError> {
        let mut turned = vec![0; bytes.len()];
        bytes
            .read_at(0, &mut turned)
            .map_err(|_| ChainError::BadMemory)?;
        turned.reverse();
        bytes
            .write_at(0, &turned)
            .map_err(|_| ChainError::BadMemory)?;
        Ok(bytes.len() as u64)
    }

    fn turn_later(&mut self, bytes: LeaseId, reply: Reply<u64, ChainError>) {
        let result = match reply.lease_mut(bytes) {
            Ok(bytes) => self.turn(bytes),
            Err(_) => Err(ChainError::BadMemory),
        };
        reply.answer(result);
    }
}

/// A server that keeps nothing: it gives on all but the first and last byte.
struct Middle(ChainClient);

fn behind<T>(result: Result<T, CallError<ChainError>>) -> Result<T, ChainError> {
    result.map_err(|error| match error {
        CallError::Server(error) => error,
        CallError::Transport(_) => ChainError::Behind,
    })
}

impl Chain for Middle {
    fn put(&mut self, from: Lease) -> Result<u64, ChainError> {
        let end = from.len().saturating_sub(1);
        let part = from.part(1..end).map_err(|_| ChainError::Outside)?;
        behind(self.0.put(part))
    }

    fn turn(&mut self, bytes: LeaseMut) -> Result<u64, ChainError> {
        let end = bytes.len().saturating_sub(1);
        let part = bytes.part(1..end).map_err(|_| ChainError::Outside)?;
        behind(self.0.turn(part))
    }

    fn turn_later(&mut self, bytes: LeaseId, reply: Reply<u64, ChainError>) {
        let result = match reply.lease_mut(bytes) {
            Ok(bytes) => self.turn(bytes),
            Err(_) => Err(ChainError::BadMemory),
        };
        reply.answer(result);
    }
}

/// Where a server is, seen from its client.
#[derive(Clone, Copy)]
enum Distance {
    Near,
    Far,
}

fn far(make: impl FnOnce() -> Box<dyn Chain + Send> + Send + 'static) -> ChainClient {
    fake::serve(move |endpoint| libipc::serve::<dyn Chain>(endpoint, &mut *make()))
}

fn near(make: impl FnOnce() -> Box<dyn Chain + Send>) -> ChainClient {
    let endpoint = fake::endpoint();
    let client: ChainClient = endpoint.mint_client(1).expect("a new endpoint");
    let gate = NearGate::<dyn Chain + Send>::leak(make());
    libipc::thread::spawn(move || gate.serve(&endpoint))
        .expect("the host makes threads")
        .detach();
    client.with_gate(gate)
}

/// A chain of servers at these distances, the first one's client first.
fn chain(distances: &'static [Distance], kept: mpsc::Sender<Vec<u8>>) -> ChainClient {
    let (first, rest) = distances.split_first().expect("there is a server");
    let make = move || -> Box<dyn Chain + Send> {
        if rest.is_empty() {
            Box::new(Last(kept))
        } else {
            Box::new(Middle(chain(rest, kept)))
        }
    };
    match first {
        Distance::Near => near(make),
        Distance::Far => far(make),
    }
}

use Distance::{Far, Near};

#[test]
fn a_lease_reaches_the_last_server_at_every_distance() {
    let all: [&'static [Distance]; 9] = [
        &[Far, Far],
        &[Far, Near],
        &[Near, Far],
        &[Near, Near],
        &[Far, Near, Far],
        &[Near, Far, Near],
        &[Far, Near, Near, Far, Near],
        &[Far, Far, Far, Far, Far],
        &[Near; 7],
    ];
    for distances in all {
        let (kept, got) = mpsc::channel();
        let client = chain(distances, kept);
        let cut = distances.len() - 1;
        let bytes: Vec<u8> = (0..40).collect();
        let left = (40 - 2 * cut) as u64;
        assert_eq!(client.put(&bytes), Ok(left));
        assert_eq!(got.recv().unwrap(), &bytes[cut..40 - cut]);
        for later in [false, true] {
            let mut mutable = bytes.clone();
            let turned = if later {
                client.turn_later(&mut mutable)
            } else {
                client.turn(&mut mutable)
            };
            assert_eq!(turned, Ok(left));
            let mut expected = bytes.clone();
            expected[cut..40 - cut].reverse();
            assert_eq!(mutable, expected);
        }
    }
}

#[test]
fn a_lease_is_given_on_four_times_and_no_more() {
    let (kept, _got) = mpsc::channel();
    let client = chain(&[Far; 6], kept);
    let refused = Err(CallError::Server(ChainError::Behind));
    assert_eq!(client.put(&[0; 40]), refused);
    assert_eq!(client.turn(&mut [0; 40]), refused);
}

#[test]
fn a_part_lies_inside_its_lease() {
    for distance in [&[Far, Far], &[Near, Far], &[Near, Near]] {
        let (kept, got) = mpsc::channel();
        let client = chain(distance, kept);
        let outside = Err(CallError::Server(ChainError::Outside));
        assert_eq!(client.put(b""), outside);
        assert_eq!(client.put(b"x"), outside);
        assert_eq!(client.turn(&mut [0; 1]), outside);
        assert_eq!(client.put(b"xy"), Ok(0));
        assert_eq!(got.recv().unwrap(), b"");
    }
}
