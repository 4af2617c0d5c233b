//! `Link`: frames of a network device, in memory of whoever uses it.
//!
//! The client has memory of its own, divided into slots of [`SLOT`] bytes. It gives
//! slots to the device, to be filled or to be sent, and gets each back when that was
//! done. No frame is copied on the way: the device reads and writes the slots.

use super::*;
use crate::objects::MemoryClient;

/// Bytes of a slot.
pub const SLOT: usize = 2048;

/// Bytes in front of each frame in its slot: they belong to the driver.
pub const HEADROOM: usize = 12;

/// Most bytes of a frame: 1500, and the header of Ethernet.
pub const MAX_FRAME: usize = 1514;

/// Why a link refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum LinkError {
    /// The caller has not attached, or somebody else has since.
    NotAttached = 1,
    /// A slot that the memory does not have, that is under way already, or whose frame
    /// is empty or too long.
    BadFrame = 2,
    /// The device failed, or could not take the memory.
    Device = 3,
    /// The memory is not whole slots, or too much.
    BadMemory = 4,
}

describe!(LinkError {
    NotAttached => "the network device is not attached",
    BadFrame => "no such frame",
    Device => "the network device failed",
    BadMemory => "not memory that frames fit in",
});

/// What a link is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct LinkInfo {
    /// The address that the device has, if it has one; else 0. The first of its six
    /// bytes is in bits 40 to 47.
    pub mac: u64,
    /// Most slots that wait to be filled.
    pub most_receiving: u64,
    /// Most slots that wait to be sent.
    pub most_sending: u64,
}

/// A frame, or room for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The slot that it is in.
    pub slot: u16,
    /// Its bytes; 0 for room that is to be filled.
    pub length: u16,
}

/// Up to [`Frames::MOST`] frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Frames {
    count: u64,
    /// Two in each: slot in the low half of either half, length in its high one.
    packed: [u64; Frames::MOST / 2],
}

impl Frames {
    /// As many as registers carry.
    pub const MOST: usize = 14;

    /// Adds one; `false` if there is no room.
    pub fn push(&mut self, frame: Frame) -> bool {
        let index = self.count as usize;
        if index >= Self::MOST {
            return false;
        }
        let half = u64::from(frame.length) << 16 | u64::from(frame.slot);
        self.packed[index / 2] |= half << (32 * (index % 2));
        self.count += 1;
        true
    }

    /// Whether there is room for no more: then there may be others.
    pub fn is_full(&self) -> bool {
        self.count >= Self::MOST as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each, in the order in which they were added.
    ///
    /// ```
    /// use libipc::interfaces::link::{Frame, Frames};
    /// let all = [(7, 60), (65535, 1514), (0, 0)].map(|(slot, length)| Frame { slot, length });
    /// let mut frames = Frames::default();
    /// all.iter().for_each(|frame| assert!(frames.push(*frame)));
    /// assert!(frames.iter().eq(all));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Frame> {
        let count = Self::MOST.min(self.count as usize);
        (0..count).map(|index| {
            let half = self.packed[index / 2] >> (32 * (index % 2));
            Frame {
                slot: half as u16,
                length: (half >> 16) as u16,
            }
        })
    }
}

/// A network device that has one client.
#[interface]
pub trait Link {
    /// Takes the device over: frames are in this memory from now on, and the bits
    /// `signals` are set at the endpoint when a frame was received, or was sent and the
    /// client had no slot left. Needs `READ` and `WRITE`. `BadMemory`, `Device`.
    #[op(0)]
    fn attach(
        &mut self,
        memory: MemoryClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<LinkInfo, LinkError>;

    /// Gives slots to be filled and frames to be sent, in that order of meaning: a
    /// frame without length is room. Returns slots that were filled, with the length
    /// of what is in them; others may wait if the answer is full. `NotAttached`,
    /// `BadFrame`, `Device`.
    #[op(1)]
    fn exchange(&mut self, frames: Frames) -> Result<Frames, LinkError>;

    /// Takes slots back whose frames were sent. `NotAttached`, `Device`.
    #[op(2)]
    fn sent(&mut self) -> Result<Frames, LinkError>;
}
