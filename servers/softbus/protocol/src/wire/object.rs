//! Objects as messages name them.

use crate::address::Address;
use crate::bytes::{Malformed, Reader, Writer};
use crate::suite::PublicKey;

/// An object that a device exports to one other device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Number, never used twice in an epoch. It is no secret: it counts for one key alone.
    pub number: u64,
    /// The owner's epoch, random: which run of its server made it.
    pub epoch: u64,
}

impl ObjectId {
    /// The device itself: it lists services, opens them and hands objects on. There in
    /// every epoch.
    pub const ROOT: ObjectId = ObjectId {
        number: 0,
        epoch: 0,
    };

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ObjectId {
            number: reader.u64()?,
            epoch: reader.u64()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u64(self.number).u64(self.epoch);
    }
}

/// What may be done with an object. The owner keeps them; on the wire they only inform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights {
    /// It may be handed on to a third device.
    pub hand_on: bool,
    /// The operations that may be called, a bit each.
    pub operations: [u64; 4],
}

impl Rights {
    /// Bytes that they take.
    pub const SIZE: usize = 33;
    /// Everything.
    pub const ALL: Rights = Rights {
        hand_on: true,
        operations: [u64::MAX; 4],
    };

    /// Only these operations, and no handing on.
    pub fn only(operations: &[u8]) -> Rights {
        let mut rights = Rights {
            hand_on: false,
            operations: [0; 4],
        };
        for &operation in operations {
            rights.operations[usize::from(operation / 64)] |= 1 << (operation % 64);
        }
        rights
    }

    /// What both allow.
    pub fn and(self, other: Rights) -> Rights {
        let mut operations = self.operations;
        for (mine, its) in operations.iter_mut().zip(other.operations) {
            *mine &= its;
        }
        Rights {
            hand_on: self.hand_on && other.hand_on,
            operations,
        }
    }

    /// Whether this operation may be called.
    pub fn allows(&self, operation: u8) -> bool {
        self.operations[usize::from(operation / 64)] >> (operation % 64) & 1 == 1
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let hand_on = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed),
        };
        let mut operations = [0; 4];
        for word in &mut operations {
            *word = reader.u64()?;
        }
        Ok(Rights {
            hand_on,
            operations,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(u8::from(self.hand_on));
        self.operations.iter().for_each(|word| {
            writer.u64(*word);
        });
    }
}

/// An object that travels in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectRef {
    /// The sender's own, from now on also the receiver's to call.
    Export(ObjectId, Rights),
    /// The receiver's own, which comes home.
    Home(ObjectId),
    /// A third device's, which knows already that the receiver will call.
    Ticket {
        /// Whose it is.
        owner: PublicKey,
        /// Where that was last, for streams.
        address: Address,
        /// Its name there, made for the receiver.
        object: ObjectId,
        /// What the receiver may do with it.
        rights: Rights,
    },
}

impl ObjectRef {
    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        const ID: usize = 16;
        1 + match self {
            ObjectRef::Export(..) => ID + Rights::SIZE,
            ObjectRef::Home(_) => ID,
            ObjectRef::Ticket { .. } => 32 + Address::SIZE + ID + Rights::SIZE,
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            0 => ObjectRef::Export(ObjectId::read(reader)?, Rights::read(reader)?),
            1 => ObjectRef::Home(ObjectId::read(reader)?),
            2 => ObjectRef::Ticket {
                owner: PublicKey(reader.array()?),
                address: Address::read(reader)?,
                object: ObjectId::read(reader)?,
                rights: Rights::read(reader)?,
            },
            _ => return Err(Malformed),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            ObjectRef::Export(object, rights) => {
                object.write(writer.u8(0));
                rights.write(writer);
            }
            ObjectRef::Home(object) => object.write(writer.u8(1)),
            ObjectRef::Ticket {
                owner,
                address,
                object,
                rights,
            } => {
                writer.u8(2).bytes(&owner.0);
                address.write(writer);
                object.write(writer);
                rights.write(writer);
            }
        }
    }
}
