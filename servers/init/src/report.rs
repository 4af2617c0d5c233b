//! What the kernel's log is told about a fault.

use alloc::string::String;
use core::fmt::{self, Write};
use libipc::{
    fault::INTERFACE,
    label::{Flags, Label},
    objects::{FaultKind, RegistersInfo},
};
use tessera_archive::{Interfaces, Symbols};
use tessera_loader::Machine;

/// A fault, as the kernel told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The task's number.
    pub task: u64,
    /// The thread's number.
    pub thread: u64,
    /// What happened.
    pub kind: FaultKind,
    /// The address that the instruction used.
    pub address: u64,
    /// The processor's own word on it.
    pub code: u64,
    /// Where the thread is.
    pub pc: u64,
}

/// Everything else that a report shows. What is not known is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details<'a> {
    /// Why the program panicked, in its own words.
    pub reason: &'a str,
    /// The thread's registers.
    pub registers: Option<RegistersInfo>,
    /// Addresses of the functions it is in, the innermost first.
    pub backtrace: &'a [u64],
    /// Where the program was loaded.
    pub base: u64,
    /// Names of its functions.
    pub symbols: Option<Symbols<'a>>,
    /// Labels of its last calls, the latest first.
    pub history: &'a [u64],
    /// Names of interfaces.
    pub interfaces: Option<Interfaces<'a>>,
}

/// One line on what happened.
pub fn headline(name: &str, fault: &Fault) -> String {
    let mut text = String::new();
    let place = |text: &mut String, verb: &str| write!(text, "{verb} {:#x}", fault.address);
    let written = write!(
        text,
        "fault in `{name}` (task {}, thread {}): ",
        fault.task, fault.thread
    )
    .and_then(|()| match fault.kind {
        FaultKind::Read => place(&mut text, "read of"),
        FaultKind::Write => place(&mut text, "write to"),
        FaultKind::Execute => place(&mut text, "jump to"),
        FaultKind::Illegal => text.write_str("illegal instruction"),
        FaultKind::Alignment => place(&mut text, "misaligned address"),
        FaultKind::Breakpoint => text.write_str("breakpoint"),
        FaultKind::Exit => write!(text, "exit with code {}", fault.address),
        FaultKind::Panic => text.write_str("panic"),
        FaultKind::Quota => place(&mut text, "no memory left in its quota for"),
    })
    .and_then(|()| writeln!(text, " at {:#x}", fault.pc));
    finished(text, written)
}

/// The whole report, some thirty lines.
pub fn full(machine: Machine, name: &str, fault: &Fault, details: &Details<'_>) -> String {
    let mut text = headline(name, fault);
    let written = body(&mut text, machine, details);
    finished(text, written)
}

/// Writing to a string does not fail; a value's own `Display` could.
fn finished(mut text: String, written: fmt::Result) -> String {
    if written.is_err() {
        text.push_str("  (the rest cannot be shown)\n");
    }
    text
}

fn body(text: &mut String, machine: Machine, details: &Details<'_>) -> fmt::Result {
    if !details.reason.is_empty() {
        for line in details.reason.lines() {
            writeln!(text, "  {line}")?;
        }
    }
    for (index, address) in details.backtrace.iter().enumerate() {
        // A call that does not return is the last instruction of its function:
        // where it would return to already belongs to the next one.
        let place = Place {
            address: *address,
            back: u64::from(index > 0),
            details,
        };
        writeln!(text, "  #{index} {place}")?;
    }
    if let Some(registers) = &details.registers {
        show_registers(text, machine, registers)?;
    }
    // The latest is the fault itself.
    let is_call = |label: &&u64| **label != 0 && Label(**label).hash() != INTERFACE.hash;
    let calls = details.history.iter().filter(is_call);
    let mut shown = 0;
    for label in calls {
        let start = match shown % 4 {
            0 if shown == 0 => "  last calls: ",
            0 => ",\n              ",
            _ => ", ",
        };
        text.push_str(start);
        call_name(text, Label(*label), details.interfaces)?;
        shown += 1;
    }
    if shown > 0 {
        text.push('\n');
    }
    Ok(())
}

/// An address with the function that it lies in.
struct Place<'a> {
    address: u64,
    /// Bytes by which the instruction in question lies before it, at least.
    back: u64,
    details: &'a Details<'a>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)?;
        let offset = self.address.checked_sub(self.details.base + self.back);
        let symbols = self.details.symbols.zip(offset);
        match symbols.and_then(|(symbols, offset)| symbols.find(offset)) {
            Some((name, into)) => write!(f, " {name}+{:#x}", into + self.back),
            None => Ok(()),
        }
    }
}

fn show_registers(text: &mut String, machine: Machine, registers: &RegistersInfo) -> fmt::Result {
    let first = match machine {
        Machine::Aarch64 => 0,
        Machine::Riscv64 => 1,
    };
    write!(
        text,
        "  pc  {:016x}  sp  {:016x}",
        registers.pc, registers.sp
    )?;
    write!(
        text,
        "  fp  {:016x}  ra  {:016x}",
        registers.fp, registers.ra
    )?;
    for (index, value) in registers.general.iter().enumerate() {
        let start = if index % 4 == 0 { "\n" } else { "" };
        write!(text, "{start}  x{:<2} {value:016x}", index + first)?;
    }
    text.push('\n');
    Ok(())
}

/// A call's name: `File.read_at`, or what its label is.
fn call_name(text: &mut String, label: Label, interfaces: Option<Interfaces<'_>>) -> fmt::Result {
    if label
        .flags()
        .intersects(Flags::RECEIVE | Flags::REPLY | Flags::SIGNAL)
    {
        let flags = label.flags();
        return text.write_str(match () {
            () if flags.contains(Flags::RECEIVE | Flags::REPLY) => "(answer, receive)",
            () if flags.contains(Flags::RECEIVE) => "(receive)",
            () if flags.contains(Flags::REPLY) => "(answer)",
            () => "(signal)",
        });
    }
    let (interface, operation) = names(label, interfaces);
    match (interface, operation) {
        (Some(interface), Some(operation)) => write!(text, "{interface}.{operation}"),
        (Some(interface), None) => write!(text, "{interface}.{}", label.operation()),
        _ => write!(text, "{:08x}.{}", label.hash(), label.operation()),
    }
}

/// Names of a label's interface and operation.
pub fn names<'a>(
    label: Label,
    interfaces: Option<Interfaces<'a>>,
) -> (Option<&'a str>, Option<&'a str>) {
    let interface = interfaces.and_then(|table| table.interface(label.hash()));
    let operation = interfaces.and_then(|table| table.operation(label.hash(), label.operation()));
    (interface, operation)
}

/// Bounds how many full reports are written: a few at once, then one in a
/// while; of the others only the headline, and of those not more than is
/// useful either. Times are milliseconds.
#[derive(Debug)]
pub struct Rate {
    full: Bucket,
    lines: Bucket,
    /// Faults of which nothing was written.
    silent: u64,
}

/// How much may be written about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everything.
    Full,
    /// One line.
    Headline,
    /// Nothing.
    Nothing,
}

impl Default for Rate {
    fn default() -> Self {
        Rate {
            full: Bucket::new(4, 5000),
            lines: Bucket::new(16, 1000),
            silent: 0,
        }
    }
}

impl Rate {
    /// What may be written now, and of how many faults before nothing was.
    pub fn next(&mut self, now: u64) -> (Allowed, u64) {
        let allowed = if self.full.take(now) {
            Allowed::Full
        } else if self.lines.take(now) {
            Allowed::Headline
        } else {
            self.silent += 1;
            return (Allowed::Nothing, 0);
        };
        (allowed, core::mem::take(&mut self.silent))
    }
}

/// A bucket of tokens.
#[derive(Debug)]
struct Bucket {
    size: u64,
    interval: u64,
    tokens: u64,
    filled: u64,
}

impl Bucket {
    fn new(size: u64, interval: u64) -> Bucket {
        Bucket {
            size,
            interval,
            tokens: size,
            filled: 0,
        }
    }

    fn take(&mut self, now: u64) -> bool {
        let new = now.saturating_sub(self.filled) / self.interval;
        self.filled += new * self.interval;
        self.tokens = self.tokens.saturating_add(new).min(self.size);
        let left = self.tokens.checked_sub(1);
        self.tokens = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const FAULT: Fault = Fault {
        task: 12,
        thread: 34,
        kind: FaultKind::Read,
        address: 0x10,
        code: 0,
        pc: 0x4000_1234,
    };

    #[test]
    fn a_report_names_functions_and_calls() {
        // A table as `tessera-archive` writes it: `open` at 0x1200, to 0x1300.
        let mut table = [0x1200_u64.to_le_bytes(), [2, 0, 0, 0, 4, 0, 0, 0]].concat();
        for word in [0_u32, 4, 0x100, 4] {
            table.extend(word.to_le_bytes());
        }
        table.extend(b"open");
        let details = Details {
            backtrace: &[0x4000_1234, 0x4000_1300, 0x4000_5000],
            base: 0x4000_0000,
            symbols: Symbols::new(&table),
            history: &[
                Label::call(0, INTERFACE.hash).0,
                Label::call(1, 0xabc).0,
                Label::control(Flags::RECEIVE, 0).0,
                0,
            ],
            interfaces: Interfaces::new(b"00000abc File 0:stat 1:read_at\n"),
            ..Details::default()
        };
        let text = full(Machine::Aarch64, "files", &FAULT, &details);
        std::println!("{text}");
        assert!(text.starts_with("fault in `files` (task 12, thread 34): read of 0x10 at 0x4000"));
        assert!(text.contains("#0 0x40001234 open+0x34\n"));
        assert!(text.contains("#1 0x40001300 open+0x100\n"));
        assert!(text.contains("#2 0x40005000\n"));
        assert!(text.contains("last calls: File.read_at, (receive)\n"));
    }

    #[test]
    fn a_storm_is_bounded_and_told() {
        let mut rate = Rate::default();
        let answers: std::vec::Vec<_> = (0..1000).map(|_| rate.next(100_000).0).collect();
        let count = |allowed| answers.iter().filter(|answer| **answer == allowed).count();
        assert_eq!((count(Allowed::Full), count(Allowed::Headline)), (4, 16));
        assert_eq!(rate.next(101_000), (Allowed::Headline, 980));
        assert_eq!(rate.next(105_000), (Allowed::Full, 0));
    }
}
