//! The messages inside a session, as plain text: read and written, with no state.
//!
//! Reading is total and bounded: every field has a most, and bytes that are left over
//! are an error. Whoever reads holds no key. Layouts are in `PROTOCOL.md`.

mod message;
mod object;

pub use message::{Access, Beat, Call, LeaseHead, Outcome, Payload, Piece, Reply, Resume};
pub use object::{ObjectId, ObjectRef, Rights};

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::MESSAGE_COST;

/// One message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// First on every stream, in both directions: where we were.
    Resume(Resume),
    /// I am here, this I have received, so much you may send.
    Beat(Beat),
    /// What else there is: delivered once and in order, whatever becomes of streams.
    Sequenced(u64, Body),
}

/// A message that has a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A request.
    Call(Call),
    /// Its answer.
    Reply(Reply),
    /// Bytes of a lease that the server may read: from the caller.
    Lend(Piece),
    /// Bytes of a lease that the server has written: to the caller.
    Fill(Piece),
    /// The caller no longer waits.
    Cancel(u64),
    /// The receiver of references drops so many of them.
    Release(ObjectId, u32),
    /// The owner took the object back.
    Revoked(ObjectId),
}

impl Message {
    const RESUME: u8 = 1;
    const BEAT: u8 = 2;

    /// Reads a message.
    pub fn read(bytes: &[u8]) -> Result<Message, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            Self::RESUME => Message::Resume(Resume::read(&mut reader)?),
            Self::BEAT => Message::Beat(Beat::read(&mut reader)?),
            kind => {
                let sequence = reader.u64()?;
                Message::Sequenced(sequence, Body::read(kind, &mut reader)?)
            }
        };
        reader.end()?;
        Ok(message)
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Message::Resume(resume) => resume.write(writer.u8(Self::RESUME)),
            Message::Beat(beat) => beat.write(writer.u8(Self::BEAT)),
            Message::Sequenced(sequence, body) => return write(*sequence, body),
        }
        writer.0
    }
}

impl Body {
    const CALL: u8 = 16;
    const REPLY: u8 = 17;
    const LEND: u8 = 18;
    const FILL: u8 = 19;
    const CANCEL: u8 = 20;
    const RELEASE: u8 = 21;
    const REVOKED: u8 = 22;

    /// Where the sequence number stands in the message's bytes.
    pub const SEQUENCE: core::ops::Range<usize> = 1..9;
    /// Where the remaining time of a call stands.
    pub const REMAINING: core::ops::Range<usize> = 9..13;

    fn read(kind: u8, reader: &mut Reader<'_>) -> Result<Body, Malformed> {
        Ok(match kind {
            Self::CALL => Body::Call(Call::read(reader)?),
            Self::REPLY => Body::Reply(Reply::read(reader)?),
            Self::LEND => Body::Lend(Piece::read(reader)?),
            Self::FILL => Body::Fill(Piece::read(reader)?),
            Self::CANCEL => Body::Cancel(reader.u64()?),
            Self::RELEASE => Body::Release(ObjectId::read(reader)?, reader.u32()?),
            Self::REVOKED => Body::Revoked(ObjectId::read(reader)?),
            _ => return Err(Malformed),
        })
    }

    fn write(&self, sequence: u64, writer: &mut Writer) {
        let kind = match self {
            Body::Call(_) => Self::CALL,
            Body::Reply(_) => Self::REPLY,
            Body::Lend(_) => Self::LEND,
            Body::Fill(_) => Self::FILL,
            Body::Cancel(_) => Self::CANCEL,
            Body::Release(..) => Self::RELEASE,
            Body::Revoked(_) => Self::REVOKED,
        };
        writer.u8(kind).u64(sequence);
        match self {
            Body::Call(call) => call.write(writer),
            Body::Reply(reply) => reply.write(writer),
            Body::Lend(piece) | Body::Fill(piece) => piece.write(writer),
            Body::Cancel(call) => {
                writer.u64(*call);
            }
            Body::Release(object, count) => {
                object.write(writer);
                writer.u32(*count);
            }
            Body::Revoked(object) => object.write(writer),
        }
    }

    /// What it takes of the credit: the bytes that it makes the receiver hold. What the
    /// receiver asked for costs nothing, for it counted that when it asked.
    pub fn cost(&self) -> u64 {
        match self {
            Body::Call(call) => MESSAGE_COST + call.holds(),
            Body::Lend(piece) => MESSAGE_COST + piece.bytes.len() as u64,
            Body::Reply(_) | Body::Fill(_) => 0,
            Body::Cancel(_) | Body::Release(..) | Body::Revoked(_) => MESSAGE_COST,
        }
    }
}

/// The bytes of a message with this sequence number.
pub(crate) fn write(sequence: u64, body: &Body) -> Vec<u8> {
    let mut writer = Writer::with_room(64);
    body.write(sequence, &mut writer);
    writer.0
}
