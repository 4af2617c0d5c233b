//! A message as it is passed on: every field has its place, and is there whether or not
//! the message has it. Bytes stay where they are: whoever asked has them, and is told
//! where they begin.

use alloc::vec::Vec;
use libipc::{
    Wire,
    handle::Handle,
    message_buffer::LeaseDescriptor,
    operation::Class,
    status::{Cause, TransportError},
    wire::{Malformed, Sink, Source, Wire as _},
};
use tessera_softbus_protocol::{
    address::Address,
    limits::{BYTES, LEASE, LEASES, OBJECTS, PIECE, WORDS},
    suite::PublicKey,
    wire::{
        Access, Beat, Body, Call, LeaseHead, Message, ObjectId, ObjectRef, Outcome, Payload, Piece,
        Reply, Resume, Rights,
    },
};

/// What the message is. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
enum Kind {
    #[default]
    Resume = 0,
    Beat = 1,
    Call = 2,
    Reply = 3,
    Lend = 4,
    Fill = 5,
    Cancel = 6,
    Release = 7,
    Revoked = 8,
}

/// See the module. A field's meaning depends on the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Form {
    kind: Kind,
    /// Sequence of what has one; `fresh` of a resume.
    sequence: u64,
    /// Numbers of resume and beat, in their order; of the others the call's number or how
    /// many references, then the object.
    numbers: [u64; 7],
    /// Of a call: remaining time, operation, class, hash. Of a reply: outcome, cause,
    /// delivered. Of bytes of a lease: which one, and where.
    small: [u64; 4],
    words: [u64; WORDS],
    /// Where the bytes begin, and how many they are.
    bytes: [u64; 2],
    /// How many there are, and of each access and length.
    leases: u64,
    lease: [[u64; 2]; LEASES],
    /// How many there are.
    objects: u64,
    object: [Object; OBJECTS],
}

/// An object. The numbers of `kind` are those of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
struct Object {
    kind: u64,
    id: [u64; 2],
    hand_on: bool,
    operations: [u64; 4],
    owner: [u64; 4],
    ip: [u64; 2],
    port: u16,
}

impl Form {
    /// Bytes of one.
    pub const SIZE: usize = 8 * Form::WORDS;

    /// Of a message that stands in `plain`.
    pub fn new(message: &Message, plain: &[u8]) -> Form {
        let mut form = Form::default();
        match message {
            Message::Resume(resume) => {
                form.sequence = u64::from(resume.fresh);
                form.numbers = [
                    resume.boot,
                    resume.epoch,
                    resume.seen.0,
                    resume.seen.1,
                    resume.received,
                    resume.credit,
                    resume.generation,
                ];
            }
            Message::Beat(beat) => {
                form.kind = Kind::Beat;
                let numbers = [beat.received, beat.credit, beat.stamp, beat.echo];
                form.numbers[..4].copy_from_slice(&numbers);
            }
            Message::Sequenced(sequence, body) => {
                form.sequence = *sequence;
                form.body(body, plain);
            }
        }
        form
    }

    fn body(&mut self, body: &Body, plain: &[u8]) {
        let (kind, number, object) = match body {
            Body::Call(call) => {
                let class = match call.class {
                    Class::Once => 0,
                    Class::Idempotent => 1,
                    Class::Recorded => 2,
                };
                let (operation, hash) = (call.operation.into(), call.hash.into());
                self.small = [call.remaining.into(), operation, class, hash];
                self.payload(&call.payload, Some(&call.leases), &call.objects, plain);
                self.leases = call.leases.len() as u64;
                for (place, lease) in self.lease.iter_mut().zip(&call.leases) {
                    let access = match lease.access {
                        Access::Read => 1,
                        Access::Write => 2,
                        Access::Both => 3,
                    };
                    *place = [access, lease.length.into()];
                }
                (Kind::Call, call.call, call.object)
            }
            Body::Reply(reply) => {
                self.small[..3].copy_from_slice(&match reply.outcome {
                    Outcome::Ok => [0, 0, 0],
                    Outcome::Error => [1, 0, 0],
                    Outcome::Failed(error) => [2, error.cause as u64, error.delivered.into()],
                });
                self.payload(&reply.payload, None, &reply.objects, plain);
                (Kind::Reply, reply.call, ObjectId::ROOT)
            }
            Body::Lend(piece) => (Kind::Lend, self.piece(piece, plain), ObjectId::ROOT),
            Body::Fill(piece) => (Kind::Fill, self.piece(piece, plain), ObjectId::ROOT),
            Body::Cancel(call) => (Kind::Cancel, *call, ObjectId::ROOT),
            Body::Release(object, count) => (Kind::Release, (*count).into(), *object),
            Body::Revoked(object) => (Kind::Revoked, 0, *object),
        };
        self.kind = kind;
        self.numbers[..3].copy_from_slice(&[number, object.number, object.epoch]);
    }

    /// A payload is followed by leases, of a call, and by objects.
    fn payload(
        &mut self,
        payload: &Payload,
        leases: Option<&[LeaseHead]>,
        objects: &[ObjectRef],
        plain: &[u8],
    ) {
        let leases = leases.map_or(0, |leases| 1 + leases.len() * LeaseHead::SIZE);
        let behind = leases + 1 + objects.iter().map(ObjectRef::size).sum::<usize>();
        self.words = payload.words;
        self.place(&payload.bytes, behind, plain);
        self.objects = objects.len() as u64;
        for (place, object) in self.object.iter_mut().zip(objects) {
            *place = Object::new(object);
        }
    }

    fn piece(&mut self, piece: &Piece, plain: &[u8]) -> u64 {
        self.small[..2].copy_from_slice(&[piece.lease.into(), piece.offset.into()]);
        self.place(&piece.bytes, 0, plain);
        piece.call
    }

    /// Where these bytes are, with so many behind them.
    fn place(&mut self, bytes: &[u8], behind: usize, plain: &[u8]) {
        let start = plain.len().checked_sub(behind + bytes.len());
        self.bytes = [start.unwrap_or(usize::MAX) as u64, bytes.len() as u64];
    }

    /// The message, whose bytes stand in `plain`; none if nobody could have read this.
    pub fn message(&self, plain: &[u8]) -> Option<Message> {
        Some(match self.kind {
            Kind::Resume => {
                let [
                    boot,
                    epoch,
                    boot_seen,
                    epoch_seen,
                    received,
                    credit,
                    generation,
                ] = self.numbers;
                if boot == 0 || epoch == 0 {
                    return None;
                }
                Message::Resume(Resume {
                    boot,
                    epoch,
                    seen: (boot_seen, epoch_seen),
                    received,
                    credit,
                    generation,
                    fresh: flag(self.sequence)?,
                })
            }
            Kind::Beat => {
                let [received, credit, stamp, echo, ..] = self.numbers;
                Message::Beat(Beat {
                    received,
                    credit,
                    stamp,
                    echo,
                })
            }
            _ => Message::Sequenced(self.sequence, self.get_body(plain)?),
        })
    }

    fn get_body(&self, plain: &[u8]) -> Option<Body> {
        let [number, object, epoch, ..] = self.numbers;
        let object = ObjectId {
            number: object,
            epoch,
        };
        Some(match self.kind {
            Kind::Call => Body::Call(self.call(number, object, plain)?),
            Kind::Reply => Body::Reply(Reply {
                call: number,
                outcome: match self.small[0] {
                    0 => Outcome::Ok,
                    1 => Outcome::Error,
                    2 => Outcome::Failed(TransportError {
                        cause: Cause::from_bits(self.small[1].try_into().ok()?)?,
                        delivered: flag(self.small[2])?,
                    }),
                    _ => return None,
                },
                payload: self.get_payload(plain)?,
                objects: self.get_objects()?,
            }),
            Kind::Lend => Body::Lend(self.get_piece(number, plain)?),
            Kind::Fill => Body::Fill(self.get_piece(number, plain)?),
            Kind::Cancel => Body::Cancel(number),
            Kind::Release => Body::Release(object, number.try_into().ok()?),
            Kind::Revoked => Body::Revoked(object),
            Kind::Resume | Kind::Beat => return None,
        })
    }

    fn call(&self, call: u64, object: ObjectId, plain: &[u8]) -> Option<Call> {
        let [remaining, operation, class, hash] = self.small;
        let leases = self.lease.get(..usize::try_from(self.leases).ok()?)?;
        let leases = leases.iter().map(|[access, length]| {
            let access = match access {
                1 => Access::Read,
                2 => Access::Write,
                3 => Access::Both,
                _ => return None,
            };
            let length = u32::try_from(*length).ok();
            let length = length.filter(|length| *length as usize <= LEASE)?;
            Some(LeaseHead { access, length })
        });
        Some(Call {
            remaining: remaining.try_into().ok()?,
            call,
            object,
            operation: operation.try_into().ok()?,
            class: match class {
                0 => Class::Once,
                1 => Class::Idempotent,
                2 => Class::Recorded,
                _ => return None,
            },
            hash: hash.try_into().ok()?,
            payload: self.get_payload(plain)?,
            leases: leases.collect::<Option<_>>()?,
            objects: self.get_objects()?,
        })
    }

    fn get_payload(&self, plain: &[u8]) -> Option<Payload> {
        Some(Payload {
            words: self.words,
            bytes: self.get_bytes(plain, BYTES)?,
        })
    }

    fn get_piece(&self, call: u64, plain: &[u8]) -> Option<Piece> {
        let [lease, offset, ..] = self.small;
        let bytes = self.get_bytes(plain, PIECE)?;
        let is_sound = !bytes.is_empty() && lease < LEASES as u64;
        is_sound.then_some(Piece {
            call,
            lease: lease as u8,
            offset: offset.try_into().ok()?,
            bytes,
        })
    }

    fn get_bytes(&self, plain: &[u8], most: usize) -> Option<Vec<u8>> {
        let [start, length] = self.bytes.map(usize::try_from);
        let (start, length) = (start.ok()?, length.ok().filter(|length| *length <= most)?);
        Some(plain.get(start..start.checked_add(length)?)?.to_vec())
    }

    fn get_objects(&self) -> Option<Vec<ObjectRef>> {
        let objects = self.object.get(..usize::try_from(self.objects).ok()?)?;
        objects.iter().map(Object::get).collect()
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.put(&mut Words(out));
    }

    /// Reads one; none if a field is out of range.
    pub fn read(bytes: &[u8]) -> Option<Form> {
        let (words, _) = bytes.get(..Form::SIZE)?.as_chunks();
        Form::take(&mut Taken(words)).ok()
    }
}

impl Object {
    fn new(object: &ObjectRef) -> Object {
        let mut form = Object::default();
        let mut rights = |rights: &Rights| {
            form.hand_on = rights.hand_on;
            form.operations = rights.operations;
        };
        let (kind, id) = match object {
            ObjectRef::Export(id, allowed) => {
                rights(allowed);
                (0, id)
            }
            ObjectRef::Home(id) => (1, id),
            ObjectRef::Ticket {
                owner,
                address,
                object,
                rights: allowed,
            } => {
                rights(allowed);
                form.owner = words(&owner.0);
                form.ip = words(&address.ip);
                form.port = address.port;
                (2, object)
            }
        };
        Object {
            kind,
            id: [id.number, id.epoch],
            ..form
        }
    }

    fn get(&self) -> Option<ObjectRef> {
        let [number, epoch] = self.id;
        let object = ObjectId { number, epoch };
        let rights = Rights {
            hand_on: self.hand_on,
            operations: self.operations,
        };
        Some(match self.kind {
            0 => ObjectRef::Export(object, rights),
            1 => ObjectRef::Home(object),
            2 => {
                let mut owner = PublicKey([0; 32]);
                let mut address = Address {
                    port: self.port,
                    ..Address::default()
                };
                let bytes = self.owner.map(u64::to_le_bytes);
                owner.0.copy_from_slice(bytes.as_flattened());
                let bytes = self.ip.map(u64::to_le_bytes);
                address.ip.copy_from_slice(bytes.as_flattened());
                ObjectRef::Ticket {
                    owner,
                    address,
                    object,
                    rights,
                }
            }
            _ => return None,
        })
    }
}

fn flag(word: u64) -> Option<bool> {
    match word {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let (chunks, _) = bytes.as_chunks();
    let mut words = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
    core::array::from_fn(|_| words.next().unwrap_or(0))
}

/// Words at the end of bytes.
struct Words<'a>(&'a mut Vec<u8>);

impl Sink for Words<'_> {
    fn word(&mut self, word: u64) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }
    fn capability(&mut self, _: Handle, _: bool) {}
    fn lease(&mut self, _: LeaseDescriptor) {}
}

/// Words from the front of bytes.
struct Taken<'a>(&'a [[u8; 8]]);

impl Source for Taken<'_> {
    fn word(&mut self) -> Result<u64, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }
    fn capability(&mut self) -> Result<Handle, Malformed> {
        Err(Malformed)
    }
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        Err(Malformed)
    }
}
