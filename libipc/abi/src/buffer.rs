//! The message buffer: one page for each thread, in frames that the kernel
//! owns and keeps mapped, readable and writable, while the thread lives.
//!
//! It begins with a [`Header`], then come the bytes of the message: the words
//! from the ninth on, little endian.

use crate::{PAGE, handle::Handle};

/// Capabilities that one message can carry.
pub const CAPABILITIES: usize = 4;

/// Leases that one call can lend.
pub const LEASES: usize = 4;

/// How often a lease can be lent on.
pub const RELENDS: usize = 4;

bitflags::bitflags! {
    /// What a server may do with a lease.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u64 {
        /// Copy from the lender.
        const READ = 1 << 0;
        /// Copy to the lender.
        const WRITE = 1 << 1;
        /// Calling: this is part of a lease that the caller was lent itself, see
        /// [`LeaseDescriptor::relend`].
        const RELEND = 1 << 2;
    }
}

/// A range of the caller's memory lent for one call.
///
/// To the kernel it names the caller's own memory, or part of a lease of a request
/// that the caller has to answer; the receiver sees `address` as zero, for it
/// copies by the lease's index and an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LeaseDescriptor {
    /// Where it begins. To lend on: the handle of the request.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Bits of [`Access`]. To lend on, also: bits 8 to 15, which lease of the
    /// request; bits 16 to 63, where in that lease it begins.
    pub access: u64,
}

/// Part of a lease, as a descriptor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The request that lends it: [`Handle::REQUEST`], or a kept reply.
    pub request: Handle,
    /// Which of its leases.
    pub lease: usize,
    /// Where in that lease the part begins.
    pub offset: u64,
}

impl LeaseDescriptor {
    const LEASE: u32 = 8;
    const OFFSET: u32 = 16;

    /// Lends part of a lease on, with no more access than it has. `offset` is cut
    /// to 48 bits; no lease is that long.
    pub const fn relend(outer: Outer, length: u64, access: Access) -> LeaseDescriptor {
        LeaseDescriptor {
            address: outer.request.0,
            length,
            access: access.union(Access::RELEND).bits()
                | (outer.lease as u64 & 0xff) << Self::LEASE
                | outer.offset << Self::OFFSET,
        }
    }

    /// What may be done with it; `None` if the word is not one that callers may
    /// write.
    pub fn access(&self) -> Option<Access> {
        let access = Access::from_bits_truncate(self.access);
        let rest = self.access & !access.bits();
        let known = if access.contains(Access::RELEND) {
            rest & 0xff == 0
        } else {
            rest == 0
        };
        let plain = access - Access::RELEND;
        (known && !plain.is_empty()).then_some(plain)
    }

    /// What it is part of, if that is lent on.
    pub fn outer(&self) -> Option<Outer> {
        (self.access & Access::RELEND.bits() != 0).then_some(Outer {
            request: Handle(self.address),
            lease: (self.access >> Self::LEASE) as usize & 0xff,
            offset: self.access >> Self::OFFSET,
        })
    }
}

/// The fixed part of a message buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// Sending: handles to pass on. Received: the new handles.
    pub capabilities: [u64; CAPABILITIES],
    /// Sending: bit n (0 to 3) set means that capability n is copied, not moved;
    /// bits 8 + 8n to 15 + 8n are rights that it loses on the way.
    pub passing: u64,
    /// How many capabilities the thread is willing to receive, 0 to 4, with the
    /// next message or reply.
    pub open: u64,
    /// Calling: memory to lend. Received: length and access of each lease.
    pub leases: [LeaseDescriptor; LEASES],
}

/// Bytes of a message that fit in the buffer after the header.
pub const BYTES: usize = PAGE - size_of::<Header>();

/// Words of a message altogether, in registers and buffer.
pub const MAX_WORDS: usize = crate::registers::WORDS + BYTES / 8;

/// Index of the header's first word of each table, for readers that see the
/// buffer as 512 words of 64 bits.
pub mod word {
    use super::{Header, LEASES};
    use core::mem::offset_of;

    /// First capability.
    pub const CAPABILITIES: usize = offset_of!(Header, capabilities) / 8;
    /// How the capabilities are passed.
    pub const PASSING: usize = offset_of!(Header, passing) / 8;
    /// Slots open.
    pub const OPEN: usize = offset_of!(Header, open) / 8;
    /// First word of the first lease; each lease has three.
    pub const LEASE: usize = offset_of!(Header, leases) / 8;
    /// First word of the bytes.
    pub const BYTES: usize = LEASE + 3 * LEASES;
}
