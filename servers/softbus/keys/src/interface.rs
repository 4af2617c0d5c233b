//! What the soft bus asks of whoever holds its keys.

use crate::session::BusSessionClient;
use libipc::{
    Bytes, ErrorCode, Lease, LeaseMut, Text, Wire, interface, interfaces::DirectoryClient,
};
use tessera_softbus_protocol::limits::{NAME, TAGS};

/// Most bytes of a datagram that a tag covers.
pub const HEAD: usize = 64;
/// Most bytes of a message of a handshake.
pub const HANDSHAKE: usize = 256;
/// Most bytes of records in one call.
pub const BATCH: usize = 64 << 10;
/// Most bytes of a [`Record`].
pub const RECORD: usize = 32 << 10;

/// A public key.
pub type Key = Bytes<32>;
/// A name of a device.
pub type DeviceName = Text<NAME>;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum KeysError {
    /// What is asked was of an earlier run of the server.
    OtherRun = 1,
    /// The bytes are not what the other side wrote, or come at the wrong moment.
    Broken = 2,
    /// Too many sessions, or no memory for another.
    TooMany = 3,
    /// An argument is out of range.
    BadArgument = 4,
    /// The lease is memory that cannot be used.
    BadMemory = 5,
    /// The disk did not take it, or there is none.
    NotDurable = 6,
    /// Nothing of this name.
    NotFound = 7,
    /// What was kept cannot be read.
    Unreadable = 8,
    /// What is trusted is not what was written.
    Damaged = 9,
}

impl core::fmt::Display for KeysError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            KeysError::OtherRun => "the server was started again since",
            KeysError::Broken => "the bytes are not what the other device wrote",
            KeysError::TooMany => "there are too many streams",
            KeysError::BadArgument => "an argument is out of range",
            KeysError::BadMemory => "the memory lent cannot be used",
            KeysError::NotDurable => "the disk did not take it",
            KeysError::NotFound => "there is nothing of this name",
            KeysError::Unreadable => "what was kept cannot be read",
            KeysError::Damaged => {
                "the bus's file `trust` is damaged: put a copy back, or remove it and pair anew"
            }
        })
    }
}

impl core::error::Error for KeysError {}

/// Who this device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Identity {
    /// Its public key.
    pub key: Key,
    /// What its owner calls it; empty if he has not said.
    pub name: DeviceName,
    /// A random number of this run of the server.
    pub run: u64,
    /// There is a disk, which keeps the key and what is trusted.
    pub durable: bool,
}

/// What is kept on the disk. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Record {
    /// Which devices are trusted.
    Trust = 0,
    /// What the owner has consented to.
    Consents = 1,
    /// Who used what.
    Uses = 2,
}

/// A kind of datagram. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Kind {
    /// An announcement.
    Hello = 0,
    /// A ping.
    Ping = 1,
}

/// Which handshake, and which side of it. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Role {
    /// Opens a session with a device whose key is known.
    Dials = 0,
    /// Answers one.
    Answers = 1,
    /// Opens a stream to be paired.
    DialsStranger = 2,
    /// Answers one.
    AnswersStranger = 3,
}

/// Whoever holds the keys of this device. Where `run` is given it is that of
/// [`Identity::run`]: another is `OtherRun`.
#[interface]
pub trait BusKeys {
    /// Who this device is.
    #[op(0, idempotent)]
    fn identity(&mut self) -> Result<Identity, KeysError>;

    /// Writes what was kept to `into` and returns how many bytes it has; none if nothing
    /// was. `Unreadable`, `BadMemory`, also if there is no room.
    #[op(1, idempotent)]
    fn kept(&mut self, record: Record, into: LeaseMut) -> Result<u64, KeysError>;

    /// Keeps this, at most [`RECORD`] bytes, in the place of what was. Durable when this
    /// returns well; otherwise the old or the new is there. `BadArgument`, `BadMemory`,
    /// `NotDurable`.
    #[op(2, idempotent)]
    fn keep(&mut self, record: Record, contents: Lease) -> Result<(), KeysError>;

    /// Writes the tags, 16 bytes each, of a datagram of this device with this head, for
    /// each of `peers`, 32 bytes each, at most sixteen. `BadArgument`, `BadMemory`.
    #[op(3, idempotent)]
    fn tags(
        &mut self,
        run: u64,
        kind: Kind,
        head: Bytes<HEAD>,
        peers: Lease,
        tags: LeaseMut,
    ) -> Result<(), KeysError>;

    /// The place among `candidates`, 32 bytes each, of the first who can have made a
    /// datagram with this head and one of these tags, 8 bytes each of an announcement.
    /// `BadArgument`, `BadMemory`.
    #[op(4, idempotent)]
    fn recognise(
        &mut self,
        run: u64,
        kind: Kind,
        head: Bytes<HEAD>,
        tags: Bytes<{ 8 * TAGS }>,
        candidates: Lease,
    ) -> Result<Option<u64>, KeysError>;

    /// Begins a handshake: with `peer` where that dials, otherwise `peer` is empty.
    /// `TooMany`, `Broken`.
    #[op(5)]
    fn session(
        &mut self,
        run: u64,
        role: Role,
        peer: Key,
        prologue: Bytes<HEAD>,
    ) -> Result<BusSessionClient, KeysError>;

    /// A directory of the disk that the page lets the bus publish, made if it is not
    /// there. `NotFound`.
    #[op(6)]
    fn directory(&mut self, name: Text<NAME>) -> Result<DirectoryClient, KeysError>;
}
