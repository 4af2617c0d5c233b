//! A device that frames come from and go to.

use smoltcp::phy::Device;

/// Frames, bytes, and frames that had no room, in one direction.
pub type Counters = [u64; 3];

/// A device in memory of this server's.
pub trait Port: Device {
    /// What came in waits here.
    fn pull(&mut self);

    /// What was sent goes out, and room for what comes is given.
    fn flush(&mut self);

    /// Frames wait for room to be sent: something will be told when there is some.
    fn is_full(&mut self) -> bool;

    /// Whether something that came was not looked at, for want of room to answer it.
    fn waits(&self) -> bool;

    /// Whether there is a device that works.
    fn is_up(&self) -> bool;

    /// What was received, and what was sent.
    fn counters(&self) -> (Counters, Counters);
}

/// Counts a frame.
pub fn count(counters: &mut Counters, length: usize) {
    counters[0] += 1;
    counters[1] += length as u64;
}
