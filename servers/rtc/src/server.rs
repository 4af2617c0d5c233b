//! The interface, over a device.

use crate::device::Rtc;
use libipc::{
    interfaces::clock::{Clock, ClockError, WallTime},
    time::Instant,
};

impl Clock for Rtc {
    fn now(&mut self) -> Result<WallTime, ClockError> {
        let (nanoseconds, ticks) = (self.nanoseconds(), Instant::now().ticks());
        match nanoseconds {
            0 => Err(ClockError::NotSet),
            _ => Ok(WallTime { nanoseconds, ticks }),
        }
    }
}
