//! Handles: how a task names a capability in its own table.

use core::fmt;

/// What kind of object a handle leads to. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectType {
    /// An address space with its capability table and quota.
    Task = 1,
    /// A thread of execution.
    Thread = 2,
    /// A place where messages and signals arrive.
    Endpoint = 3,
    /// Page frames that can be mapped.
    Memory = 4,
    /// A device interrupt line.
    Interrupt = 5,
    /// A budget of processor time, refilled each period.
    Reservation = 6,
    /// Machine-wide functions, split by right.
    System = 7,
    /// The duty to answer one request.
    Reply = 8,
    /// Memory that a device may reach.
    Dma = 9,
}

impl ObjectType {
    /// All types, in the order of their numbers.
    pub const ALL: [ObjectType; 9] = [
        ObjectType::Task,
        ObjectType::Thread,
        ObjectType::Endpoint,
        ObjectType::Memory,
        ObjectType::Interrupt,
        ObjectType::Reservation,
        ObjectType::System,
        ObjectType::Reply,
        ObjectType::Dma,
    ];

    /// The type with this number.
    pub const fn from_bits(bits: u8) -> Option<ObjectType> {
        Some(match bits {
            1 => ObjectType::Task,
            2 => ObjectType::Thread,
            3 => ObjectType::Endpoint,
            4 => ObjectType::Memory,
            5 => ObjectType::Interrupt,
            6 => ObjectType::Reservation,
            7 => ObjectType::System,
            8 => ObjectType::Reply,
            9 => ObjectType::Dma,
            _ => return None,
        })
    }
}

bitflags::bitflags! {
    /// What the holder of a handle may do. The meaning of a bit depends on the
    /// object's type; [`Rights::GRANT`] means the same for all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// All types: the capability may be passed on to another task.
        const GRANT = 1 << 7;

        /// Endpoint: call the server behind it.
        const CALL = 1 << 0;
        /// Endpoint: receive messages and signals, mint badges.
        const RECEIVE = 1 << 1;
        /// Endpoint: set bits of the signal word.
        const SIGNAL = 1 << 2;
        /// Endpoint, task, thread, reservation, DMA: pause, resume, close, kill,
        /// change, release.
        const CONTROL = 1 << 3;
        /// Endpoint: answer with any transport error, as a proxy must.
        const PROXY = 1 << 4;
        /// Endpoint: the capability may leave the device.
        const EXPORT = 1 << 5;
        /// Endpoint, a mark: the server must stand alone in its task.
        /// Derivation may add it and never removes it.
        const FAR_ONLY = 1 << 6;

        /// Memory: map readable, read.
        const READ = 1 << 0;
        /// Memory: map writable, write.
        const WRITE = 1 << 1;
        /// Memory: map executable.
        const EXECUTE = 1 << 2;

        /// Task, thread, reservation: read state, list capabilities.
        const INSPECT = 1 << 0;
        /// Task: create objects that its quota pays for.
        const CREATE = 1 << 1;
        /// Task: change the mappings of its address space.
        const MAP = 1 << 2;
        /// Task: put capabilities into its table, take them out.
        const INSTALL = 1 << 4;

        /// System: power off and reset.
        const SHUTDOWN = 1 << 0;
        /// System: read and write the kernel's log.
        const LOG = 1 << 1;
        /// System: read machine-wide counters and list tasks.
        const COUNTERS = 1 << 2;
        /// System: make device memory and interrupt objects.
        const DEVICES = 1 << 3;
        /// System: make reservations.
        const TIME = 1 << 4;

        /// Interrupt: bind it to an endpoint, acknowledge it.
        const BIND = 1 << 0;

        /// DMA: pin memory and learn its addresses.
        const PIN = 1 << 0;

        /// Reply: answer the request, copy from and to its leases.
        const ANSWER = 1 << 0;
    }
}

/// A capability as its holder names it: index 20 bits, rights 8, type 4,
/// generation 32, from the lowest bit up.
///
/// The slot in the holder's table stores the same word, so one compare
/// authenticates a handle. Zero is never a handle.
///
/// ```
/// use libipc_abi::handle::{Handle, ObjectType, Rights};
/// let h = Handle::new(5, Rights::CALL, ObjectType::Endpoint, 7);
/// assert_eq!(h.index(), 5);
/// assert_eq!(h.object_type(), Some(ObjectType::Endpoint));
/// assert!(h.rights().contains(Rights::CALL));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Handle(pub u64);

impl Handle {
    /// No capability.
    pub const NULL: Handle = Handle(0);

    /// Bits of the index: a table holds at most 2^20 capabilities.
    pub const INDEX_BITS: u32 = 20;

    /// The request that the calling thread is serving. Needs no slot.
    pub const REQUEST: Handle = Handle::new(0, Rights::ANSWER, ObjectType::Reply, 0);

    /// The calling thread itself. Needs no slot.
    pub const THREAD: Handle = Handle::new(0, Rights::INSPECT, ObjectType::Thread, 0);

    /// Composes a handle. `index` is cut to 20 bits.
    pub const fn new(index: u32, rights: Rights, kind: ObjectType, generation: u32) -> Handle {
        Handle(
            (index as u64 & ((1 << Self::INDEX_BITS) - 1))
                | (rights.bits() as u64) << 20
                | (kind as u64) << 28
                | (generation as u64) << 32,
        )
    }

    /// The slot in the holder's table.
    pub const fn index(self) -> u32 {
        (self.0 & ((1 << Self::INDEX_BITS) - 1)) as u32
    }

    /// What the holder may do.
    pub const fn rights(self) -> Rights {
        Rights::from_bits_retain((self.0 >> 20) as u8)
    }

    /// The type of the object, unless the word is no handle.
    pub const fn object_type(self) -> Option<ObjectType> {
        ObjectType::from_bits((self.0 >> 28) as u8 & 15)
    }

    /// How often the slot was used before, modulo nothing: a slot whose
    /// generation would wrap is retired.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this is [`Handle::NULL`].
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object_type() {
            Some(kind) => write!(
                f,
                "{kind:?}#{}.{} rights {:#04x}",
                self.index(),
                self.generation(),
                self.rights().bits()
            ),
            None => write!(f, "Handle({:#x})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        for kind in ObjectType::ALL {
            let h = Handle::new(0xf_ffff, Rights::all(), kind, u32::MAX);
            assert_eq!((h.index(), h.generation()), (0xf_ffff, u32::MAX));
            assert_eq!(h.object_type(), Some(kind));
            assert_eq!(h.rights(), Rights::all());
            let h = Handle::new(0, Rights::empty(), kind, 0);
            assert_eq!(h.0, (kind as u64) << 28);
        }
        assert_eq!(Handle(0).object_type(), None);
        assert_eq!(Handle(15 << 28).object_type(), None);
    }
}
