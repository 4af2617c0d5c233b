//! The interface, the kernel's log, and those who follow.

use crate::journal::Journal;
use alloc::{collections::BTreeMap, vec};
use libipc::{
    LeaseMut, Text,
    interfaces::{Log, LogError, LogLevel, LogPage},
    objects::{EndpointClient, SystemClient},
    server::{Event, Receiver},
    status::TransportError,
    time::{self, Instant},
};

/// Signal bit of the kernel's log.
const KERNEL: u64 = 1 << 0;

/// Clients that may follow.
const FOLLOWERS: usize = 16;

/// Most bytes that one read copies.
const PAGE: usize = 4096;

/// The journal between its endpoint and the kernel's log.
pub struct Server<'e> {
    endpoint: &'e EndpointClient,
    journal: Journal,
    kernel: Option<SystemClient>,
    /// How far the kernel's log was read.
    position: u64,
    followers: BTreeMap<u64, (EndpointClient, u64)>,
    /// Up to where followers were told.
    told: u64,
}

impl<'e> Server<'e> {
    /// Serves `journal` at `endpoint`, which must have `RECEIVE` and `SIGNAL`,
    /// and fills it from the kernel's log, if it may.
    pub fn new(
        endpoint: &'e EndpointClient,
        journal: Journal,
        kernel: Option<SystemClient>,
    ) -> Self {
        Server {
            endpoint,
            journal,
            kernel,
            position: 0,
            followers: BTreeMap::new(),
            told: 0,
        }
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self) -> TransportError {
        if let Some(kernel) = &self.kernel {
            // Without a signal the kernel's lines still come with the others.
            let _ = kernel.bind_log(self.endpoint, KERNEL);
        }
        let mut receiver = Receiver::new(self.endpoint);
        loop {
            self.drain_kernel();
            self.tell();
            match receiver.next() {
                Ok(Event::Message(message)) => {
                    let badge = message.badge();
                    let mut client = Client {
                        server: self,
                        badge,
                    };
                    message.dispatch::<dyn Log>(&mut client);
                }
                Ok(Event::Closed(badge)) => {
                    self.journal.closed(badge);
                    self.followers.remove(&badge);
                }
                Ok(Event::Signals(_)) => {}
                Err(error) => return error,
            }
        }
    }

    /// Takes what is new in the kernel's log.
    fn drain_kernel(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        let mut page = [0; 1024];
        while let Ok((start, count @ 1..)) = kernel.read_log_into(self.position, &mut page) {
            if start > self.position && self.position > 0 {
                self.journal.kernel_lost(start - self.position, now());
            }
            let length = page.len().min(count as usize);
            self.journal.kernel(&page[..length], now());
            self.position = start + count;
        }
    }

    /// Tells followers, if the journal has grown. Those that cannot be told are
    /// gone.
    fn tell(&mut self) {
        if self.journal.end() != self.told {
            self.told = self.journal.end();
            self.followers
                .retain(|_, (endpoint, signals)| endpoint.signal(*signals).is_ok());
        }
    }
}

/// One call's view of the server: who calls.
struct Client<'s, 'e> {
    server: &'s mut Server<'e>,
    badge: u64,
}

impl Log for Client<'_, '_> {
    fn append(&mut self, level: LogLevel, text: Text<240>) -> Result<(), LogError> {
        let journal = &mut self.server.journal;
        journal.append(self.badge, level, text.as_str(), now())
    }

    fn read(&mut self, cursor: u64, into: LeaseMut) -> Result<LogPage, LogError> {
        let mut page = vec![0; into.len().min(PAGE)];
        let read = self.server.journal.read(cursor, &mut page);
        let (start, count) = read.map_err(|_| LogError::TooSmall)?;
        let copied = into.write_at(0, &page[..count]);
        copied.map_err(|_| LogError::BadMemory)?;
        Ok(LogPage {
            start,
            bytes: count as u64,
        })
    }

    fn follow(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), LogError> {
        let followers = &mut self.server.followers;
        if followers.len() >= FOLLOWERS && !followers.contains_key(&self.badge) {
            return Err(LogError::TooManyFollowers);
        }
        followers.insert(self.badge, (endpoint, signals));
        Ok(())
    }

    fn unfollow(&mut self) -> Result<(), LogError> {
        self.server.followers.remove(&self.badge);
        Ok(())
    }
}

/// Microseconds since boot.
pub fn now() -> u64 {
    let since_boot = time::from_ticks(Instant::now().ticks());
    u64::try_from(since_boot.as_micros()).unwrap_or(u64::MAX)
}
