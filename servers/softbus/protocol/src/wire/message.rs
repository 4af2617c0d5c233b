//! What the messages hold.

use alloc::vec::Vec;

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};

use super::object::{ObjectId, ObjectRef};
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{BYTES, LEASE, LEASES, OBJECTS, PIECE, WORDS};

/// First on every stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Random, of this boot of the sender. Never zero.
    pub boot: u64,
    /// Random, of this run of the sender's server. Never zero.
    pub epoch: u64,
    /// What the sender last saw of the receiver's; zero if nothing is left of that.
    pub seen: (u64, u64),
    /// Which of the receiver's messages it has.
    pub received: u64,
    /// What it lets the receiver send in all.
    pub credit: u64,
    /// Which stream between the two this is; the highest counts.
    pub generation: u64,
    /// From the responder: nothing goes on, both begin anew. From the initiator: false.
    pub fresh: bool,
}

impl Resume {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let resume = Resume {
            boot: reader.u64()?,
            epoch: reader.u64()?,
            seen: (reader.u64()?, reader.u64()?),
            received: reader.u64()?,
            credit: reader.u64()?,
            generation: reader.u64()?,
            fresh: flag(reader)?,
        };
        if resume.boot == 0 || resume.epoch == 0 {
            return Err(Malformed);
        }
        Ok(resume)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let words = [
            self.boot,
            self.epoch,
            self.seen.0,
            self.seen.1,
            self.received,
            self.credit,
            self.generation,
        ];
        words.iter().for_each(|word| {
            writer.u64(*word);
        });
        writer.u8(u8::from(self.fresh));
    }
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which of the receiver's messages the sender has.
    pub received: u64,
    /// What it lets the receiver send in all.
    pub credit: u64,
    /// The sender's clock.
    pub stamp: u64,
    /// The newest stamp that it has of the receiver: so the receiver knows that the
    /// sender lived after that moment of its own clock.
    pub echo: u64,
}

impl Beat {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Beat {
            received: reader.u64()?,
            credit: reader.u64()?,
            stamp: reader.u64()?,
            echo: reader.u64()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u64(self.received).u64(self.credit);
        writer.u64(self.stamp).u64(self.echo);
    }
}

/// What calls and replies carry for the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The words that travel in registers.
    pub words: [u64; WORDS],
    /// The bytes of the message buffer.
    pub bytes: Vec<u8>,
}

impl Payload {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::from(reader.u8()?);
        let mut words = [0; WORDS];
        for word in words.get_mut(..count).ok_or(Malformed)? {
            *word = reader.u64()?;
        }
        Ok(Payload {
            words,
            bytes: reader.counted(BYTES)?.into(),
        })
    }

    /// Words up to the last that is not zero, then the bytes.
    fn write(&self, writer: &mut Writer) {
        let count = WORDS
            - self
                .words
                .iter()
                .rev()
                .take_while(|word| **word == 0)
                .count();
        writer.u8(count as u8);
        self.words[..count].iter().for_each(|word| {
            writer.u64(*word);
        });
        writer.counted(&self.bytes);
    }
}

/// What a server may do with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it: the caller sends the bytes with the call.
    Read,
    /// Write it: the server's side sends what it wrote with the reply.
    Write,
    /// Both.
    Both,
}

impl Access {
    /// Whether the server may read.
    pub fn reads(self) -> bool {
        self != Access::Write
    }

    /// Whether the server may write.
    pub fn writes(self) -> bool {
        self != Access::Read
    }
}

/// A lease as the call announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseHead {
    /// What the server may do with it.
    pub access: Access,
    /// Its length, at most [`LEASE`].
    pub length: u32,
}

impl LeaseHead {
    /// Bytes that it takes.
    pub const SIZE: usize = 5;
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Milliseconds that the caller still waits; zero: it has given up, `u32::MAX`: it
    /// waits for ever.
    pub remaining: u32,
    /// Its number: of this caller and epoch, rising.
    pub call: u64,
    /// Of what.
    pub object: ObjectId,
    /// The operation.
    pub operation: u8,
    /// What a repeat of it does.
    pub class: Class,
    /// The interface's hash, which the server compares.
    pub hash: u32,
    /// Words and bytes.
    pub payload: Payload,
    /// Leases, whose bytes follow.
    pub leases: Vec<LeaseHead>,
    /// Objects.
    pub objects: Vec<ObjectRef>,
}

impl Call {
    /// Bytes that it makes the receiver hold; those that it lends are counted when they
    /// come.
    pub fn holds(&self) -> u64 {
        let written = self.leases.iter().filter(|lease| !lease.access.reads());
        self.payload.bytes.len() as u64 + written.map(|lease| u64::from(lease.length)).sum::<u64>()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Call {
            remaining: reader.u32()?,
            call: reader.u64()?,
            object: ObjectId::read(reader)?,
            operation: reader.u8()?,
            class: match reader.u8()? {
                0 => Class::Once,
                1 => Class::Idempotent,
                2 => Class::Recorded,
                _ => return Err(Malformed),
            },
            hash: reader.u32()?,
            payload: Payload::read(reader)?,
            leases: several(reader, LEASES, |reader| {
                let access = match reader.u8()? {
                    1 => Access::Read,
                    2 => Access::Write,
                    3 => Access::Both,
                    _ => return Err(Malformed),
                };
                let length = reader.u32()?;
                if length as usize > LEASE {
                    return Err(Malformed);
                }
                Ok(LeaseHead { access, length })
            })?,
            objects: several(reader, OBJECTS, ObjectRef::read)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u32(self.remaining).u64(self.call);
        self.object.write(writer);
        writer.u8(self.operation);
        writer.u8(match self.class {
            Class::Once => 0,
            Class::Idempotent => 1,
            Class::Recorded => 2,
        });
        writer.u32(self.hash);
        self.payload.write(writer);
        writer.u8(self.leases.len() as u8);
        for lease in &self.leases {
            writer.u8(match lease.access {
                Access::Read => 1,
                Access::Write => 2,
                Access::Both => 3,
            });
            writer.u32(lease.length);
        }
        writer.u8(self.objects.len() as u8);
        self.objects.iter().for_each(|object| object.write(writer));
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered.
    Ok,
    /// The server refused; its code is in word 0.
    Error,
    /// It did not come to an answer.
    Failed(TransportError),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// To which call.
    pub call: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Words and bytes.
    pub payload: Payload,
    /// Objects.
    pub objects: Vec<ObjectRef>,
}

impl Reply {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Reply {
            call: reader.u64()?,
            outcome: match reader.u8()? {
                0 => Outcome::Ok,
                1 => Outcome::Error,
                2 => Outcome::Failed(TransportError {
                    cause: Cause::from_bits(reader.u8()?).ok_or(Malformed)?,
                    delivered: flag(reader)?,
                }),
                _ => return Err(Malformed),
            },
            payload: Payload::read(reader)?,
            objects: several(reader, OBJECTS, ObjectRef::read)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u64(self.call);
        match self.outcome {
            Outcome::Ok => writer.u8(0),
            Outcome::Error => writer.u8(1),
            Outcome::Failed(error) => {
                writer.u8(2).u8(error.cause as u8);
                writer.u8(u8::from(error.delivered))
            }
        };
        self.payload.write(writer);
        writer.u8(self.objects.len() as u8);
        self.objects.iter().for_each(|object| object.write(writer));
    }
}

/// Bytes of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Of which call.
    pub call: u64,
    /// Which of its leases.
    pub lease: u8,
    /// Where in it they begin.
    pub offset: u32,
    /// The bytes, at most [`PIECE`] and at least one.
    pub bytes: Vec<u8>,
}

impl Piece {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let piece = Piece {
            call: reader.u64()?,
            lease: reader.u8()?,
            offset: reader.u32()?,
            bytes: reader.counted(PIECE)?.into(),
        };
        if piece.bytes.is_empty() || usize::from(piece.lease) >= LEASES {
            return Err(Malformed);
        }
        Ok(piece)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u64(self.call).u8(self.lease).u32(self.offset);
        writer.counted(&self.bytes);
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// A count of one byte, at most `most`, and so many things.
fn several<T>(
    reader: &mut Reader<'_>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = usize::from(reader.u8()?);
    if count > most {
        return Err(Malformed);
    }
    (0..count).map(|_| read(reader)).collect()
}
