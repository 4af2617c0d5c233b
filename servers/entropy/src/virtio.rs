//! A virtio entropy device (Virtio 1.2, 5.4), behind its proxy.

use crate::source::{MOST, Source};
use alloc::rc::Rc;
use libipc::{
    interfaces::virtio::VirtioClient, memory::Mapping, objects::EndpointClient, start::AnyError,
};
use tessera_virtio::driver::{Own, Proxied, Queue};
use virtio_drivers::transport::Transport;

/// The device's only queue, and its descriptors: each request has one, and there is
/// one request.
const QUEUE: u16 = 0;
const DESCRIPTORS: usize = 4;

/// The interface that is not the legacy one; the device has no features of its own.
const VERSION_1: u64 = 1 << 32;

/// The device.
pub struct VirtioEntropy {
    device: Proxied,
    queue: Queue<DESCRIPTORS>,
    /// Where it writes.
    bytes: Rc<Mapping>,
}

impl VirtioEntropy {
    /// Sets the device up. The bits `signals` are set at the endpoint when it has
    /// done something.
    pub fn new(
        proxy: VirtioClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<VirtioEntropy, AnyError> {
        let mut device = Proxied::attach(proxy, endpoint, signals)?;
        device.write_driver_features(VERSION_1);
        let bytes = device.make_memory(1)?;
        let queue = Queue::new(&mut device, QUEUE, bytes.clone()).map_err(AnyError::new);
        device.check()?;
        let queue = queue?;
        device.finish_init();
        device.check()?;
        Ok(VirtioEntropy {
            device,
            queue,
            bytes,
        })
    }
}

impl Source for VirtioEntropy {
    fn ask(&mut self) -> Result<(), AnyError> {
        let whole = Own {
            offset: 0,
            length: MOST,
        };
        // There is room: one request at a time is under way.
        let added = self.queue.add(None, None, Some(whole));
        added.ok_or_else(|| AnyError::new("the queue is full"))?;
        Ok(self.device.announce(QUEUE)?)
    }

    fn answer(&mut self, into: &mut [u8; MOST]) -> Result<Option<usize>, AnyError> {
        let Some((_, count)) = self.queue.pop() else {
            // A device that signals for nothing may have been stopped, and says so here.
            self.device.announce(QUEUE)?;
            return Ok(None);
        };
        let copied = self.bytes.copy_out(0, into);
        // Nobody finds them there, nor takes them for new ones.
        let cleared = self.bytes.copy_in(0, &[0; MOST]);
        copied
            .and(cleared)
            .ok_or_else(|| AnyError::new("no memory"))?;
        Ok(Some(count as usize))
    }
}
