//! The interface and the interrupt, around the queues of one device.

use super::{
    QUEUES, Registers,
    queue::Queue,
    ring::{self, Place, Ring},
    space::{Pinner, Space},
};
use alloc::{rc::Rc, vec::Vec};
use libipc::{
    PAGE,
    handle::Rights,
    interfaces::virtio::{Virtio, VirtioError, VirtioInfo, VirtioQueue},
    memory::Mapping,
    objects::{EndpointClient, InterruptClient, MemoryClient},
    server::{Event, Receiver},
    status::{Cause, TransportError},
};

/// Signal bit of the device's interrupt.
pub const INTERRUPT: u64 = 1;

/// Most descriptors of a queue, on either side.
const MOST: u16 = 1024;

/// Status bits (Virtio 1.2, 2.1).
mod status {
    pub(super) const ACKNOWLEDGE: u32 = 1;
    pub(super) const DRIVER: u32 = 2;
    pub(super) const DRIVER_OK: u32 = 4;
    pub(super) const FEATURES_OK: u32 = 8;
    pub(super) const NEEDS_RESET: u32 = 64;
}

/// Features that are none of a type of device (Virtio 1.2, 6), from this bit to
/// `DEVICE_AGAIN`.
const TRANSPORT: u64 = 24;
const DEVICE_AGAIN: u64 = 50;
/// The interface that is not the legacy one.
const VERSION_1: u64 = 1 << 32;
/// What drivers may use: all that is their type's, for it changes nothing about
/// descriptors, and the version. Tables of descriptors in memory, other layouts of
/// rings and their like are not looked through.
const ALLOWED: u64 = ((1 << TRANSPORT) - 1) | !((1 << DEVICE_AGAIN) - 1) | VERSION_1;

/// Types of devices whose requests hold no addresses but in descriptors: network, block,
/// console and entropy (Virtio 1.2, 5).
const TYPES: [u32; 4] = [1, 2, 3, 4];

/// How often a device that was reset is asked whether it has done so.
const PATIENCE: usize = 1 << 20;

/// Who makes the memory of a real queue.
pub trait RingMaker: Pinner {
    /// Zeroed memory of so many pages whose frames follow one another.
    fn contiguous(&mut self, pages: u64) -> Option<MemoryClient>;
}

impl RingMaker for libipc::objects::DmaClient {
    fn contiguous(&mut self, pages: u64) -> Option<MemoryClient> {
        self.create_contiguous(pages).ok()
    }
}

/// Memory of a real queue: where it is mapped, its frames, its pin.
#[derive(Debug)]
struct Rings {
    mapping: Rc<Mapping>,
    address: u64,
    pages: u64,
}

/// Who drives the device.
#[derive(Debug)]
struct Driver {
    badge: u64,
    endpoint: EndpointClient,
    signals: u64,
}

/// One device.
#[derive(Debug)]
pub struct Server<R, P> {
    registers: R,
    pinner: P,
    driver: Option<Driver>,
    space: Space,
    queues: Vec<Option<Queue>>,
    /// Memory of the real queues, kept for the next driver: it stays pinned.
    rings: Vec<Option<Rings>>,
}

impl<R: Registers, P: RingMaker> Server<R, P> {
    /// A device that nobody drives; it is reset.
    pub fn new(registers: R, pinner: P) -> Result<Self, VirtioError> {
        let mut server = Server {
            registers,
            pinner,
            driver: None,
            space: Space::new(),
            queues: Vec::new(),
            rings: Vec::new(),
        };
        server.reset()?;
        match TYPES.contains(&server.registers.device()) {
            true => Ok(server),
            false => Err(VirtioError::Device),
        }
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(
        &mut self,
        endpoint: &EndpointClient,
        interrupt: &InterruptClient,
    ) -> TransportError {
        if interrupt.bind(endpoint, INTERRUPT).is_err() {
            return TransportError::refused(Cause::Denied);
        }
        let mut receiver = Receiver::new(endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Signals(_)) => {
                    self.interrupted();
                    // Unmasked, the line interrupts again if the device has more.
                    let _ = interrupt.acknowledge();
                }
                Ok(Event::Message(message)) => {
                    let badge = message.badge();
                    let mut client = Client {
                        server: self,
                        badge,
                    };
                    message.dispatch::<dyn Virtio>(&mut client);
                }
                Ok(Event::Closed(badge)) => self.closed(badge),
                Err(error) => return error,
            }
        }
    }

    /// The device says that it has used something, or that it cannot go on.
    pub fn interrupted(&mut self) {
        self.registers.take_interrupt();
        if self.driver.is_none() {
            return;
        }
        match self.give_back() {
            Ok(true) => self.tell(),
            Ok(false) => {
                if self.registers.status() & status::NEEDS_RESET != 0 {
                    self.stop();
                }
            }
            Err(_) => self.stop(),
        }
    }

    /// Moves what was used, and what had no room before. Whether anything was used.
    fn give_back(&mut self) -> Result<bool, VirtioError> {
        let mut any = false;
        for (number, queue) in self.queues.iter_mut().enumerate() {
            let Some(queue) = queue else { continue };
            if queue.give_back()? {
                any = true;
                if queue.waits() && queue.forward(&self.space)? {
                    self.registers.notify(number as u16);
                }
            }
        }
        Ok(any)
    }

    fn tell(&self) {
        if let Some(driver) = &self.driver {
            // Who cannot be told is gone, and its end is on its way here.
            let _ = driver.endpoint.signal(driver.signals);
        }
    }

    /// Neither side can go on: the driver is told, and finds that it is not attached.
    fn stop(&mut self) {
        self.tell();
        // A device that does not even stop keeps what it has.
        let _ = self.reset();
    }

    /// Resets the device and lets go what it could reach. If it does not answer it
    /// keeps that.
    fn reset(&mut self) -> Result<(), VirtioError> {
        self.driver = None;
        self.registers.set_status(0);
        let mut asked = (0..PATIENCE).map(|_| self.registers.status());
        if asked.all(|status| status != 0) {
            return Err(VirtioError::Device);
        }
        self.queues.clear();
        self.space.clear(&mut self.pinner);
        Ok(())
    }

    /// A client is gone.
    pub fn closed(&mut self, badge: u64) {
        if self
            .driver
            .as_ref()
            .is_some_and(|driver| driver.badge == badge)
        {
            // A device that does not answer keeps what it has.
            let _ = self.reset();
        }
    }

    /// The status that the device has if all went as it must.
    fn expect(&self, wanted: u32) -> Result<(), VirtioError> {
        match self.registers.status() {
            status if status == wanted => Ok(()),
            status if status & status::NEEDS_RESET != 0 => Err(VirtioError::Device),
            _ => Err(VirtioError::WrongState),
        }
    }

    /// The memory of a real queue of this size, as it is after a reset.
    fn rings(&mut self, number: u16, size: u16) -> Result<(Rc<Mapping>, u64), VirtioError> {
        let none = VirtioError::NoResources;
        let bytes = layout(size).1;
        let pages = bytes.div_ceil(PAGE) as u64;
        let place = usize::from(number);
        if self.rings.len() <= place {
            self.rings.resize_with(place + 1, || None);
        }
        if let Some(rings) = self.rings[place]
            .as_ref()
            .filter(|rings| rings.pages == pages)
        {
            let zeros = [0; PAGE];
            for page in 0..pages as usize {
                let cleared = rings.mapping.copy_in(page * PAGE, &zeros);
                cleared.ok_or(none)?;
            }
            return Ok((rings.mapping.clone(), rings.address));
        }
        let memory = self.pinner.contiguous(pages).ok_or(none)?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE);
        let mapping = Rc::new(mapping.map_err(|_| none)?);
        let (_, frames) = self.pinner.pin(&memory).ok_or(none)?;
        let address = *frames.first().ok_or(none)?;
        self.rings[place] = Some(Rings {
            mapping: mapping.clone(),
            address,
            pages,
        });
        Ok((mapping, address))
    }
}

/// Where the parts of a real queue are in its memory, and how long that is.
fn layout(size: u16) -> (Place<usize>, usize) {
    let sizes = ring::sizes(size);
    let used = (sizes.descriptors + sizes.available).next_multiple_of(4);
    let place = Place {
        descriptors: 0,
        available: sizes.descriptors,
        used,
    };
    (place, used + sizes.used)
}

/// One call's view of the server: who calls.
#[derive(Debug)]
pub struct Client<'s, R, P> {
    server: &'s mut Server<R, P>,
    badge: u64,
}

impl<'s, R: Registers, P: RingMaker> Client<'s, R, P> {
    /// The view of the client with this badge.
    pub fn new(server: &'s mut Server<R, P>, badge: u64) -> Self {
        Client { server, badge }
    }

    /// The server, if the caller drives the device.
    fn attached(&mut self) -> Result<&mut Server<R, P>, VirtioError> {
        let driver = self.server.driver.as_ref();
        match driver.is_some_and(|driver| driver.badge == self.badge) {
            true => Ok(self.server),
            false => Err(VirtioError::NotAttached),
        }
    }
}

impl<R: Registers, P: RingMaker> Virtio for Client<'_, R, P> {
    fn attach(
        &mut self,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<VirtioInfo, VirtioError> {
        let server = &mut *self.server;
        server.reset()?;
        server.registers.set_status(status::ACKNOWLEDGE);
        server
            .registers
            .set_status(status::ACKNOWLEDGE | status::DRIVER);
        let features = server.registers.features();
        if features & VERSION_1 == 0 {
            return Err(VirtioError::Device);
        }
        server.driver = Some(Driver {
            badge: self.badge,
            endpoint,
            signals,
        });
        Ok(VirtioInfo {
            device: server.registers.device().into(),
            features: features & ALLOWED,
            max_size: MOST.into(),
        })
    }

    fn negotiate(&mut self, features: u64) -> Result<(), VirtioError> {
        let server = self.attached()?;
        server.expect(status::ACKNOWLEDGE | status::DRIVER)?;
        let there = server.registers.features() & ALLOWED;
        if features & !there != 0 || features & VERSION_1 == 0 {
            return Err(VirtioError::Feature);
        }
        server.registers.set_features(features);
        let wanted = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        server.registers.set_status(wanted);
        server.expect(wanted).map_err(|_| VirtioError::Feature)
    }

    fn config(&mut self, offset: u64, length: u64) -> Result<u64, VirtioError> {
        let server = self.attached()?;
        let none = VirtioError::NoSuchQueue;
        let offset = usize::try_from(offset).map_err(|_| none)?;
        if length > 8 {
            return Err(none);
        }
        let mut value = [0; 8];
        for (index, byte) in value.iter_mut().take(length as usize).enumerate() {
            let place = offset.checked_add(index).ok_or(none)?;
            *byte = server.registers.config(place).ok_or(none)?;
        }
        Ok(u64::from_le_bytes(value))
    }

    fn map(&mut self, address: u64, memory: MemoryClient) -> Result<(), VirtioError> {
        let server = self.attached()?;
        server.space.map(&mut server.pinner, address, memory)
    }

    fn unmap(&mut self, address: u64) -> Result<(), VirtioError> {
        let server = self.attached()?;
        let queues = &server.queues;
        let in_use = |region| queues.iter().flatten().any(|queue| queue.uses(region));
        server.space.unmap(&mut server.pinner, address, in_use)
    }

    fn set_queue(&mut self, queue: u64, shadow: VirtioQueue) -> Result<(), VirtioError> {
        let server = self.attached()?;
        server.expect(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK)?;
        let none = VirtioError::NoSuchQueue;
        let number = u16::try_from(queue).ok().filter(|&number| number < QUEUES);
        let number = number.ok_or(none)?;
        let size = u16::try_from(shadow.size).map_err(|_| none)?;
        if !size.is_power_of_two() || size > MOST {
            return Err(none);
        }
        let place = usize::from(number);
        if server.queues.get(place).is_some_and(Option::is_some) {
            return Err(VirtioError::WrongState);
        }
        // The real queue has room for chains that are not in one piece.
        let real_size = server.registers.queue_size(number).min(MOST.into());
        let real_size = u16::try_from(real_size).map_err(|_| none)?;
        let real_size = 1 << real_size.checked_ilog2().ok_or(none)?;

        let sizes = ring::sizes(size);
        let space = &mut server.space;
        let parts = Place {
            descriptors: space.share(shadow.descriptors, sizes.descriptors, 16)?,
            available: space.share(shadow.available, sizes.available, 2)?,
            used: space.share(shadow.used, sizes.used, 4)?,
        };
        let shadow = Ring::new(size, &parts).ok_or(VirtioError::BadAddress)?;
        let (mapping, address) = server.rings(number, real_size)?;
        let (parts, _) = layout(real_size);
        let part = |offset: usize| (mapping.clone(), offset);
        let place_of_parts = Place {
            descriptors: part(parts.descriptors),
            available: part(parts.available),
            used: part(parts.used),
        };
        let real = Ring::new(real_size, &place_of_parts).ok_or(VirtioError::NoResources)?;
        if server.queues.len() <= place {
            server.queues.resize_with(place + 1, || None);
        }
        server.queues[place] = Some(Queue::new(shadow, real));
        let physical = Place {
            descriptors: address,
            available: address + parts.available as u64,
            used: address + parts.used as u64,
        };
        server.registers.set_queue(number, real_size, physical);
        Ok(())
    }

    fn start(&mut self) -> Result<(), VirtioError> {
        let server = self.attached()?;
        let ready = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        server.expect(ready)?;
        server.registers.set_status(ready | status::DRIVER_OK);
        server.expect(ready | status::DRIVER_OK)
    }

    fn notify(&mut self, number: u64) -> Result<(), VirtioError> {
        let server = self.attached()?;
        let none = VirtioError::NoSuchQueue;
        let found = usize::try_from(number).ok();
        let found = found.and_then(|number| server.queues.get_mut(number)?.as_mut());
        let queue = found.ok_or(none)?;
        match queue.announced(&server.space) {
            Ok(true) => server.registers.notify(number as u16),
            Ok(false) => {}
            Err(error) => {
                server.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    fn detach(&mut self) -> Result<(), VirtioError> {
        self.attached()?.reset()
    }
}
