//! The interface: who asks, and who waits for the first seed.

use crate::{
    generator::Generator,
    source::{MOST, Source},
};
use alloc::vec::Vec;
use libipc::{
    interfaces::entropy::{Entropy, EntropyError, MAX_FILL},
    objects::EndpointClient,
    server::{Event, LeaseId, Receiver, Reply},
    start::AnyError,
};

/// Most calls that wait for the first seed.
const WAITING: usize = 64;

/// How often in a row a device may have nothing before who waits is told so.
const NOTHING: u32 = 16;

/// Bytes that are made at once.
const PIECE: usize = 256;

/// A call that is not answered yet.
#[derive(Debug)]
enum Call {
    Fill(LeaseId, Reply<(), EntropyError>),
    Seed(Reply<[u64; 4], EntropyError>),
}

/// The generator, the device that seeds it, and who waits for that.
pub struct Server<S> {
    source: S,
    generator: Generator,
    waiting: Vec<Call>,
    /// The device has been asked and not answered.
    asked: bool,
    /// How often it has had nothing, since it had something.
    nothing: u32,
}

impl<S: Source> Server<S> {
    /// Serves from this source. `extra` counts for nothing: see [`Generator::new`].
    pub fn new(source: S, extra: u64) -> Server<S> {
        Server {
            source,
            generator: Generator::new(extra),
            waiting: Vec::new(),
            asked: false,
            nothing: 0,
        }
    }

    /// Serves until the endpoint ends or the device fails, and returns why. Signals
    /// mean that the device has something to say, and the end of the session with the
    /// badge `device` that whoever signals is gone.
    pub fn run(&mut self, endpoint: &EndpointClient, device: Option<u64>) -> AnyError {
        let mut receiver = Receiver::new(endpoint);
        loop {
            if let Err(error) = self.ask() {
                return error;
            }
            match receiver.next() {
                Ok(Event::Message(message)) => message.dispatch::<dyn Entropy>(self),
                Ok(Event::Signals(_)) => {
                    if let Err(error) = self.answered() {
                        return error;
                    }
                }
                Ok(Event::Closed(badge)) if Some(badge) == device => {
                    return AnyError::new("the device's proxy is gone");
                }
                Ok(Event::Closed(_)) => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// Asks the device if there should be a new seed. One that has nothing is asked
    /// again when somebody calls.
    fn ask(&mut self) -> Result<(), AnyError> {
        if self.asked || !self.generator.is_stale() || self.nothing >= NOTHING {
            return Ok(());
        }
        self.asked = true;
        self.source.ask()
    }

    /// Takes what the device says, and answers who has waited for it.
    fn answered(&mut self) -> Result<(), AnyError> {
        let mut bytes = [0; MOST];
        let Some(count) = self.source.answer(&mut bytes)? else {
            return Ok(());
        };
        let said = bytes.get(..count);
        let said = said.ok_or_else(|| AnyError::new("the device says more than it was asked"))?;
        self.asked = false;
        self.nothing = match count {
            0 => self.nothing.saturating_add(1),
            _ => 0,
        };
        self.generator.add(said);
        if self.generator.is_seeded() || self.nothing >= NOTHING {
            for call in core::mem::take(&mut self.waiting) {
                self.answer(call);
            }
        }
        Ok(())
    }

    /// A call has come.
    fn take(&mut self, call: Call) {
        // A device that had nothing may have something this time.
        if self.nothing >= NOTHING {
            self.nothing = 0;
        }
        if self.generator.is_seeded() {
            self.answer(call);
        } else if self.waiting.len() < WAITING {
            self.waiting.push(call);
        } else {
            call.refuse(EntropyError::Busy);
        }
    }

    /// Answers a call from the generator. Who no longer waits need not be told.
    fn answer(&mut self, call: Call) {
        match call {
            Call::Fill(into, reply) => {
                let filled = self.fill(into, &reply);
                reply.answer(filled);
            }
            Call::Seed(reply) => {
                let mut bytes = [0; 32];
                let filled = self.generator.request(bytes.len());
                let filled = filled.map(|mut fill| fill(&mut bytes));
                let (words, _) = bytes.as_chunks::<8>();
                let seed = core::array::from_fn(|index| u64::from_le_bytes(words[index]));
                reply.answer(filled.map(|()| seed).ok_or(EntropyError::NoEntropy));
            }
        }
    }

    fn fill(&mut self, into: LeaseId, reply: &Reply<(), EntropyError>) -> Result<(), EntropyError> {
        let lease = reply.lease_mut(into);
        let lease = lease.map_err(|_| EntropyError::BadMemory)?;
        let next = self.generator.request(into.len());
        let mut next = next.ok_or(EntropyError::NoEntropy)?;
        let mut piece = [0; PIECE];
        for offset in (0..into.len()).step_by(PIECE) {
            let piece = &mut piece[..PIECE.min(into.len() - offset)];
            next(piece);
            let written = lease.write_at(offset, piece);
            written.map_err(|_| EntropyError::BadMemory)?;
        }
        Ok(())
    }
}

impl Call {
    fn refuse(self, error: EntropyError) {
        match self {
            Call::Fill(_, reply) => drop(reply.answer(Err(error))),
            Call::Seed(reply) => drop(reply.answer(Err(error))),
        }
    }
}

impl<S: Source> Entropy for Server<S> {
    fn fill(&mut self, into: LeaseId, reply: Reply<(), EntropyError>) {
        let call = Call::Fill(into, reply);
        match into.len() {
            0..=MAX_FILL => self.take(call),
            _ => call.refuse(EntropyError::BadLength),
        }
    }

    fn seed(&mut self, reply: Reply<[u64; 4], EntropyError>) {
        self.take(Call::Seed(reply));
    }
}
