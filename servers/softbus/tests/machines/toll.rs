//! A server whose answers are kept for who asks again, and that takes its time.

use crate::{
    exported,
    support::{Machine, name, wait_until},
};
use libipc::{
    fake, interface, interfaces::SensorError, operation::Interface, server::Dispatch, thread,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Answers when it is told to, and the answer is kept for who asks again.
#[interface]
pub trait Toll {
    /// Waits.
    #[op(0, recorded)]
    fn toll(&mut self) -> Result<u64, SensorError>;
}

/// What is seen of it.
#[derive(Clone, Default)]
pub(crate) struct Tolling {
    pub(crate) has_begun: Arc<AtomicBool>,
    pub(crate) goes_on: Arc<AtomicBool>,
    pub(crate) was_cancelled: Arc<AtomicBool>,
}

impl Toll for Tolling {
    fn toll(&mut self) -> Result<u64, SensorError> {
        self.has_begun.store(true, Ordering::SeqCst);
        wait_until(|| {
            if libipc::server::cancelled() {
                self.was_cancelled.store(true, Ordering::SeqCst);
            }
            self.goes_on.load(Ordering::SeqCst)
        });
        Ok(8)
    }
}

/// Publishes it, and says what is seen of it.
pub(crate) fn publish_toll(machine: &Machine) -> Tolling {
    let (endpoint, tolling) = (fake::endpoint(), Tolling::default());
    let (lent, mut served) = (exported(&endpoint), tolling.clone());
    let serve = move || libipc::serve::<dyn Toll>(&endpoint, &mut served);
    thread::spawn(serve).unwrap().detach();
    let Interface { hash, name: of, .. } = <dyn Toll as Dispatch>::INTERFACE;
    let published = machine
        .bus
        .publish(name("toll"), name(of), hash, false, lent);
    published.unwrap();
    tolling
}
