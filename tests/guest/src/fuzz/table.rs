//! Which operations there are, which outcomes each can have, and how often each
//! was seen.

use crate::{
    raw,
    run::{World, say},
};
use alloc::string::String;
use core::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc::{
    label::Label,
    objects,
    operation::Interface,
    registers::CallOut,
    status::{Cause, Status},
};

/// Outcomes, each with the letter that stands for it below.
const OUTCOMES: [(char, &str); 14] = [
    ('o', "ok"),
    ('r', "refused"),
    ('d', "Denied"),
    ('m', "Malformed"),
    ('q', "Quota"),
    ('l', "LeaseFlt"),
    ('x', "Died"),
    ('t', "TimedOut"),
    ('p', "Dropped"),
    ('c', "Cancelled"),
    ('k', "Revoked"),
    ('v', "VersionM"),
    ('y', "Deadlock"),
    // What only a proxy says.
    ('e', "other"),
];

/// An operation: of a kernel object, or one of the five system calls.
pub(super) struct Row {
    /// The object's interface; none for a system call.
    pub(super) interface: Option<&'static Interface>,
    /// The operation's number, or which of the system calls.
    pub(super) number: u8,
    /// What it can end with.
    reachable: &'static str,
}

/// The five system calls.
pub(super) mod system_call {
    pub(crate) const CALL: u8 = 0;
    pub(crate) const RECEIVE: u8 = 1;
    pub(crate) const REPLY: u8 = 2;
    pub(crate) const REPLY_RECEIVE: u8 = 3;
    pub(crate) const SIGNAL: u8 = 4;
    /// A call of an operation that no object has.
    pub(crate) const UNKNOWN: u8 = 5;
    pub(crate) const NAMES: [&str; 6] = [
        "call",
        "receive",
        "reply",
        "reply-receive",
        "signal",
        "unknown",
    ];
}

macro_rules! rows {
    ($($module:ident: $($operation:ident $reachable:literal)*;)*) => {
        &[$($(Row {
            interface: Some(&objects::$module::INTERFACE),
            number: objects::$module::number::$operation,
            reachable: $reachable,
        },)*)*
        Row { interface: None, number: system_call::CALL, reachable: "odmqlxtpckvye" },
        Row { interface: None, number: system_call::RECEIVE, reachable: "odxtk" },
        Row { interface: None, number: system_call::REPLY, reachable: "odmc" },
        Row { interface: None, number: system_call::REPLY_RECEIVE, reachable: "odmxtk" },
        Row { interface: None, number: system_call::SIGNAL, reachable: "odx" },
        Row { interface: None, number: system_call::UNKNOWN, reachable: "dmv" },
        ]
    };
}

/// All operations. What an operation that ends its caller comes to is not
/// counted, and nobody stops the machine or takes its console.
pub(super) const ROWS: &[Row] = rows! {
    task:
        CREATE_TASK "ordmqx" CREATE_THREAD "ordmqx" CREATE_ENDPOINT "odmqx" CREATE_MEMORY "ordmqx"
        MAP "ordmqx" UNMAP "ordmx" PROTECT "ordmx" INSTALL "ordmx" DERIVE "ordmx" DELETE "odmx"
        SET_FAULT_HANDLER "odmx" KILL "odm" INFO "odm" THREAD "ordm" CAPABILITY "ordm"
        REGISTERS "ordm" HISTORY "ordm" PEEK "odmlx" REVOKE "odmx" SET_SHARED "odmx"
        START_THREAD "ordmqx" STARTED_THREAD "ordmqx"
        CREATE_PROGRAM "ordmqx";
    thread:
        RESUME "odmx" SUSPEND "odmx" CANCEL "odmx" SET_PRIORITY "ordmx" EXIT "odmx"
        YIELD_NOW "ordm" INFO "odm" PANIC "rdm" SET_CORE "ordmx" SET_PASSIVE "odmx";
    endpoint:
        MINT "ordmqx" PAUSE "ordm" RESUME "ordm" CLOSE "odm" EXPEL "odm" INFO "odm" SESSION "ordm";
    memory:
        PAGES "odm" READ "ordml" WRITE "ordml";
    interrupt:
        BIND "odm" ACKNOWLEDGE "odm" UNBIND "odm";
    system:
        SHUTDOWN "dm" COUNTERS "odm" READ_LOG "odml" WRITE_LOG "ordml" BIND_LOG "odm"
        RELEASE_CONSOLE "dm" DEVICE_MEMORY "dmq" INTERRUPT "dmq" CREATE_RESERVATION "dmq"
        CREATE_DMA "dmq";
    reservation:
        BIND "odmx" UNBIND "odm" CHANGE "ordm" WATCH "odmx" INFO "odm";
    dma:
        PIN "odmq" UNPIN "ordm" ADDRESSES "ordm" RELEASE_ALL "odm" PINS "odm"
        CREATE_CONTIGUOUS "ordmq";
    reply:
        KEEP "ordmqc" READ "ordmlc" WRITE "ordmlc" CANCELLED "odmc";
};

impl Row {
    pub(super) fn name(&self) -> String {
        match self.interface {
            None => system_call::NAMES[usize::from(self.number)].into(),
            Some(interface) => {
                let operation = interface.operation(self.number);
                let name = operation.map_or("?", |operation| operation.name);
                alloc::format!("{}::{name}", interface.name)
            }
        }
    }
}

/// The place of what a call came to among [`OUTCOMES`].
fn outcome(out: &CallOut) -> Option<usize> {
    let letter = match raw::status(out)? {
        Status::Message if out.label.operation() == Label::SERVER_ERROR => 'r',
        Status::Message | Status::Signals | Status::Closed => 'o',
        Status::Error(error) => match error.cause {
            Cause::Denied => 'd',
            Cause::Malformed => 'm',
            Cause::QuotaExceeded => 'q',
            Cause::LeaseFault => 'l',
            Cause::Died => 'x',
            Cause::TimedOut => 't',
            Cause::Dropped => 'p',
            Cause::Cancelled => 'c',
            Cause::Revoked => 'k',
            Cause::VersionMismatch => 'v',
            Cause::Deadlock => 'y',
            Cause::FarOnly | Cause::Unreachable | Cause::EpochChanged => 'e',
        },
    };
    OUTCOMES.iter().position(|(known, _)| *known == letter)
}

/// Words of the table: the total, those past the handle check, those that no
/// kernel should make, then the cells.
const WORDS: usize = 3 + ROWS.len() * OUTCOMES.len();
/// Its pages.
pub(super) const PAGES: u64 = (WORDS * 8).div_ceil(libipc::PAGE) as u64;

/// How often each outcome was seen; shared between tasks.
#[repr(transparent)]
pub(super) struct Counts([AtomicU64; WORDS]);

impl Counts {
    /// The table that is mapped there.
    pub(super) fn at(address: usize) -> &'static Counts {
        // SAFETY: both callers have mapped zeroed memory of `PAGES` there, which
        // stays while they use it and is written through atomics only.
        #[allow(unsafe_code, reason = "memory shared with other tasks")]
        unsafe {
            &*(address as *const Counts)
        }
    }

    /// Notes what a call came to.
    pub(super) fn note(&self, row: usize, out: &CallOut) {
        self.0[0].fetch_add(1, Relaxed);
        match outcome(out) {
            Some(outcome) => {
                if OUTCOMES[outcome].0 != 'd' {
                    self.0[1].fetch_add(1, Relaxed);
                }
                self.0[3 + row * OUTCOMES.len() + outcome].fetch_add(1, Relaxed);
            }
            None => _ = self.0[2].fetch_add(1, Relaxed),
        }
    }

    fn cell(&self, row: usize, outcome: usize) -> u64 {
        self.0[3 + row * OUTCOMES.len() + outcome].load(Relaxed)
    }

    /// Calls so far.
    pub(super) fn total(&self) -> u64 {
        self.0[0].load(Relaxed)
    }

    /// Calls that did not end in `Denied`: at the least these were past the
    /// check of the handle.
    pub(super) fn past(&self) -> u64 {
        self.0[1].load(Relaxed)
    }

    /// Prints the table.
    pub(super) fn print(&self, world: &World) {
        let mut line = String::from("operation              ");
        for (_, name) in OUTCOMES {
            // Formatting into a string does not fail.
            let _ = write!(line, " {name:>9}");
        }
        say(world, &line);
        for (index, row) in ROWS.iter().enumerate() {
            line.clear();
            let _ = write!(line, "{:23}", row.name());
            for (outcome, (letter, _)) in OUTCOMES.iter().enumerate() {
                let _ = match (self.cell(index, outcome), row.reachable.contains(*letter)) {
                    (0, false) => write!(line, "         ."),
                    (count, _) => write!(line, " {count:>9}"),
                };
            }
            say(world, &line);
        }
    }

    /// What could have been seen and was not.
    fn unseen(&self) -> impl Iterator<Item = (&'static Row, &'static str)> {
        ROWS.iter().enumerate().flat_map(move |(index, row)| {
            let outcomes = OUTCOMES.iter().enumerate();
            let unseen = outcomes.filter(move |(outcome, (letter, _))| {
                self.cell(index, *outcome) == 0 && row.reachable.contains(*letter)
            });
            unseen.map(move |(_, (_, name))| (row, *name))
        })
    }

    /// Whether everything that can be seen was.
    pub(super) fn is_full(&self) -> bool {
        self.unseen().next().is_none()
    }

    /// Names what could have been seen and was not; returns how many.
    pub(super) fn empty_cells(&self, world: &World) -> usize {
        for (row, name) in self.unseen() {
            say(
                world,
                format_args!("fuzz: never seen: {} {name}", row.name()),
            );
        }
        self.0[2].load(Relaxed) as usize + self.unseen().count()
    }
}
