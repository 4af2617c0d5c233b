//! A virtio network device (Virtio 1.2, 5.1), behind its proxy.

use crate::device::Device;
use alloc::{rc::Rc, vec, vec::Vec};
use libipc::{
    interfaces::{
        link::{HEADROOM, LinkError, LinkInfo, MAX_FRAME, SLOT},
        virtio::VirtioClient,
    },
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
};
use tessera_virtio::driver::{Data, Proxied, Queue};
use virtio_drivers::transport::Transport;

/// Its queues, and their descriptors: each frame has one.
const RECEIVE: u16 = 0;
const SEND: u16 = 1;
const DESCRIPTORS: usize = 128;

/// Features (5.1.3, 6).
mod feature {
    pub(super) const MAC: u64 = 1 << 5;
    pub(super) const VERSION_1: u64 = 1 << 32;
}

/// Most memory that frames are in.
const MOST: usize = 4 << 20;

/// The device.
pub struct VirtioNet {
    proxy: Option<VirtioClient>,
    started: Option<Started>,
}

/// A device that runs.
struct Started {
    device: Proxied,
    /// None while it is being reset.
    queues: Option<Queues>,
}

struct Queues {
    receive: Queue<DESCRIPTORS>,
    send: Queue<DESCRIPTORS>,
    /// The slot of each descriptor.
    receiving: Vec<u16>,
    sending: Vec<u16>,
    /// Something was taken and not begun.
    receive_more: bool,
    send_more: bool,
    memory: Rc<Mapping>,
}

impl VirtioNet {
    /// A device that is set up when somebody attaches.
    pub fn new(proxy: VirtioClient) -> Self {
        VirtioNet {
            proxy: Some(proxy),
            started: None,
        }
    }

    fn queues(&mut self) -> Option<&mut Queues> {
        self.started.as_mut()?.queues.as_mut()
    }
}

impl Device for VirtioNet {
    fn start(
        &mut self,
        memory: MemoryClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<(LinkInfo, usize), LinkError> {
        let failed = |_| LinkError::Device;
        let started = match self.started.take() {
            Some(mut started) => {
                let again = started.device.attach_again(endpoint, signals);
                started.queues = None;
                let started = self.started.insert(started);
                again.map_err(failed)?;
                started
            }
            None => {
                let proxy = self.proxy.take().ok_or(LinkError::Device)?;
                let device = Proxied::attach(proxy, endpoint, signals).map_err(failed)?;
                let queues = None;
                self.started.insert(Started { device, queues })
            }
        };
        started.start(memory)
    }

    fn stop(&mut self) {
        if let Some(started) = &mut self.started {
            // A proxy that cannot do this is gone, or keeps what a device that does not
            // stop may still reach.
            let _ = started.device.detach();
            started.queues = None;
        }
    }

    fn receive(&mut self, slot: u16) -> bool {
        let Some(queues) = self.queues() else {
            return false;
        };
        let room = queues.data(slot, HEADROOM + MAX_FRAME, true);
        let Some(number) = queues.receive.add(None, Some(room), None) else {
            return false;
        };
        queues.receiving[usize::from(number)] = slot;
        queues.receive_more = true;
        true
    }

    fn send(&mut self, slot: u16, length: u16) -> bool {
        let Some(queues) = self.queues() else {
            return false;
        };
        // A header without offloads is zeros (5.1.6).
        let cleared = queues
            .memory
            .copy_in(usize::from(slot) * SLOT, &[0; HEADROOM]);
        let frame = queues.data(slot, HEADROOM + usize::from(length), false);
        let added = cleared.and_then(|()| queues.send.add(None, Some(frame), None));
        let Some(number) = added else {
            return false;
        };
        queues.sending[usize::from(number)] = slot;
        queues.send_more = true;
        true
    }

    fn begin(&mut self) -> Result<(), LinkError> {
        let Some(Started { device, queues }) = self.started.as_mut() else {
            return Err(LinkError::Device);
        };
        let queues = queues.as_mut().ok_or(LinkError::Device)?;
        for (more, number) in [
            (&mut queues.receive_more, RECEIVE),
            (&mut queues.send_more, SEND),
        ] {
            if core::mem::take(more) {
                device.announce(number).map_err(|_| LinkError::Device)?;
            }
        }
        Ok(())
    }

    fn received(&mut self) -> Option<(u16, u16)> {
        let queues = self.queues()?;
        let (number, written) = queues.receive.pop()?;
        let slot = queues.receiving[usize::from(number)];
        // The proxy lets the device say no more than there was room for.
        let length = (written as usize).saturating_sub(HEADROOM);
        Some((slot, length.min(MAX_FRAME) as u16))
    }

    fn sent(&mut self) -> Option<u16> {
        let queues = self.queues()?;
        let (number, _) = queues.send.pop()?;
        Some(queues.sending[usize::from(number)])
    }

    fn await_sent(&mut self) -> Result<(), LinkError> {
        let Some(Started { device, queues }) = self.started.as_mut() else {
            return Err(LinkError::Device);
        };
        let queues = queues.as_mut().ok_or(LinkError::Device)?;
        // What was sent before the device learns of this shows when it does.
        queues.send.set_told(true);
        let announced = device.announce(SEND).map_err(|_| LinkError::Device);
        queues.send.set_told(false);
        announced
    }
}

impl Started {
    /// Sets the device up after it was reset.
    fn start(&mut self, memory: MemoryClient) -> Result<(LinkInfo, usize), LinkError> {
        let failed = |_| LinkError::Device;
        let device = &mut self.device;
        let features = device.features() & (feature::MAC | feature::VERSION_1);
        device.write_driver_features(features);
        let pages = memory.pages().map_err(|_| LinkError::BadMemory)?;
        if pages > (MOST / libipc::PAGE) as u64 {
            return Err(LinkError::BadMemory);
        }
        let memory = device.map(memory).map_err(|_| LinkError::BadMemory)?;
        let receive = Queue::new(device, RECEIVE, memory.clone());
        let mut send = Queue::new(device, SEND, memory.clone()).map_err(failed)?;
        send.set_told(false);
        let mac = match features & feature::MAC {
            0 => [0; 6],
            _ => device.read_config_space(0).map_err(failed)?,
        };
        device.finish_init();
        device.check().map_err(|_| LinkError::Device)?;
        let bytes = memory.len();
        self.queues = Some(Queues {
            receive: receive.map_err(failed)?,
            send,
            receiving: vec![0; DESCRIPTORS],
            sending: vec![0; DESCRIPTORS],
            receive_more: false,
            send_more: false,
            memory,
        });
        let info = LinkInfo {
            mac: mac
                .iter()
                .fold(0, |mac, byte: &u8| mac << 8 | u64::from(*byte)),
            most_receiving: DESCRIPTORS as u64,
            most_sending: DESCRIPTORS as u64,
        };
        Ok((info, bytes))
    }
}

impl Queues {
    fn data(&self, slot: u16, length: usize, written: bool) -> Data {
        Data {
            memory: self.memory.clone(),
            offset: usize::from(slot) * SLOT,
            length,
            written,
        }
    }
}
