//! Where log lines come from: the log server, or the kernel's own log in a
//! system without one.

use alloc::vec::Vec;
use core::time::Duration;
use libipc::{
    Capability,
    handle::Rights,
    interfaces::LogClient,
    objects::{EndpointClient, SystemClient},
};

/// Bytes fetched at once; no line of the log is longer.
const PAGE: usize = 1024;

/// How long the log server may take for an answer, so that a broken one does
/// not stop the console.
const PATIENCE: Duration = Duration::from_millis(100);

/// The log, read from its oldest line on.
#[derive(Debug)]
pub struct LogReader<'e> {
    source: Source,
    /// Where to be told that the log has grown, and by which signal bits.
    endpoint: &'e EndpointClient,
    signals: u64,
    following: bool,
    /// Where to go on.
    position: u64,
    /// What was fetched, and how much of it is used.
    page: Vec<u8>,
    used: usize,
}

#[derive(Debug)]
enum Source {
    Server(LogClient),
    Kernel(SystemClient),
}

impl<'e> LogReader<'e> {
    /// Reads from the log server.
    pub fn server(log: LogClient, endpoint: &'e EndpointClient, signals: u64) -> Self {
        let log = log.with_timeout(PATIENCE);
        LogReader::new(Source::Server(log), endpoint, signals)
    }

    /// Reads the kernel's log.
    pub fn kernel(system: SystemClient, endpoint: &'e EndpointClient, signals: u64) -> Self {
        LogReader::new(Source::Kernel(system), endpoint, signals)
    }

    fn new(source: Source, endpoint: &'e EndpointClient, signals: u64) -> Self {
        LogReader {
            source,
            endpoint,
            signals,
            following: false,
            position: 0,
            page: Vec::new(),
            used: 0,
        }
    }

    /// Text that was not used yet; empty if there is nothing new.
    pub fn text(&mut self) -> &[u8] {
        if self.used == self.page.len() {
            self.fetch();
        }
        &self.page[self.used..]
    }

    /// `count` bytes of the text were used.
    pub fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.page.len());
    }

    fn fetch(&mut self) {
        // First, so that nothing is missed between reading and being told.
        if !self.following {
            self.following = self.follow();
        }
        self.used = 0;
        self.page.resize(PAGE, 0);
        let (start, bytes) = match self.read() {
            Some((start, bytes)) => {
                // A log server that was restarted has forgotten who follows.
                self.following &= start >= self.position;
                (start, bytes)
            }
            None => {
                self.following = false;
                (self.position, 0)
            }
        };
        self.page.truncate(bytes as usize);
        self.position = start + bytes;
    }

    fn read(&mut self) -> Option<(u64, u64)> {
        match &self.source {
            Source::Server(log) => {
                let page = log.read(self.position, &mut self.page).ok()?;
                Some((page.start, page.bytes))
            }
            Source::Kernel(system) => system.read_log_into(self.position, &mut self.page).ok(),
        }
    }

    fn follow(&self) -> bool {
        match &self.source {
            Source::Server(log) => {
                let rights = Rights::SIGNAL | Rights::GRANT;
                let signal: Result<Capability, _> = self.endpoint.as_ref().derive(rights);
                signal.is_ok_and(|signal| log.follow(signal.into(), self.signals).is_ok())
            }
            Source::Kernel(system) => system.bind_log(self.endpoint, self.signals).is_ok(),
        }
    }
}
