//! What the plugin wrote down; `xtask/plugin/src/trace.rs` says in which form.

use std::fmt;

use anyhow::{Context, Result};

/// An instruction that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its virtual address.
    pub address: u64,
    /// Where the emulator keeps it.
    pub host: u64,
    /// Its encoding.
    pub bytes: Vec<u8>,
}

/// What an instruction was executed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A program's own.
    Program,
    /// On the way into the kernel.
    Entry,
    /// The kernel's.
    Kernel,
    /// On the way out of it.
    Exit,
}

/// How often an instruction was executed after the kernel was entered from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The number of that page, or 0.
    pub page: u64,
    /// For what.
    pub role: Role,
    /// Index of the instruction.
    pub instruction: usize,
    /// How often.
    pub count: u64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// In the order in which they were translated.
    pub instructions: Vec<Instruction>,
    /// In no order.
    pub counts: Vec<Count>,
}

impl Log {
    /// Reads the file.
    pub fn read(text: &str) -> Result<Self> {
        let mut log = Self::default();
        for line in text.lines() {
            log.add(line)
                .with_context(|| format!("no line of a trace: `{line}`"))?;
        }
        Ok(log)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let hex = |text| u64::from_str_radix(text, 16).ok();
        match words.next()? {
            "i" => self.instructions.push(Instruction {
                address: hex(words.next()?)?,
                host: hex(words.next()?)?,
                bytes: bytes(words.next()?)?,
            }),
            "c" => self.counts.push(Count {
                page: hex(words.next()?)?,
                role: Role::named(words.next()?)?,
                instruction: words.next()?.parse().ok()?,
                count: words.next()?.parse().ok()?,
            }),
            _ => return None,
        }
        let known = |count: &Count| count.instruction < self.instructions.len();
        self.counts.last().is_none_or(known).then_some(())
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

impl Role {
    fn named(name: &str) -> Option<Self> {
        match name {
            "program" => Some(Role::Program),
            "entry" => Some(Role::Entry),
            "kernel" => Some(Role::Kernel),
            "exit" => Some(Role::Exit),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Program => "program",
            Role::Entry => "entry rim",
            Role::Kernel => "kernel",
            Role::Exit => "exit rim",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let log = Log::read("i 1000 7f001000 1f2003d5\nc 7f001 entry 0 12\n").unwrap();
        assert_eq!(log.instructions[0].bytes, [0x1f, 0x20, 0x03, 0xd5]);
        let expected = Count {
            page: 0x7f001,
            role: Role::Entry,
            instruction: 0,
            count: 12,
        };
        assert_eq!(log.counts, [expected]);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in [
            "x",
            "i 1000 zz 00",
            "i 0 0 f",
            "c 0 entry 0 1",
            "c 0 to 0 1",
        ] {
            assert!(Log::read(text).is_err(), "{text}");
        }
    }
}
