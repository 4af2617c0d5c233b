//! What the server asks of a device.

use libipc::start::AnyError;

/// Most bytes that are asked for at once.
pub const MOST: usize = 64;

/// A device that has random bytes now and then.
pub trait Source {
    /// Asks for bytes, if that was not done already. A signal tells when some are
    /// there. A device that fails is asked no more.
    fn ask(&mut self) -> Result<(), AnyError>;

    /// The bytes that were asked for, and how many they are: as many as the device
    /// likes, perhaps none. `None` if it has not said anything yet.
    fn answer(&mut self, into: &mut [u8; MOST]) -> Result<Option<usize>, AnyError>;
}
