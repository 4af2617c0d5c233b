//! `Entropy`: random bytes.

use super::*;

/// Most bytes that one call fills.
pub const MAX_FILL: usize = 16 << 10;

/// Why there are no random bytes. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum EntropyError {
    /// The machine's source was asked, and has nothing.
    NoEntropy = 1,
    /// More than [`MAX_FILL`].
    BadLength = 2,
    /// The lease is memory that cannot be written.
    BadMemory = 3,
    /// Too many calls wait for the first random bytes.
    Busy = 4,
}

describe!(EntropyError {
    NoEntropy => "the machine has no random bytes",
    BadLength => "too many bytes for one call",
    BadMemory => "the memory lent cannot be used",
    Busy => "too many calls wait for random bytes",
});

/// Random bytes that nobody can guess, whatever others got. A call waits until the
/// machine's source has said enough for that; once it has, no call waits.
#[interface]
pub trait Entropy {
    /// Fills `into`. `BadLength`, `BadMemory`, `NoEntropy`, `Busy`.
    #[op(0, idempotent)]
    #[deferred]
    fn fill(&mut self, into: LeaseMut) -> Result<(), EntropyError>;

    /// So much as seeds a generator of the caller's own: 256 bits. `NoEntropy`, `Busy`.
    #[op(1, idempotent)]
    #[deferred]
    fn seed(&mut self) -> Result<[u64; 4], EntropyError>;
}
