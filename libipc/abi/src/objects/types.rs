//! Plain data in the interfaces of kernel objects.

use crate::status::Cause;
use libipc_macros::{AbiErrorCode as ErrorCode, AbiWire as Wire};

/// Why a kernel object refused. The numbers are ABI.
///
/// The last five arrive at the caller as the transport error of that name,
/// not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ObjectError {
    /// An address or length is not page-aligned, or outside user space.
    BadAddress = 1,
    /// An offset or count is outside the object.
    OutOfRange = 2,
    /// The range overlaps something that is mapped.
    Overlap = 3,
    /// Nothing is mapped there.
    NotMapped = 4,
    /// The object is in a state that does not allow it.
    WrongState = 5,
    /// An argument has no meaning here.
    BadArgument = 6,
    /// There is no such thing (index, interrupt line, device range).
    NotFound = 7,
    /// Writable and executable together are never allowed.
    WriteExecute = 8,
    /// Transport error: a capability is missing or lacks a right.
    Denied = 64,
    /// Transport error: the quota that pays, or a table, is exhausted.
    QuotaExceeded = 65,
    /// Transport error: memory that the call names cannot be read or written.
    LeaseFault = 66,
    /// Transport error: the message is not what the operation expects.
    Malformed = 67,
    /// Transport error: the object is being destroyed.
    Died = 68,
    /// Transport error: a program must stand alone in its task.
    FarOnly = 69,
}

impl ObjectError {
    /// The transport error as which it arrives, if it does.
    pub const fn cause(self) -> Option<Cause> {
        match self {
            ObjectError::Denied => Some(Cause::Denied),
            ObjectError::QuotaExceeded => Some(Cause::QuotaExceeded),
            ObjectError::LeaseFault => Some(Cause::LeaseFault),
            ObjectError::Malformed => Some(Cause::Malformed),
            ObjectError::Died => Some(Cause::Died),
            ObjectError::FarOnly => Some(Cause::FarOnly),
            _ => None,
        }
    }
}

impl core::fmt::Display for ObjectError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ObjectError::BadAddress => {
                "the address or length is not page-aligned or not user space"
            }
            ObjectError::OutOfRange => "the offset or count is outside the object",
            ObjectError::Overlap => "the range overlaps something that is mapped",
            ObjectError::NotMapped => "nothing is mapped there",
            ObjectError::WrongState => "the object's state does not allow it",
            ObjectError::BadArgument => "an argument has no meaning here",
            ObjectError::NotFound => "there is no such thing",
            ObjectError::WriteExecute => "memory is never writable and executable together",
            ObjectError::Denied => "a capability is missing or lacks a right",
            ObjectError::QuotaExceeded => "a quota or table is exhausted",
            ObjectError::LeaseFault => "memory that the call names cannot be read or written",
            ObjectError::Malformed => "the message is malformed",
            ObjectError::Died => "the object is being destroyed",
            ObjectError::FarOnly => "a program must stand alone in its task",
        })
    }
}

impl core::error::Error for ObjectError {}

/// What a thread is doing. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum ThreadState {
    /// Made, and not yet started, or suspended.
    Stopped = 0,
    /// Running, or waiting for the processor.
    Ready = 1,
    /// Its call waits for a receiver.
    Sending = 2,
    /// Its call was received and waits for the answer.
    Waiting = 3,
    /// It waits for messages or signals.
    Receiving = 4,
    /// It faulted and its fault handler has not answered.
    Faulted = 5,
    /// It has ended.
    Dead = 6,
    /// Ready, but its reservation is used up: it waits for the next period.
    Throttled = 7,
}

/// Which event a fault message reports. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum FaultKind {
    /// Read of an address that is not mapped readable.
    Read = 0,
    /// Write of an address that is not mapped writable.
    Write = 1,
    /// Fetch from an address that is not mapped executable.
    Execute = 2,
    /// Instruction that does not exist or is not allowed to user programs.
    Illegal = 3,
    /// Address with the wrong alignment.
    Alignment = 4,
    /// Breakpoint instruction.
    Breakpoint = 5,
    /// The last thread of the task ended; the address is its exit code.
    Exit = 6,
    /// The task panicked and said so; the address is of its message, the code
    /// its length.
    Panic = 7,
    /// A page could not be filled because the quota is exhausted.
    Quota = 8,
}

/// For `start_thread`: the priority of who starts the thread.
pub const CALLERS_PRIORITY: u64 = u64::MAX;

/// A task, as seen by whoever may inspect it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct TaskInfo {
    /// Unique among all objects of this boot.
    pub id: u64,
    /// Frames that it may use.
    pub quota: u64,
    /// Frames that it uses, those of its children's quotas included.
    pub used: u64,
    /// Processor time of its threads, in counter ticks.
    pub time: u64,
    /// Calls that its threads made. Of a task with more than 64 threads, what some
    /// of them did since they were last rescheduled may be missing, here and below.
    pub calls: u64,
    /// Messages that its threads received.
    pub received: u64,
    /// Capabilities in its table.
    pub capabilities: u64,
    /// Slots that its table has now.
    pub slots: u64,
    /// Threads that have not ended.
    pub threads: u64,
}

/// A thread, as seen by whoever may inspect its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct ThreadInfo {
    /// Unique among all objects of this boot.
    pub id: u64,
    /// What it is doing.
    pub state: ThreadState,
    /// 0 (lowest) to 255.
    pub priority: u64,
    /// Processor time, in counter ticks.
    pub time: u64,
    /// Endpoint that it calls or receives from, or 0.
    pub endpoint: u64,
    /// Label of the call that it waits for, or 0.
    pub label: u64,
    /// Thread that serves its call, or 0.
    pub server: u64,
    /// Task of that thread, or 0.
    pub server_task: u64,
    /// When its wait ends, in counter ticks.
    pub deadline: u64,
    /// Address of its last instruction.
    pub pc: u64,
    /// The core that it runs on, 0 for the one that booted.
    pub core: u64,
    /// Cursor of the next thread of its task, or 0 at the end.
    pub next: u64,
}

/// A capability, as seen by whoever may inspect the task that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct CapabilityInfo {
    /// The handle, as its holder sees it; 0 if the slot is empty.
    pub handle: u64,
    /// The object's unique number.
    pub object: u64,
    /// The badge, for an endpoint that has one.
    pub badge: u64,
    /// Next index to ask for, or 0 at the end of the table.
    pub next: u64,
}

/// Registers of a thread that is not running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct RegistersInfo {
    /// Program counter.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer (`x29`, `s0`).
    pub fp: u64,
    /// Return address (`x30`, `ra`).
    pub ra: u64,
    /// General registers: `x0` to `x30`, or `x1` to `x31` of riscv64.
    pub general: [u64; 31],
}

/// A reservation's state. Times are counter ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct ReservationInfo {
    /// Unique among all objects of this boot.
    pub id: u64,
    /// Time in each period.
    pub budget: u64,
    /// From one refill to the next.
    pub period: u64,
    /// What is left of the budget; it may be full again when it is next used.
    pub left: u64,
    /// Time that was used so far.
    pub spent: u64,
    /// How often the budget was used up.
    pub overruns: u64,
    /// Id of its thread, or 0.
    pub thread: u64,
}

/// A badge's state at its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct SessionInfo {
    /// The badge.
    pub badge: u64,
    /// Capabilities with this badge.
    pub copies: u64,
    /// Calls that wait or are being served.
    pub in_flight: u64,
    /// Most calls that may be in flight at once.
    pub limit: u64,
    /// Calls so far.
    pub calls: u64,
    /// Bytes that those calls carried beyond registers.
    pub bytes: u64,
    /// Cursor of the next session, or 0 at the end.
    pub next: u64,
}

/// An endpoint's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct EndpointInfo {
    /// Unique among all objects of this boot.
    pub id: u64,
    /// 0 open, 1 paused, 2 closed.
    pub state: u64,
    /// Calls that wait for a receiver.
    pub queued: u64,
    /// Threads that wait for messages; no more than 64 are counted.
    pub receivers: u64,
    /// Signal bits that nobody has taken.
    pub signals: u64,
    /// Live sessions.
    pub sessions: u64,
}

/// The machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Counters {
    /// Counter ticks since an arbitrary point before boot.
    pub now: u64,
    /// Counter ticks in one second.
    pub frequency: u64,
    /// Frames of RAM that the kernel manages.
    pub frames: u64,
    /// Frames that nobody uses.
    pub free: u64,
    /// Counter ticks that cores spent idle, all of them added up.
    pub idle: u64,
    /// Cores that run threads.
    pub cores: u64,
    /// System calls so far.
    pub calls: u64,
    /// Interrupts so far.
    pub interrupts: u64,
    /// Switches between threads so far.
    pub switches: u64,
    /// Bytes copied so far for leases, and by calls on memory.
    pub copied: u64,
}

/// How the machine stops. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Shutdown {
    /// Power off and report success to the host.
    PowerOff = 0,
    /// Power off and report failure to the host.
    Fail = 1,
    /// Start again.
    Reset = 2,
}
