//! Lines with time, level and source, and who may write how fast.

use crate::{
    rate::{Bucket, Rate},
    ring::{Ring, TooSmall},
};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use libipc::interfaces::{LogError, LogLevel, clients::ClientArgument};

/// Bytes of lines that are kept.
const CAPACITY: usize = 64 * 1024;

/// What a task may write: enough for a start or a failure in detail, too little
/// to push all others' lines out of the ring within seconds.
const TASK: Rate = Rate {
    burst: 64,
    per_second: 10,
};

/// What the kernel may write, with the reports of faults that come through it.
const KERNEL: Rate = Rate {
    burst: 512,
    per_second: 50,
};

/// Longest text of a line in bytes; longer ones are broken.
const TEXT: usize = 240;

/// Clients that have a bucket of their own; all further ones share one.
const BUCKETS: usize = 64;

/// The journal.
#[derive(Debug)]
pub struct Journal {
    ring: Ring,
    names: BTreeMap<u64, String>,
    buckets: BTreeMap<u64, Bucket>,
    others: Bucket,
    kernel: Bucket,
    /// What the kernel has written of its current line.
    partial: Vec<u8>,
}

impl Journal {
    /// An empty journal for these clients.
    pub fn new(clients: &[ClientArgument<'_>], now: u64) -> Self {
        let names = clients
            .iter()
            .map(|client| (client.badge, client.name.into()));
        Journal {
            ring: Ring::new(CAPACITY),
            names: names.collect(),
            buckets: BTreeMap::new(),
            others: Bucket::new(TASK, now),
            kernel: Bucket::new(KERNEL, now),
            partial: Vec::new(),
        }
    }

    /// Appends text of a client, one line for each of its own.
    pub fn append(
        &mut self,
        badge: u64,
        level: LogLevel,
        text: &str,
        now: u64,
    ) -> Result<(), LogError> {
        let unnamed;
        let source = match self.names.get(&badge) {
            Some(name) => name.as_str(),
            None => {
                unnamed = format!("client{badge}");
                &unnamed
            }
        };
        let room = self.buckets.len() < BUCKETS || self.buckets.contains_key(&badge);
        let bucket = if room {
            let full = || Bucket::new(TASK, now);
            self.buckets.entry(badge).or_insert_with(full)
        } else {
            &mut self.others
        };
        for line in text.trim_end_matches('\n').split('\n') {
            let lost = bucket.take(now).ok_or(LogError::TooFast)?;
            write(&mut self.ring, now, level, source, line, lost);
        }
        Ok(())
    }

    /// Appends text of the kernel, which comes in any pieces.
    pub fn kernel(&mut self, text: &[u8], now: u64) {
        for &byte in text {
            if byte == b'\n' {
                self.end_kernel_line(now);
                continue;
            }
            // Not inside a character, if it is one.
            if self.partial.len() >= TEXT && byte & 0xc0 != 0x80 {
                self.end_kernel_line(now);
            }
            self.partial.push(byte);
        }
    }

    /// The kernel's log lost bytes before they were read.
    pub fn kernel_lost(&mut self, bytes: u64, now: u64) {
        self.end_kernel_line(now);
        self.partial = format!("{bytes} bytes of the kernel's log were lost").into();
        self.end_kernel_line(now);
    }

    fn end_kernel_line(&mut self, now: u64) {
        let line = core::mem::take(&mut self.partial);
        if line.is_empty() {
            return;
        }
        if let Some(lost) = self.kernel.take(now) {
            let line = String::from_utf8_lossy(&line);
            write(&mut self.ring, now, LogLevel::Info, "kernel", &line, lost);
        }
    }

    /// Copies whole lines: the position of the first, and how many bytes.
    pub fn read(&self, position: u64, into: &mut [u8]) -> Result<(u64, usize), TooSmall> {
        self.ring.read(position, into)
    }

    /// Position behind the last line.
    pub fn end(&self) -> u64 {
        self.ring.end()
    }

    /// A client is gone. Those that the supervisor names keep their buckets: a
    /// task that crashes again and again gets no full one each time.
    pub fn closed(&mut self, badge: u64) {
        if !self.names.contains_key(&badge) {
            self.buckets.remove(&badge);
        }
    }
}

/// Writes one line, and before it one about those that were lost.
fn write(ring: &mut Ring, now: u64, level: LogLevel, source: &str, text: &str, lost: u64) {
    let stamp = format!("{}.{:06}", now / 1_000_000, now % 1_000_000);
    if lost > 0 {
        ring.push(&format!(
            "{stamp} W {source} {lost} lines were lost: too fast"
        ));
    }
    let letter = match level {
        LogLevel::Error => 'E',
        LogLevel::Warn => 'W',
        LogLevel::Info => 'I',
        LogLevel::Debug => 'D',
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    ring.push(&format!("{stamp} {letter} {source} {}", text.trim_end()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    fn journal() -> Journal {
        let shell = ClientArgument::parse("client:3=shell").unwrap();
        Journal::new(&[shell], 0)
    }

    fn text(journal: &Journal) -> String {
        let mut bytes = vec![0; CAPACITY];
        let (_, count) = journal.read(0, &mut bytes).unwrap();
        bytes.truncate(count);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_say_when_and_who() {
        let mut journal = journal();
        journal
            .append(3, LogLevel::Warn, "two\nlines\n", 1_000_005)
            .unwrap();
        journal
            .append(8, LogLevel::Debug, "\x1b[2Jhi\r", 2_500_000)
            .unwrap();
        assert_eq!(
            text(&journal),
            "1.000005 W shell two\n1.000005 W shell lines\n2.500000 D client8  [2Jhi\n"
        );
    }

    #[test]
    fn the_kernels_pieces_become_lines() {
        let mut journal = journal();
        for piece in ["boot", "ing\n\nsecond line\nthi", "rd"] {
            journal.kernel(piece.as_bytes(), 7);
        }
        assert_eq!(
            text(&journal),
            "0.000007 I kernel booting\n0.000007 I kernel second line\n"
        );
        journal.kernel_lost(100, 8);
        assert!(text(&journal).ends_with(
            "kernel third\n0.000008 I kernel 100 bytes of the kernel's log were lost\n"
        ));
        journal.kernel(&[b'x'; 1000], 9);
        assert!(text(&journal).lines().all(|line| line.len() < TEXT + 50));
    }

    #[test]
    fn a_storm_fills_no_log() {
        let mut journal = journal();
        journal.append(8, LogLevel::Info, "still here", 0).unwrap();
        let storm = (0..10_000).map(|_| journal.append(3, LogLevel::Error, "crash", 0));
        let refused = storm
            .filter(|result| *result == Err(LogError::TooFast))
            .count();
        assert_eq!(refused as u64, 10_000 - TASK.burst);
        // Others write on, and what they wrote is there.
        journal.append(8, LogLevel::Info, "and here", 0).unwrap();
        assert!(text(&journal).contains("still here") && text(&journal).contains("and here"));
        // Dying and coming back gives no new burst.
        journal.closed(3);
        assert_eq!(
            journal.append(3, LogLevel::Error, "x", 0),
            Err(LogError::TooFast)
        );
        // The loss is told when there is room again.
        journal
            .append(3, LogLevel::Info, "calm", 1_000_000)
            .unwrap();
        let lost = (10_000 - TASK.burst + 1).to_string();
        let told = format!("1.000000 W shell {lost} lines were lost: too fast\n");
        assert!(text(&journal).contains(&told));
    }

    #[test]
    fn clients_without_number_share_one_bucket() {
        let mut journal = journal();
        let accepted: Vec<u64> = (100..1000)
            .filter(|&badge| {
                (0..TASK.burst + 1).all(|_| journal.append(badge, LogLevel::Info, "x", 0).is_ok())
            })
            .collect();
        assert_eq!(accepted, []);
        assert_eq!(journal.buckets.len(), BUCKETS);
        let lines = text(&journal).lines().count() as u64;
        assert!(lines <= (BUCKETS as u64 + 1) * TASK.burst);
    }
}
