//! Labels: what a message is, in one word.

use core::fmt;

bitflags::bitflags! {
    /// What a system call does, and to whom it speaks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// Wait for a message or a signal.
        const RECEIVE = 1 << 0;
        /// Answer a request.
        const REPLY = 1 << 1;
        /// Set bits of an endpoint's signal word (word 0).
        const SIGNAL = 1 << 2;
        /// Call the kernel object behind an endpoint handle itself, not the
        /// server that receives from it.
        const OBJECT = 1 << 3;
        /// A call: it repeats the thread's last one and keeps its request id. The
        /// server sees the flag.
        const REPEAT = 1 << 4;
    }
}

/// Operation 8 bits, buffer bytes 13, capabilities 3, leases 3, flags 5,
/// interface hash 32, from the lowest bit up.
///
/// Everything between operation and hash is zero in the common call, so one
/// test chooses the fast path.
///
/// ```
/// use libipc_abi::label::Label;
/// let label = Label::call(3, 0xfeed_beef).with_bytes(24).with_capabilities(1);
/// assert_eq!((label.operation(), label.hash()), (3, 0xfeed_beef));
/// assert_eq!((label.bytes(), label.capabilities(), label.leases()), (24, 1, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Label(pub u64);

impl Label {
    /// All fields between operation and hash.
    pub const MIDDLE: u64 = 0xffff_ff00;

    /// What says how many bytes there are.
    pub const BYTES: u64 = 0x1fff << 8;

    /// What says how many capabilities there are.
    pub const CAPABILITIES: u64 = 7 << 21;

    /// What says how many leases there are.
    pub const LEASES: u64 = 7 << 24;

    /// In a reply: the operation succeeded.
    pub const OK: u8 = 0;
    /// In a reply: the server refused, with its code in word 0.
    pub const SERVER_ERROR: u8 = 1;

    /// A call of an interface's operation with nothing attached.
    pub const fn call(operation: u8, hash: u32) -> Label {
        Label(operation as u64 | (hash as u64) << 32)
    }

    /// A label that carries only flags, with `operation` for a reply.
    pub const fn control(flags: Flags, operation: u8) -> Label {
        Label(operation as u64 | (flags.bits() as u64) << 27)
    }

    /// Sets the number of bytes in the message buffer (13 bits).
    pub const fn with_bytes(self, bytes: usize) -> Label {
        Label(self.0 & !Self::BYTES | (bytes as u64 & 0x1fff) << 8)
    }

    /// Sets the number of capabilities carried (3 bits).
    pub const fn with_capabilities(self, count: usize) -> Label {
        Label(self.0 & !Self::CAPABILITIES | (count as u64 & 7) << 21)
    }

    /// Sets the number of leases (3 bits).
    pub const fn with_leases(self, count: usize) -> Label {
        Label(self.0 & !Self::LEASES | (count as u64 & 7) << 24)
    }

    /// Sets the flags.
    pub const fn with_flags(self, flags: Flags) -> Label {
        Label(self.0 & !(31 << 27) | (flags.bits() as u64 & 31) << 27)
    }

    /// Sets the interface's hash.
    pub const fn with_hash(self, hash: u32) -> Label {
        Label(self.0 & 0xffff_ffff | (hash as u64) << 32)
    }

    /// The operation's number, or a reply's outcome.
    pub const fn operation(self) -> u8 {
        self.0 as u8
    }

    /// Bytes in the message buffer after its header.
    pub const fn bytes(self) -> usize {
        (self.0 >> 8) as usize & 0x1fff
    }

    /// Capabilities carried.
    pub const fn capabilities(self) -> usize {
        (self.0 >> 21) as usize & 7
    }

    /// Leases lent.
    pub const fn leases(self) -> usize {
        (self.0 >> 24) as usize & 7
    }

    /// What the system call does. Unknown bits are kept.
    pub const fn flags(self) -> Flags {
        Flags::from_bits_retain((self.0 >> 27) as u8 & 31)
    }

    /// The interface's hash.
    pub const fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Label(op {}, {} bytes, {} caps, {} leases, {:?}, hash {:#010x})",
            self.operation(),
            self.bytes(),
            self.capabilities(),
            self.leases(),
            self.flags(),
            self.hash()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        let full = Label::call(0xff, u32::MAX)
            .with_bytes(0x1fff)
            .with_capabilities(7)
            .with_leases(7)
            .with_flags(Flags::from_bits_retain(31));
        assert_eq!(full.0, u64::MAX);
        assert_eq!(Label::call(0xff, u32::MAX).0 & Label::MIDDLE, 0);
        let cleared = full
            .with_bytes(0)
            .with_capabilities(0)
            .with_leases(0)
            .with_flags(Flags::empty());
        assert_eq!(cleared, Label::call(0xff, u32::MAX));
    }
}
