//! Leases that a server lends on: to how far, for how long, and no more than that.

use super::{CALL, LENDER, OUTSIDE, check_message, finish, lend, read, request, write};
use crate::{
    check::{Failure, Verdict},
    child::{Plan, given, patience},
    echo::{self, Echo, EchoClient, EchoError, Server},
    raw::{self, ReadTo},
    run::World,
    wait,
};
use alloc::{vec, vec::Vec};
use core::time::Duration;
use libipc::{
    CallError, Capability, FOREVER, Lease, LeaseMut, Start,
    client::Borrowed,
    handle::{Handle, Rights},
    message_buffer::{Access, Outer},
    objects::{EndpointClient, ThreadState},
    registers::CallOut,
    server::{LeaseId, Reply},
    status::{Cause, TransportError},
    thread::{self, JoinHandle},
    time::Instant,
};

const READ: Access = Access::READ;
const BOTH: Access = Access::READ.union(Access::WRITE);

/// Gives on all but what is at the edges.
struct Passing(EchoClient);

/// Bytes at each edge.
const EDGE: usize = 3;

fn passed<T>(result: Result<T, CallError<EchoError>>) -> Result<T, EchoError> {
    result.map_err(|_| EchoError::Lease)
}

impl Echo for Passing {
    fn add(&mut self, left: u64, right: u64) -> Result<u64, EchoError> {
        passed(self.0.add(left, right))
    }
    fn reverse(&mut self, words: [u64; 100]) -> Result<[u64; 100], EchoError> {
        passed(self.0.reverse(words))
    }
    fn pass(&mut self, capability: Capability) -> Result<Capability, EchoError> {
        passed(self.0.pass(capability))
    }
    fn sum(&mut self, from: Lease<'_>) -> Result<u64, EchoError> {
        let part = from.part(EDGE..from.len() - EDGE);
        passed(self.0.sum(part.map_err(|_| EchoError::Lease)?))
    }
    fn fill(&mut self, into: LeaseMut<'_>, byte: u8) -> Result<(), EchoError> {
        let part = into.part(EDGE..into.len() - EDGE);
        passed(self.0.fill(part.map_err(|_| EchoError::Lease)?, byte))
    }
    fn refuse(&mut self) -> Result<(), EchoError> {
        passed(self.0.refuse())
    }
    fn later(&mut self, from: LeaseId, reply: Reply<u64, EchoError>) {
        let result = self.sum(reply.lease(from));
        reply.answer(result);
    }
    fn count(&mut self, why: u64) -> Result<u64, EchoError> {
        passed(self.0.count(why))
    }
}

fn serve_between(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    let mut passing = Passing(start.take("next")?);
    libipc::serve::<dyn Echo>(&endpoint, &mut passing);
    Ok(())
}

pub(super) fn a_lease_reaches_a_third_task(world: &mut World) -> Verdict {
    let endpoints = [
        libipc::task().create_endpoint()?,
        libipc::task().create_endpoint()?,
    ];
    let last = Plan::new(echo::serve)
        .give(&[given("endpoint", &endpoints[1])])
        .start(&world.image)?;
    let between = Plan::new(serve_between)
        .give(&[
            given("endpoint", &endpoints[0]),
            given("next", &endpoints[1]),
        ])
        .start(&world.image)?;
    let client = EchoClient::from(endpoints[0].as_ref().copy()?);
    // From a few bytes to several pages, at odd places.
    let bytes: Vec<u8> = (0..30_000_u32).map(|index| (index % 253) as u8).collect();
    for (begin, end) in [(1, 8), (5, 100), (7, 4103), (4090, 9000), (3, 29_999)] {
        let part = &bytes[begin..end];
        let sum = part[EDGE..part.len() - EDGE]
            .iter()
            .map(|byte| u64::from(*byte))
            .sum::<u64>();
        check_eq!(client.sum(part)?, sum);
        // By a kept request.
        check_eq!(client.later(part)?, sum);
        let mut filled = vec![77; part.len()];
        client.fill(&mut filled, 9)?;
        let (inner, count) = (EDGE..part.len() - EDGE, part.len());
        check!((0..count).all(|index| {
            let byte = if inner.contains(&index) {
                9_u8.wrapping_add((index - EDGE) as u8)
            } else {
                77
            };
            filled[index] == byte
        }));
    }
    for endpoint in endpoints {
        endpoint.close()?;
    }
    between.finish()?;
    last.finish()
}

fn outer(request: Handle, lease: usize, offset: u64) -> Outer {
    Outer {
        request,
        lease,
        offset,
    }
}

pub(super) fn no_more_is_lent_on_than_was_lent(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let server = Server::echo()?;
    let next = server.endpoint.as_ref().handle();
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let address = memory.as_ptr() as u64;
    let leases = vec![(address, 64, 1), (address, 64, 2), (address, 64, 3)];
    let lender = lend(&endpoint, leases)?;
    let (last, wide) = ((1 << 48) - 1, u64::MAX);
    let cases = [
        (0, 0, 8, BOTH, Cause::Denied),
        (0, 0, 8, Access::WRITE, Cause::Denied),
        (1, 0, 8, READ, Cause::Denied),
        (1, 0, 8, BOTH, Cause::Denied),
        (2, 0, 65, BOTH, Cause::LeaseFault),
        (2, 1, 64, BOTH, Cause::LeaseFault),
        (2, 64, 1, BOTH, Cause::LeaseFault),
        (2, 65, 0, BOTH, Cause::LeaseFault),
        (2, last, 1, BOTH, Cause::LeaseFault),
        (2, last, wide, BOTH, Cause::LeaseFault),
        (2, 1, wide, BOTH, Cause::LeaseFault),
        (3, 0, 1, READ, Cause::LeaseFault),
        (255, 0, 1, READ, Cause::LeaseFault),
        (2, 0, 8, Access::empty(), Cause::Malformed),
    ];
    for place in 0..4 {
        for (lease, offset, length, access, cause) in cases {
            for other in 0..4 {
                raw::relend(other, outer(Handle::REQUEST, 2, 0), 64, BOTH);
            }
            let part = outer(Handle::REQUEST, lease, offset);
            raw::relend(place, part, length, access);
            let out = raw::call(next, CALL.with_leases(4), &[]);
            check!(raw::refused(&out, cause));
        }
    }
    // Bits that mean nothing.
    for bit in 3..8 {
        raw::lend(0, Handle::REQUEST.0, 8, 1 | 4 | 1 << bit);
        let out = raw::call(next, CALL.with_leases(1), &[]);
        check!(raw::refused(&out, Cause::Malformed));
    }
    // The request is as it was.
    check_eq!(write(2, 0, &[5; 64]), Ok(()));
    finish(lender)?;
    check_eq!(core::hint::black_box(memory), [5; 64]);
    Ok(())
}

pub(super) fn only_a_request_at_hand_is_lent_from(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let server = Server::echo()?;
    let next = server.endpoint.as_ref().handle();
    let refused = |request: Handle, cause| {
        raw::relend(0, outer(request, 0, 0), 8, READ);
        let out = raw::call(next, CALL.with_leases(1), &[]);
        check!(raw::refused(&out, cause));
        Ok::<_, Failure>(())
    };
    refused(Handle::REQUEST, Cause::Cancelled)?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let lender = lend(&endpoint, vec![(memory.as_ptr() as u64, 64, 1)])?;
    for forged in [
        Handle::NULL,
        Handle::THREAD,
        next,
        libipc::task().as_ref().handle(),
        Handle(Handle::REQUEST.0 ^ 1),
        Handle(Handle::REQUEST.0 ^ 1 << 40),
        Handle(u64::MAX),
    ] {
        refused(forged, Cause::Denied)?;
    }
    let kept = request().keep()?;
    // It is at hand by the handle alone now.
    refused(Handle::REQUEST, Cause::Cancelled)?;
    let handle = kept.as_ref().handle();
    let fewer = Handle::new(
        handle.index(),
        Rights::empty(),
        libipc::handle::ObjectType::Reply,
        handle.generation(),
    );
    refused(fewer, Cause::Denied)?;
    let thread = lender.thread().ok_or_else(|| Failure::new("no thread"))?;
    thread.cancel()?;
    refused(handle, Cause::Cancelled)?;
    drop(kept);
    refused(handle, Cause::Denied)?;
    lender.join();
    Ok(())
}

pub(super) fn a_lease_is_lent_on_four_times_and_no_more(_: &mut World) -> Verdict {
    let mut servers = vec![Server::echo()?];
    for depth in 1..=5 {
        let next = EchoClient::from(servers[depth - 1].endpoint.as_ref().copy()?);
        servers.push(Server::new(move |endpoint| {
            libipc::serve::<dyn Echo>(endpoint, &mut Passing(next))
        })?);
        let client = EchoClient::from(servers[depth].endpoint.as_ref().copy()?);
        let (bytes, mut filled) = ([1; 100], [0; 100]);
        if depth <= 4 {
            let left = 100 - 2 * EDGE * depth;
            check_eq!(client.sum(&bytes)?, left as u64);
            client.fill(&mut filled, 1)?;
            check_eq!(filled.iter().filter(|byte| **byte != 0).count(), left);
        } else {
            let refused = Err(CallError::Server(EchoError::Lease));
            check_eq!(client.sum(&bytes), refused);
            check_eq!(client.fill(&mut filled, 1), refused.map(|_| ()));
            check_eq!(filled, [0; 100]);
        }
    }
    // The last first: each has a client of the one before.
    while servers.pop().is_some() {}
    Ok(())
}

/// A thread that receives one call at `from` and lends its lease on to `to`,
/// until a deadline of its own. It answers when it has been answered.
fn between(
    from: &EndpointClient,
    to: &EndpointClient,
    keeps: bool,
) -> Result<JoinHandle<CallOut>, Failure> {
    let (from, to) = (from.as_ref().handle(), to.as_ref().handle());
    Ok(thread::spawn(move || {
        raw::receive(from, FOREVER);
        let request = if keeps {
            request()
                .keep()
                .map_or(Handle::NULL, |kept| Capability::from(kept).into_handle())
        } else {
            Handle::REQUEST
        };
        raw::relend(0, outer(request, 0, 8), 32, BOTH);
        let deadline = patience().ticks();
        let mut out = raw::call_until(to, CALL.with_leases(1), &[], deadline);
        out.words[7] = request.0;
        raw::reply(&[]);
        out
    })?)
}

fn lend_for_ever(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    let memory = [3_u8; 64];
    raw::lend(0, memory.as_ptr() as u64, 64, 3);
    raw::call(endpoint.as_ref().handle(), CALL.with_leases(1), &[]);
    Ok(())
}

pub(super) fn the_end_of_the_first_call_ends_the_lease(world: &mut World) -> Verdict {
    for end in 0..3 {
        let [first, second] = [
            libipc::task().create_endpoint()?,
            libipc::task().create_endpoint()?,
        ];
        let between = between(&first, &second, false)?;
        let memory: &'static [u8] = vec![3_u8; 64].leak();
        let address = memory.as_ptr() as u64;
        let handle = first.as_ref().handle();
        let deadline = if end == 0 {
            // Long enough for all that is to be seen before.
            Instant::after(Duration::from_secs(1)).ticks()
        } else {
            FOREVER
        };
        let lender = if end < 2 {
            Some(thread::spawn(move || {
                raw::lend(0, address, 64, 3);
                raw::call_until(handle, CALL.with_leases(1), &[], deadline)
            })?)
        } else {
            None
        };
        let child = if end == 2 {
            let plan = Plan::new(lend_for_ever);
            Some(
                plan.give(&[given("endpoint", &first)])
                    .start(&world.image)?,
            )
        } else {
            None
        };
        check_message(&raw::receive(second.as_ref().handle(), patience().ticks()))?;
        let mut bytes = [0; 32];
        check_eq!(read(0, 0, &mut bytes), Ok(()));
        check_eq!(core::hint::black_box(bytes), [3; 32]);
        check_eq!(read(0, 1, &mut bytes), OUTSIDE);
        check_eq!(write(0, 0, &bytes), Ok(()));
        match (&lender, &child) {
            (Some(lender), _) if end == 1 => {
                let thread = lender.thread().ok_or_else(|| Failure::new("no thread"))?;
                thread.cancel()?;
            }
            (_, Some(child)) => child.kill()?,
            _ => {}
        }
        wait::until(|| Ok(read(0, 0, &mut bytes).is_err()))?;
        // The borrower's own request goes on; what it was lent has ended.
        check_eq!(request().cancelled(), Ok(false));
        check_eq!(read(0, 0, &mut bytes), LENDER);
        check_eq!(write(0, 0, &bytes), LENDER);
        raw::relend(0, outer(Handle::REQUEST, 0, 0), 8, READ);
        let out = raw::call(first.as_ref().handle(), CALL.with_leases(1), &[]);
        check!(raw::refused(&out, Cause::LeaseFault));
        raw::reply(&[]);
        let out = between.join().ok_or_else(|| Failure::new("no result"))?;
        check_message(&out)?;
        if let Some(lender) = lender {
            let out = lender.join().ok_or_else(|| Failure::new("no result"))?;
            let cause = [Cause::TimedOut, Cause::Cancelled][end];
            check_eq!(raw::error(&out), Some(TransportError::delivered(cause)));
        }
    }
    Ok(())
}

pub(super) fn a_kept_request_lends_on_until_it_ends(_: &mut World) -> Verdict {
    for answered in [false, true] {
        let [first, second] = [
            libipc::task().create_endpoint()?,
            libipc::task().create_endpoint()?,
        ];
        let between = between(&first, &second, true)?;
        let memory: &'static [u8] = vec![3_u8; 64].leak();
        let (address, handle) = (memory.as_ptr() as u64, first.as_ref().handle());
        let lender = thread::spawn(move || {
            raw::lend(0, address, 64, 3);
            raw::call(handle, CALL.with_leases(1), &[])
        })?;
        check_message(&raw::receive(second.as_ref().handle(), patience().ticks()))?;
        wait::for_state(between.thread(), ThreadState::Waiting)?;
        let mut bytes = [0; 32];
        check_eq!(read(0, 0, &mut bytes), Ok(()));
        check_eq!(core::hint::black_box(bytes), [3; 32]);
        if answered {
            raw::reply(&[]);
        } else {
            let thread = lender.thread().ok_or_else(|| Failure::new("no thread"))?;
            thread.cancel()?;
            check_eq!(read(0, 0, &mut bytes), LENDER);
            check_eq!(write(0, 0, &bytes), LENDER);
            raw::reply(&[]);
        }
        let out = between.join().ok_or_else(|| Failure::new("no result"))?;
        check_message(&out)?;
        let kept = Borrowed::<libipc::objects::ReplyClient>::new(Handle(out.words[7]));
        check_eq!(kept.cancelled(), Ok(!answered));
        // What was lent on did not use it up.
        let into = bytes.as_mut_ptr() as u64;
        check_eq!(kept.read_to([0, 0], into, 32).is_ok(), answered);
        drop(Capability::from_handle(Handle(out.words[7])));
        let out = lender.join().ok_or_else(|| Failure::new("no result"))?;
        let cause = if answered {
            Cause::Dropped
        } else {
            Cause::Cancelled
        };
        check_eq!(raw::error(&out), Some(TransportError::delivered(cause)));
    }
    Ok(())
}
