//! Tasks that read what other devices say: one for each device, one for all strangers, made
//! when they are needed.
//!
//! One that ends, does not answer in time, answers what nobody could have read or says that
//! a message of a session is none is killed and counts as a failure; the stream breaks of
//! which it was reading, and another task reads the next one. Whoever makes it fail again
//! and again waits longer each time. There are at most [`PARSERS`] of them: of more devices
//! the one that was read the longest ago loses its task, which costs it the time to make
//! another. Strangers keep theirs, and guests of trusted devices share [`GUESTS`], for a
//! device may bring as many of them as it likes.

mod task;

pub use task::Supervised;

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use core::time::Duration;
use libipc::{Bytes, CallError, time::Instant};
use tessera_softbus_parser::{
    BusParserClient, Form, ParserError,
    interface::{BATCH, RECORDS},
};
use tessera_softbus_protocol::{
    announce::Datagram, pairing::Said, parser::Parser, records, suite::PublicKey, wire::Message,
};

/// Tasks at most.
pub const PARSERS: usize = 9;

/// Of those, for guests.
pub const GUESTS: usize = 3;

/// How long one may read. The bus waits as long.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long whoever made one fail twice waits, and at most; and after which time without a
/// failure all is forgotten.
const WAIT: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);

/// A task; it ends when this is dropped.
pub type Task = Box<dyn Send>;

/// Makes tasks that read.
pub trait Make: Send {
    /// A task, and where it is asked. None if there is no memory for one, say.
    fn make(&mut self) -> Option<(BusParserClient, Task)>;
}

/// Of whom it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Strangers,
    Guest(PublicKey),
    Trusted(PublicKey),
}

impl Of {
    fn is_guest(self) -> bool {
        matches!(self, Of::Guest(_))
    }
}

/// See the module.
pub struct Parsers {
    make: Box<dyn Make>,
    all: BTreeMap<Of, One>,
    failures: BTreeMap<Of, Failures>,
    uses: u64,
}

struct One {
    client: BusParserClient,
    _task: Task,
    /// When it read last, in uses of any.
    used: u64,
}

struct Failures {
    count: u32,
    last: Instant,
    until: Instant,
}

impl Parsers {
    /// None yet.
    pub fn new(make: Box<dyn Make>) -> Self {
        Parsers {
            make,
            all: BTreeMap::new(),
            failures: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Asks whoever reads of this device, and once more if that one had ended before it
    /// was asked.
    fn ask<T>(
        &mut self,
        of: Of,
        mut ask: impl FnMut(&BusParserClient) -> Result<T, CallError<ParserError>>,
    ) -> Option<T> {
        for _ in 0..2 {
            match ask(self.find(of)?) {
                Ok(answer) => return Some(answer),
                Err(CallError::Server(ParserError::Malformed)) => return None,
                Err(CallError::Transport(error)) if !error.delivered && error.is_closed() => {
                    self.all.remove(&of);
                }
                Err(_) => break,
            }
        }
        self.failed(of);
        None
    }

    /// Whoever reads of this device.
    fn find(&mut self, of: Of) -> Option<&BusParserClient> {
        if !self.all.contains_key(&of) {
            let waits = |failures: &Failures| !failures.until.passed();
            if self.failures.get(&of).is_some_and(waits) {
                return None;
            }
            let guests = self.all.keys().filter(|of| of.is_guest()).count();
            if of.is_guest() && guests >= GUESTS {
                self.end_oldest(Of::is_guest);
            } else if self.all.len() >= PARSERS {
                self.end_oldest(|of| of != Of::Strangers);
            }
            let (client, _task) = self.make.make()?;
            let one = One {
                client: client.with_timeout(PATIENCE),
                _task,
                used: self.uses,
            };
            self.all.insert(of, one);
        }
        self.uses += 1;
        let one = self.all.get_mut(&of)?;
        one.used = self.uses;
        Some(&one.client)
    }

    /// Ends the one of these that was read the longest ago.
    fn end_oldest(&mut self, is_one: impl Fn(Of) -> bool) {
        let all = self.all.iter().filter(|(of, _)| is_one(**of));
        let oldest = all.min_by_key(|(_, one)| one.used).map(|(of, _)| *of);
        oldest.and_then(|of| self.all.remove(&of));
    }

    /// It did not do what it is for.
    fn failed(&mut self, of: Of) {
        self.all.remove(&of);
        let now = Instant::now();
        self.failures.retain(|_, one| one.last + LONGEST > now);
        if self.failures.len() >= PARSERS * 8 {
            let oldest = self.failures.iter().min_by_key(|(_, one)| one.last);
            let oldest = oldest.map(|(of, _)| *of);
            oldest.and_then(|of| self.failures.remove(&of));
        }
        let failures = self.failures.entry(of).or_insert(Failures {
            count: 0,
            last: now,
            until: now,
        });
        // The first time may have been a chance.
        if failures.count > 0 {
            failures.until = now + LONGEST.min(WAIT * (1 << (failures.count - 1).min(8)));
        }
        failures.count += 1;
        failures.last = now;
    }
}

impl Parser for Parsers {
    fn messages(&mut self, peer: &PublicKey, is_guest: bool, plain: &[Vec<u8>]) -> Vec<Message> {
        let of = match is_guest {
            true => Of::Guest(*peer),
            false => Of::Trusted(*peer),
        };
        let mut messages = Vec::with_capacity(plain.len());
        for some in batches(plain) {
            let records = records::write(some, 0);
            let mut forms = vec![0; some.len() * Form::SIZE];
            let count = self.ask(of, |parser| parser.messages(&records, &mut forms));
            let Some(count) = count else { break };
            let read = some.iter().zip(forms.chunks_exact(Form::SIZE));
            let before = messages.len();
            for (plain, form) in read.take(count as usize) {
                match Form::read(form).and_then(|form| form.message(plain)) {
                    Some(message) => messages.push(message),
                    None => {
                        self.failed(of);
                        return messages;
                    }
                }
            }
            if messages.len() - before < some.len() {
                // What is no message is a lie of one of the two.
                self.failed(of);
                break;
            }
        }
        messages
    }

    fn exchange(&mut self, plain: &[Vec<u8>]) -> Vec<Said> {
        let mut all = Vec::with_capacity(plain.len());
        for plain in plain {
            let bytes = Bytes::new(plain);
            let read = bytes.and_then(|bytes| self.ask(Of::Strangers, |parser| parser.said(bytes)));
            let Some(read) = read else { break };
            let Some(said) = read.get() else {
                self.failed(Of::Strangers);
                break;
            };
            all.push(said);
        }
        all
    }

    fn datagram(&mut self, bytes: &[u8]) -> Option<Datagram> {
        let bytes = Bytes::new(bytes)?;
        let read = self.ask(Of::Strangers, |parser| parser.datagram(bytes))?;
        let datagram = read.get();
        if datagram.is_none() {
            self.failed(Of::Strangers);
        }
        datagram
    }

    fn forget(&mut self, peer: &PublicKey) {
        for of in [Of::Guest(*peer), Of::Trusted(*peer)] {
            self.all.remove(&of);
        }
    }
}

/// Records in lots that are read at once.
fn batches(records: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = records;
    core::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(RECORDS).take_while(|record| {
            bytes += record.len() + records::HEADER;
            bytes <= BATCH
        });
        let count = fits.count().max(1);
        let (some, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(some)
    })
}
