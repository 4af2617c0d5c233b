//! A server that answers nobody before it is told to.

use crate::{
    exported,
    support::{Machine, name, wait_until},
};
use libipc::{
    CallError, fake, interface,
    interfaces::SensorError,
    operation::Interface,
    server::{Dispatch, Reply},
    thread::{self, JoinHandle},
};
use std::sync::{Arc, Mutex};

/// Answers nobody before it is told to.
#[interface]
pub trait Bell {
    /// Waits.
    #[op(0)]
    #[deferred]
    fn wait(&mut self) -> Result<u64, SensorError>;
}

/// Those who wait.
#[derive(Clone, Default)]
pub(crate) struct Waiting(pub(crate) Arc<Mutex<Vec<Reply<u64, SensorError>>>>);

impl Waiting {
    /// As soon as so many wait.
    pub(crate) fn reach(&self, count: usize) {
        wait_until(|| self.0.lock().unwrap().len() >= count);
    }

    /// How many of them somebody waits for.
    pub(crate) fn wanted(&self) -> usize {
        let waiting = self.0.lock().unwrap();
        waiting.iter().filter(|reply| !reply.cancelled()).count()
    }

    /// Answers all of them: how many.
    pub(crate) fn ring(&self) -> usize {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap());
        let count = waiting.len();
        for reply in waiting {
            reply.answer(Ok(7));
        }
        count
    }
}

impl Bell for Waiting {
    fn wait(&mut self, reply: Reply<u64, SensorError>) {
        self.0.lock().unwrap().push(reply);
    }
}

/// Publishes a bell, and says who waits for it.
pub(crate) fn publish_bell(machine: &Machine, service: &str) -> Waiting {
    let (endpoint, waiting) = (fake::endpoint(), Waiting::default());
    let (bell, mut served) = (exported(&endpoint), waiting.clone());
    // In this task, which answers.
    let serve = move || libipc::serve::<dyn Bell>(&endpoint, &mut served);
    thread::spawn(serve).unwrap().detach();
    let Interface { hash, name: of, .. } = <dyn Bell as Dispatch>::INTERFACE;
    let published = machine
        .bus
        .publish(name(service), name(of), hash, false, bell);
    published.unwrap();
    waiting
}

/// Calls a bell of a device so often at once.
pub(crate) fn wait_for_bell(
    machine: &Machine,
    device: u64,
    service: &str,
    times: usize,
) -> Vec<JoinHandle<Result<u64, CallError<SensorError>>>> {
    let opened = machine.bus.open_as::<dyn Bell, _>(device, name(service));
    let bell: BellClient = opened.unwrap();
    let call = |_| {
        let copy = BellClient::from(bell.as_ref().copy().unwrap());
        thread::spawn(move || copy.wait()).unwrap()
    };
    (0..times).map(call).collect()
}
