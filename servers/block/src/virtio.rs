//! A virtio block device (Virtio 1.2, 5.2), behind its proxy.

use crate::disk::{Disk, Transfer};
use alloc::{collections::VecDeque, rc::Rc, vec::Vec};
use libipc::{
    PAGE,
    interfaces::{
        block::{BlockAction, BlockError, Geometry, SECTOR},
        virtio::VirtioClient,
    },
    memory::{Cells, Mapping},
    objects::{EndpointClient, MemoryClient},
    start::AnyError,
};
use tessera_virtio::driver::{Data, Own, Proxied, Queue};
use virtio_drivers::transport::Transport;

/// The device's only queue that is used, and its descriptors: each request has three.
const QUEUE: u16 = 0;
const DESCRIPTORS: usize = 128;
/// Requests under way.
const SLOTS: usize = DESCRIPTORS / 3;

/// Features (5.2.3, 6).
mod feature {
    pub(super) const SEGMENTS: u64 = 1 << 2;
    pub(super) const READ_ONLY: u64 = 1 << 5;
    pub(super) const BLOCK_SIZE: u64 = 1 << 6;
    pub(super) const FLUSH: u64 = 1 << 9;
    pub(super) const VERSION_1: u64 = 1 << 32;
}

/// Places in the configuration (5.2.4).
mod config {
    pub(super) const CAPACITY: usize = 0;
    pub(super) const SEGMENTS: usize = 12;
    pub(super) const BLOCK_SIZE: usize = 20;
}

/// A request's header: type, nothing, sector (5.2.6).
const HEADER: usize = 16;
/// The header and the status that the device writes, which begins behind it.
const SLOT: usize = 32;

/// Most sectors of a request, if the device takes as many pieces.
const MOST_SECTORS: u64 = 256;
/// Sectors of a page of memory, which may be a piece by itself.
const PAGE_SECTORS: u64 = 8;

/// A disk behind a proxy.
pub struct VirtioDisk {
    device: Proxied,
    queue: Queue<DESCRIPTORS>,
    /// Its own memory: a slot for each request under way.
    slots: Cells<u64>,
    geometry: Geometry,
    /// The number of each request, by its number in the queue.
    numbers: Vec<usize>,
    /// What ends without the device.
    ended: VecDeque<(usize, Result<(), BlockError>)>,
}

impl VirtioDisk {
    /// Sets the device up. The bits `signals` are set at the endpoint when it has
    /// done something.
    pub fn new(
        proxy: VirtioClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<VirtioDisk, AnyError> {
        let mut device = Proxied::attach(proxy, endpoint, signals)?;
        let wanted = feature::SEGMENTS
            | feature::READ_ONLY
            | feature::BLOCK_SIZE
            | feature::FLUSH
            | feature::VERSION_1;
        let features: u64 = begin(&mut device, wanted);
        let own = device.make_memory(1)?;
        let slots = Cells::new(&own, 0, PAGE / 8);
        let slots = slots.ok_or_else(|| AnyError::new("no memory"))?;
        let queue = Queue::new(&mut device, QUEUE, own).map_err(AnyError::new);
        device.check()?;
        let queue = queue?;
        let geometry = geometry(&device, features)?;
        device.finish_init();
        device.check()?;
        Ok(VirtioDisk {
            device,
            queue,
            slots,
            geometry,
            numbers: alloc::vec![0; DESCRIPTORS],
            ended: VecDeque::new(),
        })
    }
}

/// Agrees on features.
fn begin(device: &mut Proxied, wanted: u64) -> u64 {
    let features = device.features() & wanted;
    device.write_driver_features(features);
    features
}

fn geometry(device: &Proxied, features: u64) -> Result<Geometry, AnyError> {
    let number = |offset| device.read_config_space::<u32>(offset);
    let pieces = match features & feature::SEGMENTS {
        0 => 1,
        _ => number(config::SEGMENTS).map_err(AnyError::new)?,
    };
    let block = match features & feature::BLOCK_SIZE {
        0 => SECTOR as u32,
        _ => number(config::BLOCK_SIZE).map_err(AnyError::new)?,
    };
    // One piece more, if they begin within a page.
    let sectors = u64::from(pieces).saturating_sub(1) * PAGE_SECTORS;
    Ok(Geometry {
        sectors: device
            .read_config_space(config::CAPACITY)
            .map_err(AnyError::new)?,
        block: u64::from(block).max(SECTOR as u64),
        read_only: features & feature::READ_ONLY != 0,
        exclusive: false,
        volatile_cache: features & feature::FLUSH != 0,
        max_sectors: sectors.clamp(1, MOST_SECTORS),
        max_requests: 32,
        max_memories: 16,
    })
}

impl Disk for VirtioDisk {
    type Memory = Rc<Mapping>;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn register(&mut self, memory: MemoryClient) -> Result<(Rc<Mapping>, u64), BlockError> {
        let mapping = self.device.map(memory);
        let mapping = mapping.map_err(|_| BlockError::NoResources)?;
        let length = mapping.len() as u64;
        Ok((mapping, length))
    }

    fn unregister(&mut self, memory: Rc<Mapping>) {
        // Nothing that uses it is under way. If the proxy has stopped the device, the
        // next request finds out.
        let _ = self.device.unmap(&memory);
    }

    fn take(&mut self, number: usize, transfer: Transfer, memory: Option<&Rc<Mapping>>) -> bool {
        if transfer.action == BlockAction::Flush && !self.geometry.volatile_cache {
            self.ended.push_back((number, Ok(())));
            return true;
        }
        if number >= SLOTS {
            return false;
        }
        let slot = number * SLOT;
        let (kind, data_written) = match transfer.action {
            BlockAction::Read => (0, true),
            BlockAction::Write => (1, false),
            BlockAction::Flush => (4, false),
        };
        let words = slot / 8;
        let written = [
            self.slots.set(words, kind),
            self.slots.set(words + 1, transfer.sector),
            // None of those that a device writes.
            self.slots.set(words + 2, u64::MAX),
        ];
        debug_assert!(
            written.iter().all(Option::is_some),
            "a page holds all slots"
        );
        let data = memory.map(|memory| Data {
            memory: memory.clone(),
            offset: transfer.offset as usize,
            length: transfer.count as usize * SECTOR,
            written: data_written,
        });
        let header = Own {
            offset: slot,
            length: HEADER,
        };
        let status = Own {
            offset: slot + HEADER,
            length: 1,
        };
        let added = self.queue.add(Some(header), data, Some(status));
        let Some(added) = added else {
            return false;
        };
        self.numbers[usize::from(added)] = number;
        true
    }

    fn begin(&mut self) -> Result<bool, AnyError> {
        self.device.announce(QUEUE)?;
        Ok(!self.ended.is_empty())
    }

    fn ended(&mut self) -> Option<(usize, Result<(), BlockError>)> {
        if let Some(ended) = self.ended.pop_front() {
            return Some(ended);
        }
        let number = self.numbers[usize::from(self.queue.pop()?.0)];
        let status = self.slots.get((number * SLOT + HEADER) / 8);
        let result = match status.map(|status| status as u8) {
            Some(0) => Ok(()),
            _ => Err(BlockError::Io),
        };
        Some((number, result))
    }
}
