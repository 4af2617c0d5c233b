//! The proxy between a driver that writes what it likes and a device that says what it
//! likes.

use libipc::{
    PAGE, fake,
    handle::Rights,
    interfaces::virtio::{Virtio, VirtioError, VirtioQueue},
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
    time::Instant,
};
use std::{cell::RefCell, rc::Rc};
use tessera_virtio::proxy::{
    Registers,
    ring::{Descriptor, NEXT, Place, Ring, WRITE},
    server::{Client, RingMaker, Server},
    space::Pinner,
};

/// What the device was told, and the memory of the real queue.
#[derive(Default)]
struct State {
    status: u32,
    features: u64,
    notified: u32,
    place: Place<u64>,
    size: u16,
    rings: Vec<(u64, MemoryClient)>,
    pins: u64,
    pinned: i64,
    /// It does not stop when it is told to.
    stuck: bool,
}

#[derive(Clone, Default)]
struct Device(Rc<RefCell<State>>);

const OFFERED: u64 = 1 << 32 | 1 << 28 | 1 << 29 | 1 << 9;

impl Registers for Device {
    fn device(&self) -> u32 {
        2
    }
    fn features(&self) -> u64 {
        OFFERED
    }
    fn set_features(&mut self, features: u64) {
        self.0.borrow_mut().features = features;
    }
    fn status(&self) -> u32 {
        self.0.borrow().status
    }
    fn set_status(&mut self, status: u32) {
        let mut state = self.0.borrow_mut();
        if !state.stuck {
            state.status = status;
        }
    }
    fn queue_size(&mut self, queue: u16) -> u32 {
        if queue == 0 { 8 } else { 0 }
    }
    fn set_queue(&mut self, _: u16, size: u16, place: Place<u64>) {
        let mut state = self.0.borrow_mut();
        (state.size, state.place) = (size, place);
    }
    fn notify(&mut self, _: u16) {
        self.0.borrow_mut().notified += 1;
    }
    fn take_interrupt(&mut self) -> u32 {
        1
    }
    fn config(&self, offset: usize) -> Option<u8> {
        (offset < 8).then_some(offset as u8)
    }
}

/// Where the frames of the memory with this pin are: every second one is elsewhere.
fn frame(pin: u64, page: u64) -> u64 {
    let gap = if page % 4 < 2 { 0 } else { 1 << 20 };
    0x8000_0000 + (pin << 24) + gap + page * PAGE as u64
}

impl Pinner for Device {
    fn pin(&mut self, memory: &MemoryClient) -> Option<(u64, Vec<u64>)> {
        let mut state = self.0.borrow_mut();
        state.pins += 1;
        state.pinned += 1;
        let pin = state.pins;
        let pages = memory.pages().ok()?;
        Some((pin, (0..pages).map(|page| frame(pin, page)).collect()))
    }
    fn unpin(&mut self, _: u64) {
        self.0.borrow_mut().pinned -= 1;
    }
}

impl RingMaker for Device {
    fn contiguous(&mut self, pages: u64) -> Option<MemoryClient> {
        let memory = libipc::task().create_memory(pages).ok()?;
        let copy = memory.as_ref().copy().ok()?.into();
        let mut state = self.0.borrow_mut();
        let address = frame(state.pins + 1, 0);
        state.rings.push((address, copy));
        Some(memory)
    }
}

fn mapping(memory: &MemoryClient) -> Rc<Mapping> {
    Rc::new(Mapping::new(memory, Rights::READ | Rights::WRITE).unwrap())
}

/// A device with a driver: its queue of four descriptors is at `QUEUE`, and memory of
/// four pages, with the pin 2, at `DATA`.
struct Bench {
    device: Device,
    server: Server<Device, Device>,
    told: EndpointClient,
    shadow: Ring,
    available: u16,
}

const DRIVER: u64 = 3;
const QUEUE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const END: u64 = DATA + 4 * PAGE as u64;

impl Bench {
    fn new() -> Bench {
        let device = Device::default();
        let mut server = Server::new(device.clone(), device.clone()).unwrap();
        let told = fake::endpoint();
        let own = libipc::task().create_memory(1).unwrap();
        let ring = mapping(&own);
        let at = |offset| (ring.clone(), offset);
        let shadow = Place {
            descriptors: at(0),
            available: at(256),
            used: at(512),
        };
        let signal = told
            .as_ref()
            .derive(Rights::SIGNAL | Rights::GRANT)
            .unwrap();
        let mut driver = Client::new(&mut server, DRIVER);
        driver.attach(signal.into(), 4).unwrap();
        driver.negotiate(1 << 32 | 1 << 9).unwrap();
        driver.map(QUEUE, own).unwrap();
        let data = libipc::task().create_memory(4).unwrap();
        driver.map(DATA, data).unwrap();
        let queue = VirtioQueue {
            size: 4,
            descriptors: QUEUE,
            available: QUEUE + 256,
            used: QUEUE + 512,
        };
        driver.set_queue(0, queue).unwrap();
        driver.start().unwrap();
        Bench {
            shadow: Ring::new(4, &shadow).unwrap(),
            device,
            server,
            told,
            available: 0,
        }
    }

    fn driver(&mut self) -> Client<'_, Device, Device> {
        Client::new(&mut self.server, DRIVER)
    }

    /// The real queue, as the device sees it.
    fn real(&self) -> Ring {
        let state = self.device.0.borrow();
        let (address, memory) = state.rings.last().unwrap();
        let ring = mapping(memory);
        let at = |part: u64| (ring.clone(), (part - address) as usize);
        let place = Place {
            descriptors: at(state.place.descriptors),
            available: at(state.place.available),
            used: at(state.place.used),
        };
        Ring::new(state.size, &place).unwrap()
    }

    /// Makes a chain of descriptors available that begins with the first one.
    fn offer(&mut self, chain: &[Descriptor]) -> Result<(), VirtioError> {
        for (index, descriptor) in chain.iter().enumerate() {
            self.shadow
                .set_descriptor(index as u16, *descriptor)
                .unwrap();
        }
        self.shadow.set_available_at(self.available, 0).unwrap();
        self.available += 1;
        self.shadow.set_available(self.available).unwrap();
        self.driver().notify(0)
    }

    /// The device says that it has used a chain, as its so-and-so-many-th.
    fn used(&mut self, count: u16, head: u16, length: u32) {
        let real = self.real();
        real.set_used_at(count - 1, head, length).unwrap();
        real.set_used(count).unwrap();
        self.server.interrupted();
    }

    fn is_told(&self) -> bool {
        let mut receiver = Receiver::new(&self.told);
        matches!(receiver.wait(Instant::PAST), Ok(Event::Signals(4)))
    }
}

fn part(address: u64, length: u32, flags: u16) -> Descriptor {
    Descriptor {
        address,
        length,
        flags,
        next: 1,
    }
}

#[test]
fn a_driver_without_interrupts_learns_what_was_used_when_it_announces() {
    let mut bench = Bench::new();
    bench.shadow.set_silent(true).unwrap();
    bench.offer(&[part(DATA, 16, 0)]).unwrap();
    let real = bench.real();
    assert_eq!(real.is_silent(), Some(true));
    // The device uses it and interrupts nobody.
    real.set_used_at(0, 0, 0).unwrap();
    real.set_used(1).unwrap();
    assert_eq!(bench.shadow.used(), Some(0));
    bench.driver().notify(0).unwrap();
    assert_eq!(bench.shadow.used(), Some(1));
    // One that wants them again misses nothing in between.
    bench.offer(&[part(DATA, 16, 0)]).unwrap();
    real.set_used_at(1, 0, 0).unwrap();
    real.set_used(2).unwrap();
    bench.shadow.set_silent(false).unwrap();
    bench.driver().notify(0).unwrap();
    assert_eq!(
        (real.is_silent(), bench.shadow.used()),
        (Some(false), Some(2))
    );
    bench.offer(&[part(DATA, 16, 0)]).unwrap();
    bench.used(3, 0, 0);
    assert!(bench.is_told());
}

#[test]
fn a_chain_is_translated_and_comes_back() {
    let mut bench = Bench::new();
    let last = Descriptor {
        next: 2,
        ..part(DATA + 100, 3 * 4096, WRITE | NEXT)
    };
    let chain = [part(DATA + 16, 16, NEXT), last, part(END - 1, 1, WRITE)];
    bench.offer(&chain).unwrap();
    let real = bench.real();
    assert_eq!((real.available(), real.available_at(0)), (Some(1), Some(0)));
    // Frames that follow one another are one piece.
    let expected = [
        (frame(2, 0) + 16, 16, NEXT),
        (frame(2, 0) + 100, 2 * 4096 - 100, WRITE | NEXT),
        (frame(2, 2), 4096 + 100, WRITE | NEXT),
        (frame(2, 3) + 4095, 1, WRITE),
    ];
    for (index, (address, length, flags)) in expected.into_iter().enumerate() {
        let is = real.descriptor(index as u16).unwrap();
        assert_eq!((is.address, is.length, is.flags), (address, length, flags));
        assert_eq!(is.next, index as u16 + 1);
    }
    assert_eq!(bench.device.0.borrow().notified, 1);
    assert!(!bench.is_told());
    // While the device may write there, it stays.
    assert_eq!(bench.driver().unmap(DATA), Err(VirtioError::InUse));
    bench.used(1, 0, 12_289);
    assert!(bench.is_told());
    assert_eq!(bench.shadow.used(), Some(1));
    assert_eq!(bench.shadow.used_at(0), Some((0, 12_289)));
    assert_eq!(bench.driver().unmap(DATA), Ok(()));
    assert_eq!(bench.driver().unmap(DATA), Err(VirtioError::BadAddress));
    // A queue is there for good.
    assert_eq!(bench.driver().unmap(QUEUE), Err(VirtioError::InUse));
}

#[test]
fn descriptors_that_lead_elsewhere_stop_the_device_and_never_reach_it() {
    let next = |next, one: Descriptor| Descriptor { next, ..one };
    let bad: &[&[Descriptor]] = &[
        // Nothing is there: the kernel, the frames of this very memory, the end.
        &[part(0x4020_0000, 16, 0)],
        &[part(frame(2, 0), 16, WRITE)],
        &[part(END, 1, WRITE)],
        &[part(QUEUE - 1, 1, 0)],
        &[part(0, 16, 0)],
        // It goes past the end, or round the end of all addresses.
        &[part(DATA - 8, 16, 0)],
        &[part(END - 8, 16, 0)],
        &[part(DATA, u32::MAX, WRITE)],
        &[part(u64::MAX - 7, 16, 0)],
        // It is empty.
        &[part(DATA, 0, WRITE)],
        // A table of descriptors elsewhere, or flags that nobody knows.
        &[part(DATA, 16, 4)],
        &[part(DATA, 16, 8 | WRITE)],
        // It has no end, or goes on outside the table.
        &[next(0, part(DATA, 16, NEXT))],
        &[part(DATA, 16, NEXT), next(0, part(DATA, 16, NEXT))],
        &[next(4, part(DATA, 16, NEXT))],
        &[next(u16::MAX, part(DATA, 16, NEXT))],
        // The device would write before it reads.
        &[part(DATA, 16, WRITE | NEXT), part(DATA, 16, 0)],
        // All is well but for the last one.
        &[part(DATA, 16, NEXT), part(END, 16, WRITE)],
    ];
    for (number, chain) in bad.iter().enumerate() {
        let mut bench = Bench::new();
        let real = bench.real();
        assert_eq!(
            bench.offer(chain),
            Err(VirtioError::BadDescriptor),
            "{number}"
        );
        assert_eq!(real.available(), Some(0), "{number}");
        let state = bench.device.0.borrow();
        assert_eq!((state.notified, state.status), (0, 0), "{number}");
        // All but the ring's own memory was let go.
        assert_eq!(state.pinned, 1, "{number}");
        drop(state);
        assert!(bench.is_told());
        assert_eq!(bench.driver().notify(0), Err(VirtioError::NotAttached));
    }
}

#[test]
fn more_than_the_table_holds_is_never_available() {
    let mut bench = Bench::new();
    bench.available = 4;
    let one = [part(DATA, 16, 0)];
    assert_eq!(bench.offer(&one), Err(VirtioError::BadDescriptor));
}

#[test]
fn what_has_no_room_waits() {
    let mut bench = Bench::new();
    // Four pages are two pieces, so four chains of two parts have no room at once.
    let chain = [part(DATA, 4 * 4096, WRITE | NEXT), part(DATA, 4096, WRITE)];
    for _ in 0..4 {
        bench.offer(&chain).unwrap();
    }
    assert_eq!(bench.real().available(), Some(2));
    bench.used(1, 3, 0);
    assert_eq!(bench.real().available(), Some(3));
    bench.used(2, 0, 0);
    assert_eq!(bench.real().available(), Some(4));
    assert_eq!(bench.shadow.used(), Some(2));
    assert_eq!(bench.device.0.borrow().notified, 4);
}

#[test]
fn a_device_that_uses_what_nobody_offered_is_stopped() {
    for (head, length) in [(1, 0), (8, 0), (u16::MAX, 0), (0, 17)] {
        let mut bench = Bench::new();
        bench.offer(&[part(DATA, 16, WRITE)]).unwrap();
        bench.used(1, head, length);
        assert!(bench.is_told());
        assert_eq!(bench.shadow.used(), Some(0), "{head} {length}");
        assert_eq!(bench.driver().notify(0), Err(VirtioError::NotAttached));
    }
    // Nor is anything used twice.
    let mut bench = Bench::new();
    bench.offer(&[part(DATA, 16, WRITE)]).unwrap();
    bench.used(1, 0, 16);
    bench.used(2, 0, 16);
    assert_eq!(bench.driver().notify(0), Err(VirtioError::NotAttached));
}

#[test]
fn memory_is_where_nothing_else_is() {
    let mut bench = Bench::new();
    let bad = Err(VirtioError::BadAddress);
    let two = || libipc::task().create_memory(2).unwrap();
    for address in [0, 1, DATA + 4096, DATA - 4096, END - 4096, u64::MAX - 4095] {
        assert_eq!(bench.driver().map(address, two()), bad, "{address:#x}");
    }
    assert_eq!(bench.driver().map(END, two()), Ok(()));
    assert_eq!(bench.driver().map(DATA - 8192, two()), Ok(()));
    // Parts of one request lie in one memory each.
    let across = [part(END - 8, 16, WRITE)];
    assert_eq!(bench.offer(&across), Err(VirtioError::BadDescriptor));
}

#[test]
fn only_who_attached_last_drives() {
    let mut bench = Bench::new();
    let gone = Err(VirtioError::NotAttached);
    let mut other = Client::new(&mut bench.server, 9);
    assert_eq!(other.notify(0), gone);
    assert_eq!(other.config(0, 1).map(drop), gone);
    assert_eq!(
        other.attach(fake::endpoint(), 1).map(|info| info.features),
        Ok(1 << 32 | 1 << 9)
    );
    assert_eq!(bench.driver().notify(0), gone);
    assert_eq!(bench.device.0.borrow().pinned, 1);
    // The end of who no longer drives means nothing; that of who does resets.
    bench.server.closed(DRIVER);
    assert_eq!(bench.device.status(), 3);
    bench.server.closed(9);
    assert_eq!(bench.device.status(), 0);
}

#[test]
fn who_lets_the_device_go_leaves_nothing_there() {
    let mut bench = Bench::new();
    assert_eq!(
        Client::new(&mut bench.server, 9).detach(),
        Err(VirtioError::NotAttached)
    );
    assert_eq!(bench.driver().detach(), Ok(()));
    assert_eq!(bench.device.status(), 0);
    // The memory of the real queue, which is the proxy's own.
    assert_eq!(bench.device.0.borrow().pinned, 1);
    assert_eq!(bench.driver().notify(0), Err(VirtioError::NotAttached));
}

#[test]
fn features_are_those_that_are_looked_through() {
    let mut bench = Bench::new();
    let mut driver = bench.driver();
    driver.attach(fake::endpoint(), 1).unwrap();
    for features in [
        1 << 32 | 1 << 28,
        1 << 32 | 1 << 29,
        1 << 9,
        1 << 32 | 1 << 5,
    ] {
        assert_eq!(driver.negotiate(features), Err(VirtioError::Feature));
    }
    assert_eq!(driver.config(6, 2), Ok(0x0706));
    assert_eq!(driver.config(7, 2), Err(VirtioError::NoSuchQueue));
    assert_eq!(driver.config(0, 9), Err(VirtioError::NoSuchQueue));
    assert_eq!(driver.start(), Err(VirtioError::WrongState));
    assert_eq!(driver.notify(0), Err(VirtioError::NoSuchQueue));
    assert_eq!(
        driver.set_queue(0, VirtioQueue::default()),
        Err(VirtioError::WrongState)
    );
    driver.negotiate(1 << 32).unwrap();
    let queue = |size, descriptors| VirtioQueue {
        size,
        descriptors,
        available: descriptors,
        used: descriptors,
    };
    for size in [0, 3, 2048, 1 << 20] {
        assert_eq!(
            driver.set_queue(0, queue(size, DATA)),
            Err(VirtioError::NoSuchQueue)
        );
    }
    assert_eq!(
        driver.set_queue(1, queue(4, DATA)),
        Err(VirtioError::NoSuchQueue)
    );
    assert_eq!(
        driver.set_queue(0, queue(4, DATA)),
        Err(VirtioError::BadAddress)
    );
}

#[test]
fn a_device_that_does_not_stop_keeps_what_it_has() {
    let mut bench = Bench::new();
    bench.device.0.borrow_mut().stuck = true;
    let attached = bench.driver().attach(fake::endpoint(), 1);
    assert_eq!(attached.map(drop), Err(VirtioError::Device));
    assert_eq!(bench.device.0.borrow().pinned, 3);
}
