//! `Virtio`: a virtio device behind somebody who looks at what its driver wants.
//!
//! A device reads and writes any memory that a descriptor names. So a driver does not
//! have the device: it has shadow queues, in memory of its own, laid out as split
//! virtqueues (Virtio 1.2, 2.7), whose descriptors name addresses of a space that only
//! the two know. The driver says which memory is where in that space. Whoever serves
//! this copies descriptors that lead there into the real queues, and translates them.

use super::*;
use crate::objects::MemoryClient;

/// Why a request to a virtio device failed. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum VirtioError {
    /// The caller has not attached, somebody else has since, or what it or the device
    /// did made the device stop: all is forgotten, and attaching begins anew.
    NotAttached = 1,
    /// The device does not do what it must.
    Device = 2,
    /// The device has no such feature, or its driver may not use it.
    Feature = 3,
    /// It is too early for that, or too late.
    WrongState = 4,
    /// The device has no such queue or configuration, or the size is none.
    NoSuchQueue = 5,
    /// Addresses that are not page-aligned, or where nothing is, or something already.
    BadAddress = 6,
    /// The device may be using this memory.
    InUse = 7,
    /// No more memory can be given to the device.
    NoResources = 8,
    /// A descriptor does not lead where it may, or a chain has no end: the device was
    /// stopped.
    BadDescriptor = 9,
}

describe!(VirtioError {
    NotAttached => "the device is not attached, or was stopped",
    Device => "the device does not work",
    Feature => "no such feature",
    WrongState => "not in this state of the device",
    NoSuchQueue => "no such queue or configuration",
    BadAddress => "nothing, or something already, is at these addresses",
    InUse => "the device may be using this memory",
    NoResources => "no more memory can be given to the device",
    BadDescriptor => "a descriptor does not lead where it may",
});

/// What a device is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct VirtioInfo {
    /// Its type (Virtio 1.2, 5).
    pub device: u64,
    /// Those of its features that a driver may use.
    pub features: u64,
    /// Most descriptors of a shadow queue.
    pub max_size: u64,
}

/// A queue of a driver: how large, and where in its space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct VirtioQueue {
    /// Descriptors: a power of two.
    pub size: u64,
    /// The table of descriptors.
    pub descriptors: u64,
    /// The ring of what is available.
    pub available: u64,
    /// The ring of what was used.
    pub used: u64,
}

/// A virtio device.
#[interface]
pub trait Virtio {
    /// Takes the device over: it is reset, and what its last driver had given it is
    /// let go. From now on the bits `signals` are set at the endpoint when something
    /// was used, or when the device was stopped. `Device`.
    #[op(0)]
    fn attach(&mut self, endpoint: EndpointClient, signals: u64)
    -> Result<VirtioInfo, VirtioError>;

    /// Says which features the driver uses. `Feature`, `WrongState`, `Device`.
    #[op(1)]
    fn negotiate(&mut self, features: u64) -> Result<(), VirtioError>;

    /// Up to eight bytes of the device's configuration, the first in the lowest bits.
    /// `NoSuchQueue` past its end.
    #[op(2, idempotent)]
    fn config(&mut self, offset: u64, length: u64) -> Result<u64, VirtioError>;

    /// Puts memory into the driver's space from `address` on. The device can reach it
    /// there, until it is taken out or the device was reset. Needs `READ` and `WRITE`
    /// on it. `BadAddress`, `NoResources`.
    #[op(3)]
    fn map(&mut self, address: u64, memory: MemoryClient) -> Result<(), VirtioError>;

    /// Takes the memory out that begins at `address`. `BadAddress` if none does;
    /// `InUse` while a queue is there or a descriptor under way leads there.
    #[op(4)]
    fn unmap(&mut self, address: u64) -> Result<(), VirtioError>;

    /// Makes a queue, before `start`. `NoSuchQueue`, `BadAddress`, `WrongState`,
    /// `NoResources`.
    #[op(5)]
    fn set_queue(&mut self, queue: u64, shadow: VirtioQueue) -> Result<(), VirtioError>;

    /// The device begins. `WrongState`, `Device`.
    #[op(6)]
    fn start(&mut self) -> Result<(), VirtioError>;

    /// Something is available in a queue. `NoSuchQueue`, `WrongState`,
    /// `BadDescriptor`.
    #[op(7, idempotent)]
    fn notify(&mut self, queue: u64) -> Result<(), VirtioError>;

    /// Lets the device go, and what it was given with it. `Device`.
    #[op(8)]
    fn detach(&mut self) -> Result<(), VirtioError>;
}
