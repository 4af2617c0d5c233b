//! The entropy server behind its endpoint, over devices that say what they like.

use libipc::{
    CallError, Capability,
    fake::{self, Task},
    interfaces::entropy::{EntropyClient, EntropyError, MAX_FILL},
    objects::EndpointClient,
    start::AnyError,
    status::Cause,
    time::Instant,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tessera_entropy::{
    server::Server,
    source::{MOST, Source},
};

/// What a device will say, how often it was asked, and who is told.
#[derive(Default)]
struct State {
    words: VecDeque<Vec<u8>>,
    /// How many bytes it says that there are, if not as many.
    claims: Option<usize>,
    asked: u64,
    open: bool,
}

#[derive(Clone, Default)]
struct Device(Arc<Mutex<State>>);

impl Device {
    fn say(&self, endpoint: &EndpointClient, bytes: &[u8]) {
        self.0.lock().unwrap().words.push_back(bytes.to_vec());
        endpoint.signal(1).unwrap();
    }
    fn asked(&self) -> u64 {
        self.0.lock().unwrap().asked
    }
}

/// The device as its server has it, with whom it tells.
struct Attached(Device, EndpointClient);

impl Source for Attached {
    fn ask(&mut self) -> Result<(), AnyError> {
        let mut state = self.0.0.lock().unwrap();
        assert!(!state.open, "it is asked once at a time");
        (state.asked, state.open) = (state.asked + 1, true);
        let answers = !state.words.is_empty();
        drop(state);
        if answers {
            self.1.signal(1).unwrap();
        }
        Ok(())
    }
    fn answer(&mut self, into: &mut [u8; MOST]) -> Result<Option<usize>, AnyError> {
        let mut state = self.0.0.lock().unwrap();
        if !state.open {
            return Ok(None);
        }
        let Some(word) = state.words.pop_front() else {
            return Ok(None);
        };
        state.open = false;
        into[..word.len()].copy_from_slice(&word);
        Ok(Some(state.claims.unwrap_or(word.len())))
    }
}

/// A server of this device.
fn serve(device: &Device) -> EndpointClient {
    let endpoint = Capability::from(fake::endpoint());
    let (handed, device) = (endpoint.copy().unwrap(), device.clone());
    Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
        let told = endpoint.as_ref().copy().unwrap().into();
        Server::new(Attached(device, told), 5).run(&endpoint, None)
    });
    endpoint.into()
}

fn until(what: impl Fn() -> bool) {
    let deadline = Instant::after(Duration::from_secs(10));
    while !what() {
        assert!(!deadline.passed(), "it does not come to that");
        thread::sleep(Duration::from_millis(1));
    }
}

fn server<T>(error: EntropyError) -> Result<T, CallError<EntropyError>> {
    Err(CallError::Server(error))
}

#[test]
fn calls_wait_for_the_first_seed_and_never_after() {
    let device = Device::default();
    let endpoint = serve(&device);
    let client: EntropyClient = endpoint.mint_client(3).unwrap();
    let other: EntropyClient = endpoint.mint_client(4).unwrap();
    let waits = fake::current().spawn(move || client.seed());
    until(|| device.asked() == 1);
    // It comes in pieces, and some of them are nothing.
    device.say(&endpoint, &[1; 31]);
    until(|| device.asked() == 2);
    device.say(&endpoint, &[]);
    until(|| device.asked() == 3);
    assert!(!waits.is_finished());
    device.say(&endpoint, &[2; MOST]);
    let first = waits.join().unwrap().unwrap();
    let mut bytes = [0; 700];
    other.fill(&mut bytes).unwrap();
    assert_ne!(bytes[..32], bytes[32..64]);
    assert_ne!(other.seed(), Ok(first));
    assert_eq!(other.fill(&mut []), Ok(()));
    // Nobody asks for more than there has to be.
    assert_eq!(device.asked(), 3);
}

#[test]
fn what_was_given_out_is_followed_by_a_new_seed() {
    let device = Device::default();
    device.0.lock().unwrap().words.push_back(vec![1; 32]);
    let endpoint = serve(&device);
    let client: EntropyClient = endpoint.mint_client(3).unwrap();
    let mut bytes = vec![0; MAX_FILL];
    for _ in 0..4 {
        assert_eq!(client.fill(&mut bytes), Ok(()));
    }
    until(|| device.asked() == 2);
    // Nobody waits for it.
    assert_eq!(client.fill(&mut bytes), Ok(()));
    device.say(&endpoint, &[2; 32]);
    assert_eq!(client.fill(&mut bytes), Ok(()));
    let mut more = vec![0; MAX_FILL + 1];
    assert_eq!(client.fill(&mut more), server(EntropyError::BadLength));
    assert_eq!(more, vec![0; MAX_FILL + 1]);
    assert_eq!(device.asked(), 2);
}

#[test]
fn a_device_that_has_nothing_is_told_and_asked_again() {
    let device = Device::default();
    for _ in 0..16 {
        device.0.lock().unwrap().words.push_back(Vec::new());
    }
    let endpoint = serve(&device);
    let client: EntropyClient = endpoint.mint_client(3).unwrap();
    until(|| device.asked() == 16 && !device.0.lock().unwrap().open);
    // It is left alone until somebody calls.
    let second: EntropyClient = endpoint.mint_client(4).unwrap();
    let waits = fake::current().spawn(move || second.seed());
    until(|| device.asked() == 17);
    for _ in 0..16 {
        device.say(&endpoint, &[]);
    }
    assert_eq!(waits.join().unwrap(), server(EntropyError::NoEntropy));
    let waits = fake::current().spawn(move || client.seed());
    until(|| device.0.lock().unwrap().open);
    device.say(&endpoint, &[3; 32]);
    assert!(waits.join().unwrap().is_ok());
}

#[test]
fn only_so_many_wait() {
    let device = Device::default();
    let endpoint = serve(&device);
    let calls: Vec<_> = (0..65)
        .map(|badge| {
            let client: EntropyClient = endpoint.mint_client(100 + badge).unwrap();
            fake::current().spawn(move || client.seed())
        })
        .collect();
    until(|| calls.iter().any(|call| call.is_finished()));
    device.say(&endpoint, &[1; 32]);
    let ended: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    let busy = ended
        .iter()
        .filter(|end| **end == server(EntropyError::Busy));
    assert_eq!(busy.count(), 1);
    let mut seeds: Vec<_> = ended.iter().flatten().collect();
    seeds.sort();
    seeds.dedup();
    assert_eq!(seeds.len(), 64);
}

#[test]
fn a_device_that_says_too_much_ends_its_server() {
    let device = Device::default();
    device.0.lock().unwrap().claims = Some(MOST + 1);
    let endpoint = serve(&device);
    let client: EntropyClient = endpoint.mint_client(3).unwrap();
    let waits = fake::current().spawn(move || client.seed());
    until(|| device.asked() == 1);
    device.say(&endpoint, &[1; MOST]);
    until(|| endpoint.info().unwrap().receivers == 0);
    endpoint.close().unwrap();
    let ended = waits.join().unwrap();
    assert!(matches!(ended, Err(CallError::Transport(error)) if error.cause == Cause::Died));
}
