//! A virtio console (Virtio 1.2, 5.3), behind its proxy: bytes from the host.

use alloc::rc::Rc;
use libipc::{
    interfaces::virtio::VirtioClient, memory::Mapping, objects::EndpointClient, start::AnyError,
};
use tessera_virtio::driver::{Own, Proxied, Queue};
use virtio_drivers::transport::Transport;

/// The queue by which the first port receives, and its descriptors: one buffer at a time
/// is lent. Nothing is sent.
const RECEIVE: u16 = 0;
const DESCRIPTORS: usize = 4;

/// Bytes that are received at once.
pub const MOST: usize = 256;

/// The interface that is not the legacy one. Of the device's own features, several ports
/// are not asked for (5.3.3): then the first is there and open.
const VERSION_1: u64 = 1 << 32;

/// The device.
pub struct VirtioConsole {
    device: Proxied,
    queue: Queue<DESCRIPTORS>,
    /// Where it writes.
    bytes: Rc<Mapping>,
}

impl VirtioConsole {
    /// Sets the device up. The bits `signals` are set at the endpoint when bytes have
    /// come.
    pub fn new(
        proxy: VirtioClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<VirtioConsole, AnyError> {
        let mut device = Proxied::attach(proxy, endpoint, signals)?;
        device.write_driver_features(VERSION_1);
        let bytes = device.make_memory(1)?;
        let queue = Queue::new(&mut device, RECEIVE, bytes.clone()).map_err(AnyError::new);
        device.check()?;
        let queue = queue?;
        device.finish_init();
        device.check()?;
        let mut console = VirtioConsole {
            device,
            queue,
            bytes,
        };
        console.lend()?;
        Ok(console)
    }

    /// Lends the device the buffer.
    fn lend(&mut self) -> Result<(), AnyError> {
        let whole = Own {
            offset: 0,
            length: MOST,
        };
        // There is room: one buffer is all that is lent.
        let added = self.queue.add(None, None, Some(whole));
        added.ok_or_else(|| AnyError::new("the queue is full"))?;
        Ok(self.device.announce(RECEIVE)?)
    }

    /// What has come, and how much; `None` if nothing has.
    pub fn receive(&mut self, into: &mut [u8; MOST]) -> Result<Option<usize>, AnyError> {
        let Some((_, count)) = self.queue.pop() else {
            // A device that signals for nothing may have been stopped, and says so here.
            self.device.announce(RECEIVE)?;
            return Ok(None);
        };
        let copied = self.bytes.copy_out(0, into);
        copied.ok_or_else(|| AnyError::new("no memory"))?;
        self.lend()?;
        match count as usize {
            count if count <= MOST => Ok(Some(count)),
            _ => Err(AnyError::new("the device says more than there is room for")),
        }
    }
}
