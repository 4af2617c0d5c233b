//! Where log lines come from: the log server, or the kernel's own log in a
//! system without one.

use alloc::vec::Vec;
use core::time::Duration;
use libipc::{
    Capability, Start,
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
    /// The last line of the kernel's that was fetched from the log server.
    last: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Server(LogClient),
    Kernel(SystemClient),
}

impl<'e> LogReader<'e> {
    /// Reads from whichever log the task was given.
    pub fn find(start: &mut Start, endpoint: &'e EndpointClient, signals: u64) -> Option<Self> {
        if let Ok(log) = start.take("log") {
            return Some(LogReader::server(log, endpoint, signals));
        }
        let system = start.take("kernel-log").ok()?;
        Some(LogReader::kernel(system, endpoint, signals))
    }

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
            last: Vec::new(),
        }
    }

    /// Leaves out what is older than `seconds` since boot: for a console that
    /// was restarted, whose predecessor has shown it.
    pub fn skip_before(&mut self, seconds: u64) {
        while !self.text().is_empty() {
            let line = self.text().split_inclusive(|&byte| byte == b'\n').next();
            let line = line.unwrap_or_default();
            if line_seconds(line).is_some_and(|at| at >= seconds) {
                return;
            }
            let length = line.len();
            self.consume(length);
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
            Some((start, _)) if start < self.position => {
                // A log server that was restarted has forgotten who follows.
                self.following = false;
                (self.find_last(), 0)
            }
            Some(read) => read,
            None => {
                self.following = false;
                (self.position, 0)
            }
        };
        self.page.truncate(bytes as usize);
        self.position = start + bytes;
        self.remember();
    }

    /// Where a restarted log server, which has read the kernel's log anew, goes
    /// on after what was fetched from its predecessor; 0 if it does not know.
    fn find_last(&mut self) -> u64 {
        self.position = 0;
        while let Some((start, bytes)) = self.read().filter(|&(_, bytes)| bytes > 0) {
            let mut end = start;
            for line in self.page[..bytes as usize].split_inclusive(|&byte| byte == b'\n') {
                end += line.len() as u64;
                if !self.last.is_empty() && kernel_text(line) == Some(&self.last) {
                    return end;
                }
            }
            self.position = start + bytes;
        }
        0
    }

    /// Remembers the last line of the kernel's.
    fn remember(&mut self) {
        if let Source::Server(_) = self.source {
            let lines = self.page.split_inclusive(|&byte| byte == b'\n');
            if let Some(last) = lines.filter_map(kernel_text).next_back() {
                self.last = last.into();
            }
        }
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

/// When a line was written, in seconds since boot.
fn line_seconds(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| !byte.is_ascii_digit()).next()?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// The text of a line whose source is the kernel.
fn kernel_text(line: &[u8]) -> Option<&[u8]> {
    let mut parts = line.splitn(4, |&byte| byte == b' ').skip(2);
    (parts.next()? == b"kernel").then_some(())?;
    parts.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_when_they_were_written() {
        assert_eq!(line_seconds(b"15.000001 I shell x"), Some(15));
        assert_eq!(line_seconds(b"init: x"), None);
    }

    #[test]
    fn lines_of_the_kernel_are_known_by_their_source() {
        assert_eq!(
            kernel_text(b"1.5 I kernel boot done\n"),
            Some(&b"boot done\n"[..])
        );
        assert_eq!(kernel_text(b"1.5 I shell kernel x\n"), None);
        assert_eq!(kernel_text(b"1.5 I\n"), None);
        assert_eq!(kernel_text(b""), None);
    }
}
