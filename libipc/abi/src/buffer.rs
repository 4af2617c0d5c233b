//! The message buffer: one page for each thread, in frames that the kernel
//! owns and keeps mapped, readable and writable, while the thread lives.
//!
//! It begins with a [`Header`], then come the bytes of the message: the words
//! from the ninth on, little endian.

use crate::PAGE;

/// Capabilities that one message can carry.
pub const CAPABILITIES: usize = 4;

/// Leases that one call can lend.
pub const LEASES: usize = 4;

bitflags::bitflags! {
    /// What a server may do with a lease.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u64 {
        /// Copy from the lender.
        const READ = 1 << 0;
        /// Copy to the lender.
        const WRITE = 1 << 1;
    }
}

/// A range of the caller's memory lent for one call.
///
/// To the kernel it names the caller's own memory; the receiver sees `address`
/// as zero, for it copies by the lease's index and an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LeaseDescriptor {
    /// Where it begins.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Bits of [`Access`].
    pub access: u64,
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
