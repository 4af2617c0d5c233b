//! The instructions that were executed, and how often each.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::Result;
use std::ops::Range;

/// Addresses of the kernel begin here; firmware and a kernel that has not turned on
/// its address space are taken for a program of their own.
const KERNEL: u64 = 1 << 63;
/// Pages are told apart, not what is in them.
const PAGE: u64 = 4096;

/// What an instruction was executed for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    /// A program's own.
    Program,
    /// The kernel's, between its rims.
    Kernel,
    /// On the way into the kernel.
    Entry,
    /// On the way out of it.
    Exit,
}

struct Instruction {
    address: u64,
    host: u64,
    bytes: Vec<u8>,
}

/// The instructions and their counts.
pub(crate) struct Counts {
    /// Whether it counts.
    pub(crate) open: bool,
    /// Of the kernel's code, what saves and restores registers.
    rim: Range<u64>,
    instructions: Vec<Instruction>,
    numbers: HashMap<(u64, u64, Vec<u8>), usize>,
    /// By the page that the kernel was entered from, role and instruction.
    counts: HashMap<(u64, Role, usize), u64>,
    /// The page of the program's instruction that was executed last.
    page: u64,
    /// What was executed of the rim and is not counted yet.
    pending: Vec<usize>,
    /// The file to write.
    path: String,
}

impl Counts {
    /// Nothing yet, for the file at `path`.
    pub(crate) fn new(path: &str, rim: Range<u64>, open: bool) -> Counts {
        Counts {
            open,
            rim,
            instructions: Vec::new(),
            numbers: HashMap::new(),
            counts: HashMap::new(),
            page: 0,
            pending: Vec::new(),
            path: path.into(),
        }
    }

    /// The number of an instruction; it gets one if it has none.
    pub(crate) fn number(&mut self, address: u64, host: u64, bytes: &[u8]) -> usize {
        let number = self.numbers.entry((address, host, bytes.to_vec()));
        *number.or_insert_with(|| {
            self.instructions.push(Instruction {
                address,
                host,
                bytes: bytes.to_vec(),
            });
            self.instructions.len() - 1
        })
    }

    /// The instruction with this number is executed.
    pub(crate) fn executed(&mut self, number: usize) {
        let Instruction { address, host, .. } = self.instructions[number];
        if self.rim.contains(&address) {
            if self.open {
                self.pending.push(number);
            }
            return;
        }
        let (role, way) = if address < KERNEL {
            (Role::Program, Role::Exit)
        } else {
            (Role::Kernel, Role::Entry)
        };
        for passed in std::mem::take(&mut self.pending) {
            self.count(way, passed);
        }
        if role == Role::Program {
            self.page = host / PAGE;
        }
        if self.open {
            self.count(role, number);
        }
    }

    fn count(&mut self, role: Role, number: usize) {
        *self.counts.entry((self.page, role, number)).or_default() += 1;
    }

    /// Writes the file.
    pub(crate) fn write(&mut self) -> Result<()> {
        let mut text = String::new();
        // Formatting into a string does not fail.
        for Instruction {
            address,
            host,
            bytes,
        } in &self.instructions
        {
            let _ = write!(text, "i {address:x} {host:x} ");
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        for ((page, role, number), count) in &self.counts {
            let role = match role {
                Role::Program => "program",
                Role::Kernel => "kernel",
                Role::Entry => "entry",
                Role::Exit => "exit",
            };
            let _ = writeln!(text, "c {page:x} {role} {number} {count}");
        }
        std::fs::write(&self.path, text)
    }
}
