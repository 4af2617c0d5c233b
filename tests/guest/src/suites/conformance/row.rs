//! A row of the outcome matrix: what a call promises to end with, and what it
//! was seen to end with.

use crate::{
    check::{Failure, Verdict},
    raw,
    run::{World, say},
};
use alloc::{format, string::String, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use libipc::{
    Capability,
    ending::{SYSTEM_CALLS, by_a_proxy},
    handle::{Handle, Rights},
    label::{Flags, Label},
    message_buffer::word,
    objects::{self, ObjectError},
    operation::Interface,
    registers::CallOut,
    status::{Cause, Status, TransportError},
    wire::ErrorCode,
};
use tessera_test_cases::MATRIX as MARK;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As this status says; a message is an answer that is no error.
    Status(Status),
    /// The object, or the server, refused with this code.
    Refused(u64),
}

/// The call succeeded.
pub(super) const OK: Outcome = Outcome::Status(Status::Message);

/// The call failed so; it may have run.
pub(super) fn delivered(cause: Cause) -> Outcome {
    Outcome::Status(Status::Error(TransportError::delivered(cause)))
}

impl From<Cause> for Outcome {
    fn from(cause: Cause) -> Outcome {
        Outcome::Status(Status::Error(TransportError::refused(cause)))
    }
}

impl From<ObjectError> for Outcome {
    fn from(error: ObjectError) -> Outcome {
        match error.cause() {
            Some(cause) => cause.into(),
            None => Outcome::Refused(error.to_code()),
        }
    }
}

impl Outcome {
    fn of(out: &CallOut) -> Result<Outcome, Failure> {
        let status = raw::status(out).ok_or_else(|| Failure::new("no status is so"))?;
        let refused = status == Status::Message && out.label.operation() == Label::SERVER_ERROR;
        Ok(match refused {
            true => Outcome::Refused(out.words[0]),
            false => Outcome::Status(status),
        })
    }
}

/// Operations that never succeed, as who calls them does not go on.
const NO_RETURN: [(u32, u8); 2] = [
    (
        objects::thread::INTERFACE.hash,
        objects::thread::number::PANIC,
    ),
    (
        objects::system::INTERFACE.hash,
        objects::system::number::SHUTDOWN,
    ),
];

/// A row that is being filled.
pub(super) struct Row {
    name: String,
    label: Label,
    columns: &'static [Column],
    promised: Vec<Outcome>,
    seen: RefCell<Vec<Outcome>>,
    /// Passed with each call.
    argument: Cell<Option<Handle>>,
    /// Capabilities that may arrive.
    open: Cell<u64>,
    /// Those that did: they live as long as the row.
    made: RefCell<Vec<Capability>>,
}

impl Row {
    fn new(name: String, label: Label, columns: &'static [Column], promised: Vec<Outcome>) -> Row {
        Row {
            name,
            label,
            columns,
            promised,
            seen: RefCell::default(),
            argument: Cell::default(),
            open: Cell::new(4),
            made: RefCell::default(),
        }
    }

    /// The row of an object's operation. Besides the errors that it is declared
    /// with, each can end as any call on an object can.
    pub(super) fn of_object(interface: &Interface, errors: &[&[u64]], operation: &str) -> Row {
        let mut all = interface.operations.iter().zip(errors);
        let found = all.find(|(known, _)| known.name == operation);
        let (number, errors) = found.map_or((u8::MAX, &[][..]), |(known, errors)| {
            (known.number, *errors)
        });
        let mut promised: Vec<Outcome> = [Cause::Denied, Cause::Malformed, Cause::VersionMismatch]
            .map(Outcome::from)
            .into();
        if !NO_RETURN.contains(&(interface.hash, number)) {
            promised.push(OK);
        }
        // The request being served may be none.
        if interface.hash == objects::reply::INTERFACE.hash {
            promised.push(Cause::Cancelled.into());
        }
        let declared = errors.iter().copied().filter_map(ObjectError::from_code);
        promised.extend(declared.map(Outcome::from));
        Row::new(
            format!("{}::{operation}", interface.name),
            Label::call(number, interface.hash).with_flags(Flags::OBJECT),
            OBJECTS,
            promised,
        )
    }

    /// The row of a system call, or of calls that a proxy answers.
    pub(super) fn of_call(name: &str) -> Row {
        let call = SYSTEM_CALLS.iter().find(|call| call.name == name);
        let (flags, promised) = match call {
            Some(call) => (
                call.flags,
                call.endings.iter().copied().map(Outcome::Status).collect(),
            ),
            None => {
                let errors = Cause::ALL.iter().flat_map(|cause| {
                    [
                        TransportError::refused(*cause),
                        TransportError::delivered(*cause),
                    ]
                });
                let possible = errors.filter(|error| by_a_proxy(*error));
                let errors = possible.map(|error| Outcome::Status(Status::Error(error)));
                (Flags::empty(), errors.collect())
            }
        };
        Row::new(name.into(), Label::control(flags, 0), CALLS, promised)
    }

    /// Runs the case that fills the row, prints the row, and looks for holes.
    pub(super) fn fill(self, world: &mut World, case: fn(&mut World, &Row) -> Verdict) -> Verdict {
        let verdict = case(world, &self);
        self.print(world);
        verdict?;
        let seen = self.seen.borrow();
        let surplus = seen.iter().find(|outcome| !self.promised.contains(outcome));
        if let Some(outcome) = surplus {
            return Err(Failure::new(format_args!("not promised: {outcome:?}")));
        }
        match self.promised.iter().find(|outcome| !seen.contains(outcome)) {
            Some(hole) => Err(Failure::new(format_args!("never seen: {hole:?}"))),
            None => Ok(()),
        }
    }

    /// Passes this capability with each call from now on. It is to live that long.
    pub(super) fn pass(&self, argument: &impl AsRef<Capability>) {
        self.argument.set(Some(argument.as_ref().handle()));
    }

    /// So many capabilities may arrive from now on.
    pub(super) fn open(&self, slots: u64) {
        self.open.set(slots);
    }

    /// The label of the system call.
    pub(super) fn label(&self) -> Label {
        self.label
    }

    /// Notes how a call ended.
    pub(super) fn note(&self, out: &CallOut) -> Result<Outcome, Failure> {
        let outcome = Outcome::of(out)?;
        self.seen.borrow_mut().push(outcome);
        Ok(outcome)
    }

    /// Notes how a call ended, which is to be so.
    #[track_caller]
    pub(super) fn saw(&self, expected: impl Into<Outcome>, out: &CallOut) -> Verdict {
        let (outcome, expected) = (self.note(out)?, expected.into());
        match outcome == expected {
            true => Ok(()),
            false => Err(Failure::new(format_args!(
                "it ends with {outcome:?}, not {expected:?}"
            ))),
        }
    }

    /// Calls the operation.
    pub(super) fn call(&self, on: Handle, words: &[u64]) -> Result<(Outcome, CallOut), Failure> {
        let out = self.call_with(on, self.label, words);
        Ok((self.note(&out)?, out))
    }

    fn call_with(&self, on: Handle, mut label: Label, words: &[u64]) -> CallOut {
        if let Some(argument) = self.argument.get() {
            raw::attach(0, argument);
            raw::passing(1);
            label = label.with_capabilities(1);
        }
        raw::open(self.open.get());
        let out = raw::call(on, label, words);
        if raw::status(&out) == Some(Status::Message) {
            let arrived = (0..out.label.capabilities())
                .map(|index| Handle(raw::get(word::CAPABILITIES + index)))
                .map(Capability::from_handle);
            self.made.borrow_mut().extend(arrived);
        }
        out
    }

    /// Calls the operation, which is to end so.
    #[track_caller]
    pub(super) fn expect(
        &self,
        expected: impl Into<Outcome>,
        on: &impl AsRef<Capability>,
        words: &[u64],
    ) -> Verdict {
        let out = self.call_with(on.as_ref().handle(), self.label, words);
        self.saw(expected, &out)
    }

    /// Calls the operation, which succeeds at first, until it ends so.
    #[track_caller]
    pub(super) fn until(
        &self,
        expected: impl Into<Outcome>,
        on: &impl AsRef<Capability>,
        words: impl Fn(u64) -> [u64; 4],
    ) -> Verdict {
        let expected = expected.into();
        for round in 0..5000 {
            let (outcome, _) = self.call(on.as_ref().handle(), &words(round))?;
            if outcome == expected {
                return Ok(());
            }
            check_eq!(outcome, OK);
        }
        Err(Failure::new(format_args!(
            "it never ends with {expected:?}"
        )))
    }

    /// What no operation of any object does: run for a handle that is stale or
    /// lacks the right `needs`, lend memory to the kernel, or take a call that
    /// was meant for another interface.
    #[track_caller]
    pub(super) fn object(&self, on: &impl AsRef<Capability>, needs: Rights) -> Verdict {
        let good = on.as_ref().handle();
        self.handle(good)?;
        if !needs.is_empty() {
            let weak = on.as_ref().derive(good.rights() - needs)?;
            self.expect(Cause::Denied, &weak, &[])?;
        }
        Ok(())
    }

    /// The same of a handle that cannot be derived.
    #[track_caller]
    pub(super) fn handle(&self, good: Handle) -> Verdict {
        let stale = Handle(good.0 ^ 1 << 40);
        self.saw(Cause::Denied, &self.call_with(stale, self.label, &[]))?;
        let lends = self.label.with_leases(1);
        self.saw(Cause::Malformed, &self.call_with(good, lends, &[]))?;
        let other = self.label.with_hash(self.label.hash() ^ 1);
        self.saw(Cause::VersionMismatch, &self.call_with(good, other, &[]))
    }

    /// Prints the row, under a head if the one before had other columns.
    fn print(&self, world: &World) {
        static COLUMNS: AtomicUsize = AtomicUsize::new(0);
        let columns = self.columns.as_ptr().addr();
        if COLUMNS.swap(columns, Relaxed) != columns {
            say(world, line("", Column::name, self.columns));
        }
        say(
            world,
            line(&self.name, |column| self.cell(column), self.columns),
        );
    }

    /// How often such an ending was seen; of a transport error that can be of a
    /// call that ran, not delivered and delivered.
    fn cell(&self, column: Column) -> String {
        let count = |outcome| {
            let seen = self.seen.borrow();
            let count = seen.iter().filter(|seen| **seen == outcome).count();
            match (count, self.promised.contains(&outcome)) {
                (0, true) => "HOLE".into(),
                (0, false) => ".".into(),
                (count, true) => format!("{count}"),
                (count, false) => format!("!{count}"),
            }
        };
        match column {
            Column::Ended(status) => count(Outcome::Status(status)),
            Column::Refused(error) => count(error.into()),
            Column::Failed(cause) => match (count(cause.into()), count(delivered(cause))) {
                (no, yes) if yes == "." => no,
                (no, yes) => format!("{no}/{yes}"),
            },
        }
    }
}

fn line(name: &str, cell: impl Fn(Column) -> String, columns: &[Column]) -> String {
    let mut line = format!("{MARK}{name:26}");
    for column in columns {
        // Formatting into a string does not fail.
        let _ = write!(line, " {:>1$}", cell(*column), column.name().len().max(4));
    }
    line
}

/// A column of the matrix.
#[derive(Clone, Copy)]
enum Column {
    Ended(Status),
    Refused(ObjectError),
    Failed(Cause),
}

impl Column {
    fn name(self) -> String {
        match self {
            Column::Ended(Status::Message) => "Ok".into(),
            Column::Ended(status) => format!("{status:?}"),
            Column::Refused(error) => format!("{error:?}"),
            Column::Failed(cause) => format!("{cause:?}"),
        }
    }
}

/// What operations of objects end with.
const OBJECTS: &[Column] = &[
    Column::Ended(Status::Message),
    Column::Refused(ObjectError::BadAddress),
    Column::Refused(ObjectError::OutOfRange),
    Column::Refused(ObjectError::Overlap),
    Column::Refused(ObjectError::NotMapped),
    Column::Refused(ObjectError::WrongState),
    Column::Refused(ObjectError::BadArgument),
    Column::Refused(ObjectError::NotFound),
    Column::Refused(ObjectError::WriteExecute),
    Column::Failed(Cause::Denied),
    Column::Failed(Cause::FarOnly),
    Column::Failed(Cause::QuotaExceeded),
    Column::Failed(Cause::LeaseFault),
    Column::Failed(Cause::Died),
    Column::Failed(Cause::Cancelled),
    Column::Failed(Cause::Malformed),
    Column::Failed(Cause::VersionMismatch),
];

/// What system calls end with.
const CALLS: &[Column] = &[
    Column::Ended(Status::Message),
    Column::Ended(Status::Signals),
    Column::Ended(Status::Closed),
    Column::Failed(Cause::Denied),
    Column::Failed(Cause::FarOnly),
    Column::Failed(Cause::Deadlock),
    Column::Failed(Cause::Died),
    Column::Failed(Cause::Dropped),
    Column::Failed(Cause::TimedOut),
    Column::Failed(Cause::Cancelled),
    Column::Failed(Cause::Revoked),
    Column::Failed(Cause::Unreachable),
    Column::Failed(Cause::EpochChanged),
    Column::Failed(Cause::VersionMismatch),
    Column::Failed(Cause::QuotaExceeded),
    Column::Failed(Cause::LeaseFault),
    Column::Failed(Cause::Malformed),
];
