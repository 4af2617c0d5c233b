//! What the soft bus asks about one stream.

use libipc::{Bytes, LeaseMut, Wire, interface};

use crate::interface::{DeviceName, HANDSHAKE, HEAD, Key, KeysError};

/// What the other side of a handshake said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Heard {
    /// The payload.
    pub payload: Bytes<HEAD>,
    /// Its key, as soon as that is known.
    pub remote: Option<Key>,
}

/// The keys of one stream: a handshake, then encryption in order. All that is at the wrong
/// moment is `Broken`.
#[interface]
pub trait BusSession {
    /// The next message of the handshake.
    #[op(0)]
    fn write(&mut self, payload: Bytes<HEAD>) -> Result<Bytes<HANDSHAKE>, KeysError>;

    /// Takes the other side's.
    #[op(1)]
    fn read(&mut self, message: Bytes<HANDSHAKE>) -> Result<Heard, KeysError>;

    /// The handshake is complete.
    #[op(2)]
    fn complete(&mut self) -> Result<(), KeysError>;

    /// Encrypts records in place, see [`tessera_softbus_protocol::records`]. `BadMemory`.
    #[op(3)]
    fn seal(&mut self, records: LeaseMut) -> Result<(), KeysError>;

    /// Decrypts records in place, as far as they are what the other side wrote: how many.
    /// `BadMemory`.
    #[op(4)]
    fn open(&mut self, records: LeaseMut) -> Result<u64, KeysError>;

    /// Begins an exchange over a PIN: this side's message.
    #[op(5)]
    fn exchange(&mut self, pin: Bytes<8>) -> Result<Bytes<33>, KeysError>;

    /// Takes the other side's.
    #[op(6)]
    fn exchanged(&mut self, message: Bytes<33>) -> Result<(), KeysError>;

    /// What shows the other side that the PIN was the same, and what we say of ourselves.
    #[op(7)]
    fn confirmation(&mut self, name: DeviceName, kind: u8) -> Result<Bytes<16>, KeysError>;

    /// Whether the other side has shown that.
    #[op(8)]
    fn confirms(&mut self, shown: Bytes<16>, name: DeviceName, kind: u8)
    -> Result<bool, KeysError>;
}
