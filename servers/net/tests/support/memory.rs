//! A port whose frames are in memory, and random changes of them. Checksums are not looked
//! at, so that what is changed reaches as far as it can.

#[path = "tokens.rs"]
mod tokens;

use smoltcp::{
    phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium},
    time::Instant,
};
use std::collections::VecDeque;
use tessera_net::port::{Counters, Port};
use tokens::{Received, Sending};

/// The frames.
#[derive(Default)]
pub(crate) struct Memory {
    /// Those to be received.
    pub(crate) received: VecDeque<Vec<u8>>,
    /// Those that were sent.
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Device for Memory {
    type RxToken<'p> = Received;
    type TxToken<'p> = Sending<'p>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

impl Port for Memory {
    fn pull(&mut self) {}
    fn flush(&mut self) {}
    fn is_full(&mut self) -> bool {
        false
    }
    fn waits(&self) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }
    fn counters(&self) -> (Counters, Counters) {
        Default::default()
    }
}

/// Random numbers that are the same each time (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    /// A frame with some of it changed, cut off or repeated.
    pub(crate) fn change(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        for _ in 0..self.below(6) {
            // Headers more often than what follows.
            let within = if self.below(4) > 0 { 80 } else { frame.len() };
            let place = self.below(within.min(frame.len()));
            match self.below(8) {
                0 => frame.truncate(place),
                1 => frame.extend_from_within(place..),
                2..5 => {
                    if let Some(byte) = frame.get_mut(place) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                _ => {
                    let extreme = [0, 1, 0x7f, 0x80, 0xff, self.below(256) as u8];
                    let value = extreme[self.below(extreme.len())];
                    if let Some(byte) = frame.get_mut(place) {
                        *byte = value;
                    }
                }
            }
        }
        frame.truncate(1514);
        frame
    }
}
