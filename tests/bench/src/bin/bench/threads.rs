//! Threads of one task.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libipc::{
    client::Borrowed,
    objects::EndpointClient,
    server::{Event, Receiver},
    start::AnyError,
    thread,
};
use tessera_bench::TIMES;

use crate::{
    World,
    measure::{Measured, repeat},
};

/// From a thread of lower priority than the one that waits.
pub(crate) fn signal_wait(_: &World) -> Measured {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let lower = thread::current().info()?.priority - 1;
    let signaller = thread::spawn_with(lower, thread::STACK, move || {
        let endpoint = Borrowed::<EndpointClient>::new(handle);
        let measured = repeat(TIMES, || Ok(endpoint.signal(1)?));
        endpoint.close().map_err(AnyError::from).and(measured)
    })?;
    let mut receiver = Receiver::new(&endpoint);
    while let Ok(Event::Signals(_)) = receiver.next() {
        TAKEN.store(TAKEN.load(Relaxed) + 1, Relaxed);
    }
    let measured = signaller.join();
    if TAKEN.load(Relaxed) < TIMES {
        return Err(AnyError::new("not each signal was taken at once"));
    }
    measured.unwrap_or_else(|| Err(AnyError::new("the other thread failed")))
}

pub(crate) fn spawn_join(_: &World) -> Measured {
    repeat(TIMES / 16, || {
        let thread = thread::spawn(|| ())?;
        thread.join().ok_or_else(|| AnyError::new("it did not end"))
    })
}
