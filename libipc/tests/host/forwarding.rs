//! A proxy that knows nothing of the interface that goes through it.

use libipc::{
    CallError, Capability, ErrorCode, Lease, LeaseMut, Text, fake,
    forward::{Answer, Forwarded, Memory, Outbound},
    objects::EndpointClient,
    server::{Event, Receiver},
    status::{Cause, TransportError},
    time::Instant,
};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub(crate) enum DeskError {
    /// There is no such drawer.
    NoDrawer = 7,
}

impl core::fmt::Display for DeskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no drawer")
    }
}

/// All that a message can have.
#[libipc::interface]
pub(crate) trait Desk {
    /// A word, and more words than fit in registers.
    #[op(0, idempotent)]
    fn label(&mut self, number: u64, text: Text<100>) -> Result<(u64, Text<100>), DeskError>;
    /// Turns what is in one drawer, into another.
    #[op(1)]
    fn turn(&mut self, from: Lease, into: LeaseMut) -> Result<u64, DeskError>;
    /// Another desk for this one.
    #[op(2)]
    fn swap(&mut self, desk: DeskClient) -> Result<DeskClient, DeskError>;
    /// Fails.
    #[op(3)]
    fn open(&mut self, drawer: u64) -> Result<(), DeskError>;
}

struct Wood;

impl Desk for Wood {
    fn label(&mut self, number: u64, text: Text<100>) -> Result<(u64, Text<100>), DeskError> {
        let turned: String = text.as_str().chars().rev().collect();
        Ok((number + 1, Text::new(&turned).unwrap()))
    }

    fn turn(&mut self, from: Lease, into: LeaseMut) -> Result<u64, DeskError> {
        let mut bytes = vec![0; from.len()];
        from.read_at(0, &mut bytes)
            .map_err(|_| DeskError::NoDrawer)?;
        bytes.reverse();
        let length = bytes.len().min(into.len());
        into.write_at(0, &bytes[..length])
            .map_err(|_| DeskError::NoDrawer)?;
        Ok(length as u64)
    }

    fn swap(&mut self, desk: DeskClient) -> Result<DeskClient, DeskError> {
        Ok(desk)
    }

    fn open(&mut self, _: u64) -> Result<(), DeskError> {
        Err(DeskError::NoDrawer)
    }
}

fn wood() -> DeskClient {
    fake::serve(|endpoint| libipc::serve::<dyn Desk>(endpoint, &mut Wood))
}

/// Makes the call that a request is, over copies of what it lends.
fn pass_on(mut request: Forwarded, behind: &Capability, endpoint: &EndpointClient) {
    let copies = (0..).zip(&request.leases).map(|(lease, lent)| {
        let mut copy = vec![0; lent.length];
        if lent.readable {
            request.read(lease, 0, &mut copy).unwrap();
        }
        (copy, lent.writable)
    });
    let mut copies: Vec<_> = copies.collect();
    let mut memory: Vec<_> = copies
        .iter_mut()
        .map(|(copy, writable)| match writable {
            true => Memory::Write(copy),
            false => Memory::Read(copy),
        })
        .collect();
    let capabilities = std::mem::take(&mut request.capabilities);
    let outbound = Outbound {
        capabilities,
        ..Outbound::of(&request)
    };
    let answer = outbound.call(behind, &mut memory, request.deadline());
    for (lease, (copy, writable)) in copies.iter().enumerate() {
        if *writable {
            request.write(lease, 0, copy).unwrap();
        }
    }
    assert!(request.read(copies.len(), 0, &mut [0]).is_err());
    request.answer(endpoint, answer);
}

/// A proxy in front of a desk, which passes on or answers by itself.
fn proxy(serve: impl Fn(Forwarded, &Capability, &EndpointClient) + Send + 'static) -> DeskClient {
    fake::serve(move |endpoint| {
        let behind = Capability::from(wood());
        let mut receiver = Receiver::new(endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Message(message)) => {
                    serve(message.keep().unwrap(), &behind, endpoint);
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    })
}

#[test]
fn all_that_a_message_has_goes_through() {
    let desk = proxy(pass_on);
    let text = Text::new("a text of more than eight words, so that it needs the buffer").unwrap();
    let (number, turned) = desk.label(0, text).unwrap();
    assert_eq!(number, 1);
    assert!(turned.as_str().starts_with("reffub"), "{turned:?}");
    // A word that is zero at the end is one as well.
    assert_eq!(
        desk.label(u64::MAX - 1, Text::default()).unwrap().0,
        u64::MAX
    );
    let mut into = [9; 6];
    assert_eq!(desk.turn(b"abcd", &mut into), Ok(4));
    assert_eq!(&into, b"dcba\x09\x09");
    let error = desk.open(3);
    assert_eq!(error, Err(CallError::Server(DeskError::NoDrawer)));
    let back = desk.swap(wood()).unwrap();
    assert_eq!(back.label(4, Text::default()).unwrap().0, 5);
    // What it is, is asked through the proxy too.
    desk.agree(&[]).unwrap();
}

#[test]
fn a_proxy_ends_calls_as_they_ended_elsewhere() {
    for error in [
        TransportError::refused(Cause::Unreachable),
        TransportError::delivered(Cause::EpochChanged),
        TransportError::refused(Cause::Revoked),
        TransportError::refused(Cause::Malformed),
    ] {
        let desk = proxy(move |request, _, endpoint| {
            assert!(request.answer(endpoint, Answer::Ended(error)));
        });
        assert_eq!(desk.open(1), Err(CallError::Transport(error)));
    }
}

#[test]
fn only_a_proxy_makes_transport_errors() {
    let plain = fake::endpoint();
    let desk = proxy(move |request, _, _| {
        // The endpoint of the answer must be one with the right, which a client's is not.
        let client = plain.mint_client::<EndpointClient>(1).unwrap();
        let error = TransportError::refused(Cause::Unreachable);
        assert!(!request.answer(&client, Answer::Ended(error)));
    });
    let error = desk.open(1).unwrap_err();
    assert_eq!(
        error,
        CallError::Transport(TransportError::delivered(Cause::Dropped))
    );
}

#[test]
fn a_proxy_knows_how_long_its_caller_waits() {
    let desk = proxy(|request, _, endpoint| {
        let left = request
            .deadline()
            .ticks()
            .saturating_sub(Instant::now().ticks());
        request.answer(endpoint, Answer::Done(vec![left, 0], Vec::new()));
    });
    let desk = desk.with_timeout(Duration::from_secs(3600));
    let left = desk.turn(&[], &mut []).unwrap();
    assert!(left > 0 && left <= 3600 * 1_000_000_000, "{left}");
}
