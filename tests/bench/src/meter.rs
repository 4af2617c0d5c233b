//! What something costs that waits for others: how long the machine was busy, how
//! many messages were received by anybody, how many bytes the kernel copied.

use alloc::{format, string::String};
use core::time::Duration;
use libipc::{
    interfaces::supervisor::InspectClient,
    objects::SystemClient,
    start::AnyError,
    time::{self, Instant},
};

use crate::mark;

/// Where the numbers come from.
#[derive(Debug)]
pub struct Meter {
    counters: SystemClient,
    inspect: InspectClient,
    /// Messages that it takes to count them.
    own: u64,
}

/// What was used.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Time that passed, without what the machine idled.
    pub busy: Duration,
    /// Messages that tasks received.
    pub messages: u64,
    /// Bytes that the kernel copied, by leases and from and to memory.
    pub copied: u64,
    /// Frames that went over a network, if somebody has counted them.
    pub frames: Option<u64>,
}

impl Cost {
    /// The line that tells it.
    pub fn line(&self, case: &str, times: u64) -> String {
        let (busy, messages, copied) = (self.busy.as_nanos(), self.messages, self.copied);
        let frames = self
            .frames
            .map_or(String::new(), |frames| format!(" {frames}"));
        format!("[bench] {case} {times} {busy} {messages} {copied}{frames}\n")
    }
}

impl Meter {
    /// Counts by these.
    pub fn new(counters: SystemClient, inspect: InspectClient) -> Result<Self, AnyError> {
        let mut meter = Meter {
            counters,
            inspect,
            own: 0,
        };
        meter.own = meter.messages()?.abs_diff(meter.messages()?);
        Ok(meter)
    }

    /// What it costs to do this, `times` times.
    #[inline(always)]
    pub fn measure(
        &self,
        times: u64,
        mut what: impl FnMut(u64) -> Result<(), AnyError>,
    ) -> Result<Cost, AnyError> {
        let messages = self.messages()?;
        let before = self.counters.counters()?;
        let begin = Instant::now();
        mark::open();
        for n in 0..times {
            what(n)?;
        }
        mark::close();
        let passed = begin.elapsed();
        let after = self.counters.counters()?;
        Ok(Cost {
            busy: passed.saturating_sub(time::from_ticks(after.idle - before.idle)),
            messages: self.messages()? - messages - self.own,
            copied: after.copied - before.copied,
            frames: None,
        })
    }

    /// Messages that all tasks have received so far.
    fn messages(&self) -> Result<u64, AnyError> {
        let mut sum = 0;
        for index in 0.. {
            match self.inspect.task(index) {
                Ok(line) => sum += line.info.received,
                Err(_) if index > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sum)
    }
}
