//! Near calls: the same client and the same server, without a trap, and with
//! the same results.

use crate::{
    check::{Failure, Verdict},
    echo::{Echo, EchoClient, EchoError, Echoing},
    run::{Case, World, cases},
    wait,
};
use alloc::boxed::Box;
use core::time::Duration;
use libipc::{
    CallError, Capability, Lease, LeaseMut,
    client::Borrowed,
    handle::Handle,
    near::{NearGate, STACK_NEEDED},
    objects::{EndpointClient, MemoryClient, ThreadState},
    server::{LeaseId, Reply},
    status::{Cause, TransportError},
    sync::Mutex,
    thread,
    time::{self, Instant},
};

pub(crate) const CASES: &[Case] = cases![
    near_and_far_give_the_same_results,
    a_near_call_makes_no_trap,
    a_busy_gate_falls_back_to_far,
    a_far_gate_goes_through_the_kernel,
    setting_a_gate_far_waits_for_who_is_inside,
    a_passed_deadline_is_timed_out,
    a_short_stack_is_refused,
    calling_back_into_the_gate_is_a_deadlock,
    deferred_operations_go_through_the_kernel,
    capabilities_travel_near,
];

type Gate = NearGate<dyn Echo + Send>;

/// An endpoint with a gate before its server, and the gate's service thread.
struct Near {
    gate: &'static Gate,
    endpoint: EndpointClient,
    service: Option<thread::JoinHandle<TransportError>>,
}

impl Near {
    fn new(server: impl Echo + Send + 'static) -> Result<Near, Failure> {
        let gate: &'static Gate = NearGate::leak(Box::new(server));
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let service = thread::spawn(move || gate.serve(&Borrowed::new(handle)))?;
        Ok(Near {
            gate,
            endpoint,
            service: Some(service),
        })
    }

    fn near(&self) -> Result<EchoClient, Failure> {
        Ok(self.far()?.with_gate(self.gate))
    }

    fn far(&self) -> Result<EchoClient, Failure> {
        Ok(self.endpoint.mint_client::<EchoClient>(3)?)
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        // A case may have closed it.
        let _ = self.endpoint.close();
        if let Some(service) = self.service.take() {
            service.join();
        }
    }
}

fn received() -> Result<u64, Failure> {
    Ok(libipc::task().info()?.received)
}

fn near_and_far_give_the_same_results(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let (near, far) = (both.near()?, both.far()?);
    for number in 0..20 {
        check_eq!(near.add(number, u64::MAX)?, far.add(number, u64::MAX)?);
    }
    let words = core::array::from_fn(|index| index as u64 * 3);
    check_eq!(near.reverse(words)?, far.reverse(words)?);
    let bytes: [u8; 3000] = core::array::from_fn(|index| index as u8);
    check_eq!(near.sum(&bytes)?, far.sum(&bytes)?);
    check_eq!(near.sum(&[])?, far.sum(&[])?);
    let (mut here, mut there) = ([0; 2500], [0; 2500]);
    near.fill(&mut here, 7)?;
    far.fill(&mut there, 7)?;
    check_eq!(here, there);
    check_eq!(near.refuse(), far.refuse());
    check_eq!(near.refuse(), Err(CallError::Server(EchoError::Asked)));
    Ok(())
}

fn a_near_call_makes_no_trap(world: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let (near, far) = (both.near()?, both.far()?);
    let bytes = [1; 2000];
    let before = world.counters.counters()?.calls;
    for number in 0..100 {
        check_eq!(near.add(number, 1)?, number + 1);
        check_eq!(near.sum(&bytes)?, 2000);
    }
    let traps = world.counters.counters()?.calls - before;
    check!(traps < 20);
    let before = world.counters.counters()?.calls;
    for number in 0..100 {
        check_eq!(far.add(number, 1)?, number + 1);
    }
    check!(world.counters.counters()?.calls - before >= 200);
    Ok(())
}

/// Serves `add` by a function, and nothing else.
struct Adding<F>(F);

impl<F: FnMut(u64, u64) -> u64> Echo for Adding<F> {
    fn add(&mut self, left: u64, right: u64) -> Result<u64, EchoError> {
        Ok((self.0)(left, right))
    }
    fn reverse(&mut self, words: [u64; 100]) -> Result<[u64; 100], EchoError> {
        Ok(words)
    }
    fn pass(&mut self, capability: Capability) -> Result<Capability, EchoError> {
        Ok(capability)
    }
    fn sum(&mut self, _: Lease<'_>) -> Result<u64, EchoError> {
        Err(EchoError::Asked)
    }
    fn fill(&mut self, _: LeaseMut<'_>, _: u8) -> Result<(), EchoError> {
        Err(EchoError::Asked)
    }
    fn refuse(&mut self) -> Result<(), EchoError> {
        Err(EchoError::Asked)
    }
    fn count(&mut self, _: u64) -> Result<u64, EchoError> {
        Err(EchoError::Asked)
    }

    fn later(&mut self, _: LeaseId, reply: Reply<u64, EchoError>) {
        reply.answer(Err(EchoError::Asked));
    }
}

/// A server that stays inside for so many milliseconds.
fn slow() -> impl Echo + Send {
    Adding(|left, right| {
        time::sleep(Duration::from_millis(right));
        left
    })
}

/// Somebody who is inside the gate for so many milliseconds.
fn inside(both: &Near, milliseconds: u64) -> Result<thread::JoinHandle<bool>, Failure> {
    let client = both.near()?;
    let thread = thread::spawn(move || client.add(1, milliseconds) == Ok(1))?;
    wait::for_state(thread.thread(), ThreadState::Receiving)?;
    Ok(thread)
}

fn a_busy_gate_falls_back_to_far(_: &mut World) -> Verdict {
    let both = Near::new(slow())?;
    let client = both.near()?;
    let inside = inside(&both, 30)?;
    let before = received()?;
    // It waits its turn in the kernel's queue, and gets the same answer.
    check_eq!(client.add(9, 0)?, 9);
    check_eq!(received()?, before + 1);
    check_eq!(inside.join(), Some(true));
    check_eq!(client.add(10, 0)?, 10);
    check_eq!(received()?, before + 1);
    Ok(())
}

fn a_far_gate_goes_through_the_kernel(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let client = both.near()?;
    let before = received()?;
    both.gate.set_far(Instant::FOREVER)?;
    check_eq!(client.add(1, 1)?, 2);
    check_eq!(received()?, before + 1);
    both.gate.set_near(Instant::FOREVER)?;
    check_eq!(client.add(1, 1)?, 2);
    check_eq!(received()?, before + 1);
    Ok(())
}

fn setting_a_gate_far_waits_for_who_is_inside(_: &mut World) -> Verdict {
    let both = Near::new(slow())?;
    let inside = inside(&both, 40)?;
    let soon = Instant::after(Duration::from_millis(3));
    check_eq!(
        both.gate.set_far(soon),
        Err(TransportError::refused(Cause::TimedOut))
    );
    both.gate.set_far(Instant::FOREVER)?;
    check_eq!(inside.join(), Some(true));
    Ok(())
}

fn a_passed_deadline_is_timed_out(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let late = both.near()?.with_deadline(Instant::from_ticks(1));
    let timed_out = Err(CallError::Transport(TransportError::refused(
        Cause::TimedOut,
    )));
    check_eq!(late.add(1, 1), timed_out);
    // The gate is free again, and a deadline to come is none.
    let timely = both.near()?.with_timeout(Duration::from_secs(60));
    check_eq!(timely.add(1, 1)?, 2);
    Ok(())
}

fn a_short_stack_is_refused(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let client = both.near()?;
    let on_short = thread::spawn_with(50, STACK_NEEDED - 4096, move || client.add(1, 1))?;
    let refused = Err(CallError::Transport(TransportError::refused(
        Cause::QuotaExceeded,
    )));
    check_eq!(on_short.join(), Some(refused));
    let client = both.near()?;
    let on_long = thread::spawn_with(50, 4 * STACK_NEEDED, move || client.add(1, 1))?;
    check_eq!(on_long.join(), Some(Ok(2)));
    Ok(())
}

fn calling_back_into_the_gate_is_a_deadlock(_: &mut World) -> Verdict {
    // The client through which the server calls itself, once there is one.
    let own: &'static Mutex<Option<EchoClient>> = Box::leak(Box::default());
    let seen: &'static Mutex<Option<Result<u64, CallError<EchoError>>>> = Box::leak(Box::default());
    let both = Near::new(Adding(|left, _| {
        let client = own.lock().take();
        *seen.lock() = client.map(|client| client.add(left, 0));
        left
    }))?;
    *own.lock() = Some(both.near()?);
    check_eq!(both.near()?.add(5, 0)?, 5);
    let deadlock = CallError::Transport(TransportError::refused(Cause::Deadlock));
    check_eq!(*seen.lock(), Some(Err(deadlock)));
    // And it is free again.
    check_eq!(both.near()?.add(6, 0)?, 6);
    Ok(())
}

fn deferred_operations_go_through_the_kernel(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let client = both.near()?;
    let before = received()?;
    check_eq!(client.later(&[2; 100])?, 200);
    check_eq!(received()?, before + 1);
    Ok(())
}

fn capabilities_travel_near(_: &mut World) -> Verdict {
    let both = Near::new(Echoing)?;
    let client = both.near()?;
    let memory = libipc::task().create_memory(5)?;
    let handle: Handle = memory.as_ref().handle();
    let before = received()?;
    let back = client.pass(memory.into())?;
    check_eq!(received()?, before);
    check_eq!(back.handle(), handle);
    check_eq!(MemoryClient::from(back).pages()?, 5);
    Ok(())
}
