//! Serves the benchmarks' calls.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libipc::{
    Capability, LeaseMut, Start,
    client::Borrowed,
    objects::EndpointClient,
    server::{Event, Receiver, Reply},
    start::AnyError,
    sync::Mutex,
    thread,
};
use tessera_bench::{Target, TargetError};

libipc::program!(run);

/// A request for the second thread, and its argument.
static LATER: Mutex<Option<(Reply<u64, TargetError>, u64)>> = Mutex::new(None);

struct Server {
    kept: Option<Capability>,
    second: EndpointClient,
    page: [u8; 4096],
}

impl Target for Server {
    fn add(&mut self, left: u64, right: u64) -> Result<u64, TargetError> {
        Ok(left.wrapping_add(right))
    }

    fn multiply(&mut self, left: u64, right: u64) -> Result<u64, TargetError> {
        Ok((f64::from_bits(left) * f64::from_bits(right)).to_bits())
    }

    fn add_8(&mut self, words: [u64; 8]) -> Result<u64, TargetError> {
        Ok(words.into_iter().fold(0, u64::wrapping_add))
    }

    fn add_32(&mut self, words: [u64; 32]) -> Result<(u64, u64), TargetError> {
        let sum = words.iter().copied().fold(0, u64::wrapping_add);
        Ok((sum, words[31]))
    }

    fn load(&mut self, from: LeaseMut<'_>) -> Result<(), TargetError> {
        let length = from.len().min(self.page.len());
        let into = &mut self.page[..length];
        from.read_at(0, into).map_err(|_| TargetError::Lease)
    }

    fn give(&mut self, capability: Capability) -> Result<(), TargetError> {
        self.kept = Some(capability);
        Ok(())
    }

    fn take(&mut self) -> Result<Capability, TargetError> {
        self.kept.take().ok_or(TargetError::Nothing)
    }

    fn later(&mut self, word: u64, reply: Reply<u64, TargetError>) {
        *LATER.lock() = Some((reply, word));
        // It waits for nothing else; that it is gone shows in the next call.
        let _ = self.second.signal(1);
    }
}

fn run(mut start: Start) -> Result<(), AnyError> {
    // Several of them are told apart by an argument.
    let mut arguments = start.arguments().iter();
    let name = arguments.find(|argument| argument.starts_with("target-"));
    let name = name.copied().unwrap_or("target");
    let endpoint: EndpointClient = start.take(name)?;
    let second = libipc::task().create_endpoint()?;
    let handle = second.as_ref().handle();
    thread::spawn(move || answer(&Borrowed::new(handle)))?;
    let mut server = Server {
        kept: None,
        second,
        page: [0; 4096],
    };
    Err(libipc::serve::<dyn Target>(&endpoint, &mut server).into())
}

/// Answers what the first thread keeps.
fn answer(endpoint: &EndpointClient) {
    let mut receiver = Receiver::new(endpoint);
    while let Ok(event) = receiver.next() {
        if let Event::Signals(_) = event
            && let Some((reply, word)) = LATER.lock().take()
        {
            receiver.answer(reply, Ok(word + 1));
        }
    }
}
