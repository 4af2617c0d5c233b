//! The crate's view of a device that a proxy has.

use super::hal;
use alloc::rc::Rc;
use core::cell::Cell;
use libipc::{
    CallError, PAGE,
    handle::Rights,
    interfaces::virtio::{VirtioClient, VirtioError, VirtioInfo, VirtioQueue},
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
};
use virtio_drivers::{
    Error, PhysAddr,
    transport::{DeviceStatus, DeviceType, InterruptStatus, Transport},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Pages for rings: two queues of 128 descriptors.
const RINGS: u64 = 4;

/// A device that is reached through its proxy.
#[derive(Debug)]
pub struct Proxied {
    client: VirtioClient,
    info: VirtioInfo,
    status: Cell<DeviceStatus>,
    /// Memory for rings, and where it is.
    rings: (MemoryClient, Rc<Mapping>),
    /// The first call that failed: the trait has no way to say so.
    failed: Cell<Option<CallError<VirtioError>>>,
}

impl Proxied {
    /// Takes the device over and gives it memory for rings. What it uses is told by
    /// `signals` at the endpoint.
    pub fn attach(
        client: VirtioClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<Proxied, CallError<VirtioError>> {
        let info = client.attach(endpoint, signals)?;
        let none = CallError::Server(VirtioError::NoResources);
        let memory = libipc::task().create_memory(RINGS).map_err(|_| none)?;
        let copy = memory.as_ref().copy().map_err(|_| none)?;
        let rings = map(&client, copy.into())?;
        hal::provide(rings.clone());
        Ok(Proxied {
            client,
            info,
            rings: (memory, rings),
            status: Cell::new(DeviceStatus::empty()),
            failed: Cell::new(None),
        })
    }

    /// The same again: the device is reset, and forgets all queues and memory.
    pub fn attach_again(
        &mut self,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<(), CallError<VirtioError>> {
        self.info = self.client.attach(endpoint, signals)?;
        self.status.set(DeviceStatus::empty());
        self.failed.set(None);
        let (memory, mapping) = &self.rings;
        let copy = memory.as_ref().copy();
        let copy = copy.map_err(|_| CallError::Server(VirtioError::NoResources))?;
        self.client.map(mapping.address() as u64, copy.into())
    }

    /// Lets the device go: it forgets all queues and memory, until it is attached again.
    pub fn detach(&self) -> Result<(), CallError<VirtioError>> {
        self.client.detach()
    }

    /// Memory of this task's own that the device can reach, full of zeros.
    pub fn make_memory(&self, pages: u64) -> Result<Rc<Mapping>, CallError<VirtioError>> {
        let memory = libipc::task().create_memory(pages);
        self.map(memory.map_err(|_| CallError::Server(VirtioError::NoResources))?)
    }

    /// Lets the device reach memory, at the address where this task has it.
    pub fn map(&self, memory: MemoryClient) -> Result<Rc<Mapping>, CallError<VirtioError>> {
        map(&self.client, memory)
    }

    /// Ends that.
    pub fn unmap(&self, mapping: &Mapping) -> Result<(), CallError<VirtioError>> {
        self.client.unmap(mapping.address() as u64)
    }

    /// Says that something is available. An error means that the device was stopped,
    /// or its proxy is gone.
    pub fn announce(&self, queue: u16) -> Result<(), CallError<VirtioError>> {
        self.client.notify(queue.into())
    }

    /// What went wrong since the device was attached, if anything did.
    pub fn check(&self) -> Result<(), CallError<VirtioError>> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Features that a driver may use.
    pub fn features(&self) -> u64 {
        self.info.features
    }

    fn note(&self, result: Result<(), CallError<VirtioError>>) {
        if let (Err(error), None) = (result, self.failed.get()) {
            self.failed.set(Some(error));
        }
    }
}

/// Lets a device reach memory, at the address where this task has it.
fn map(client: &VirtioClient, memory: MemoryClient) -> Result<Rc<Mapping>, CallError<VirtioError>> {
    let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE);
    let mapping = mapping.map_err(|_| CallError::Server(VirtioError::NoResources))?;
    client.map(mapping.address() as u64, memory)?;
    Ok(Rc::new(mapping))
}

impl Transport for Proxied {
    fn device_type(&self) -> DeviceType {
        let known = u8::try_from(self.info.device).ok();
        let known = known.and_then(|device| DeviceType::try_from(device).ok());
        // The proxy serves none that the crate does not know.
        known.unwrap_or(DeviceType::Network)
    }

    fn read_device_features(&mut self) -> u64 {
        self.info.features
    }

    fn write_driver_features(&mut self, features: u64) {
        self.note(self.client.negotiate(features));
    }

    fn max_queue_size(&mut self, _queue: u16) -> u32 {
        self.info.max_size as u32
    }

    fn notify(&mut self, queue: u16) {
        self.note(self.announce(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        self.status.get()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        // Attaching has reset the device, and the proxy sets the other bits.
        self.status.set(status);
        if status.contains(DeviceStatus::DRIVER_OK) {
            self.note(self.client.start());
        }
    }

    fn set_guest_page_size(&mut self, size: u32) {
        debug_assert_eq!(size as usize, PAGE, "a legacy register");
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        let shadow = VirtioQueue {
            size: size.into(),
            descriptors,
            available: driver_area,
            used: device_area,
        };
        self.note(self.client.set_queue(queue.into(), shadow));
    }

    fn queue_unset(&mut self, _queue: u16) {
        // It ends when the device is reset, by whoever attaches next.
    }

    fn queue_used(&mut self, _queue: u16) -> bool {
        // Attaching has reset the device.
        false
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // The proxy does.
        InterruptStatus::QUEUE_INTERRUPT
    }

    fn read_config_generation(&self) -> u32 {
        // What drivers read of the configuration does not change.
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        let value = self.client.config(offset as u64, size_of::<T>() as u64);
        let value = value.map_err(|_| Error::ConfigSpaceTooSmall)?;
        let read = T::read_from_prefix(value.as_bytes());
        read.map(|(value, _)| value)
            .map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: T,
    ) -> virtio_drivers::Result<()> {
        // Neither device has any that a driver writes.
        Err(Error::Unsupported)
    }
}
