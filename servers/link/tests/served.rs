//! The driver's server over a device that does what it is told, and what it is not.

use libipc::{
    fake,
    interfaces::link::{Frame, Frames, Link, LinkError, LinkInfo, MAX_FRAME, SLOT},
    objects::{EndpointClient, MemoryClient},
};
use std::{cell::RefCell, collections::VecDeque, rc::Rc};
use tessera_link::{
    device::Device,
    server::{Client, Server},
};

#[derive(Default)]
struct State {
    begun: VecDeque<u16>,
    received: VecDeque<(u16, u16)>,
    sent: VecDeque<u16>,
    room: usize,
    starts: usize,
    /// What the client gave it.
    memory: Option<MemoryClient>,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

impl Device for Fake {
    fn start(
        &mut self,
        memory: MemoryClient,
        _: EndpointClient,
        _: u64,
    ) -> Result<(LinkInfo, usize), LinkError> {
        let mut state = self.0.borrow_mut();
        (state.starts, state.room) = (state.starts + 1, 4);
        let pages = memory.pages().unwrap() as usize;
        state.memory = Some(memory);
        Ok((LinkInfo::default(), pages * libipc::PAGE))
    }
    fn stop(&mut self) {
        self.0.borrow_mut().memory = None;
    }
    fn receive(&mut self, slot: u16) -> bool {
        self.send(slot, 0)
    }
    fn send(&mut self, slot: u16, _: u16) -> bool {
        let mut state = self.0.borrow_mut();
        let room = state.begun.len() < state.room;
        if room {
            state.begun.push_back(slot);
        }
        room
    }
    fn begin(&mut self) -> Result<(), LinkError> {
        Ok(())
    }
    fn received(&mut self) -> Option<(u16, u16)> {
        self.0.borrow_mut().received.pop_front()
    }
    fn sent(&mut self) -> Option<u16> {
        self.0.borrow_mut().sent.pop_front()
    }
    fn await_sent(&mut self) -> Result<(), LinkError> {
        Ok(())
    }
}

fn attached(server: &mut Server<Fake>, badge: u64) {
    // Two pages: four slots.
    let memory = libipc::task().create_memory(2).unwrap();
    let told = fake::endpoint();
    Client::new(server, badge).attach(memory, told, 1).unwrap();
}

fn frames(all: &[(u16, usize)]) -> Frames {
    let mut frames = Frames::default();
    for &(slot, length) in all {
        let length = length as u16;
        assert!(frames.push(Frame { slot, length }));
    }
    frames
}

#[test]
fn slots_go_and_come_back_once() {
    let device = Fake::default();
    let mut server = Server::new(device.clone());
    attached(&mut server, 3);
    let mut client = Client::new(&mut server, 3);
    assert!(
        client
            .exchange(frames(&[(0, 0), (1, 60)]))
            .unwrap()
            .is_empty()
    );
    device.0.borrow_mut().received.push_back((0, 1500));
    let filled = client.exchange(Frames::default()).unwrap();
    assert!(filled.iter().eq([Frame {
        slot: 0,
        length: 1500
    }]));
    device.0.borrow_mut().sent.push_back(1);
    assert!(
        client
            .sent()
            .unwrap()
            .iter()
            .eq([Frame { slot: 1, length: 0 }])
    );
    assert!(client.sent().unwrap().is_empty());
    // Both may go again.
    client.exchange(frames(&[(1, 0), (0, MAX_FRAME)])).unwrap();
}

#[test]
fn what_is_no_slot_or_on_its_way_is_refused() {
    let mut server = Server::new(Fake::default());
    attached(&mut server, 3);
    let mut client = Client::new(&mut server, 3);
    client.exchange(frames(&[(2, 60)])).unwrap();
    let wrong = [
        (2, 60),
        (2, 0),
        ((2 * libipc::PAGE / SLOT) as u16, 0),
        (0, MAX_FRAME + 1),
    ];
    for frame in wrong {
        assert_eq!(
            client.exchange(frames(&[frame])),
            Err(LinkError::BadFrame),
            "{frame:?}"
        );
    }
    // A device whose queue is full takes no more, and the slot is free to try again.
    client.exchange(frames(&[(0, 0), (1, 0), (3, 0)])).unwrap();
}

#[test]
fn a_device_that_says_what_is_not_so_is_no_device() {
    let device = Fake::default();
    let mut server = Server::new(device.clone());
    attached(&mut server, 3);
    let mut client = Client::new(&mut server, 3);
    device.0.borrow_mut().received.push_back((1, 60));
    assert_eq!(client.exchange(Frames::default()), Err(LinkError::Device));
    device.0.borrow_mut().sent.push_back(9);
    assert_eq!(client.sent(), Err(LinkError::Device));
}

#[test]
fn who_attaches_last_has_the_device() {
    let device = Fake::default();
    let mut server = Server::new(device.clone());
    assert_eq!(
        Client::new(&mut server, 3).sent(),
        Err(LinkError::NotAttached)
    );
    attached(&mut server, 3);
    Client::new(&mut server, 3)
        .exchange(frames(&[(0, 60)]))
        .unwrap();
    attached(&mut server, 4);
    let none = Frames::default();
    assert_eq!(
        Client::new(&mut server, 3).exchange(none),
        Err(LinkError::NotAttached)
    );
    // In new memory all slots are free.
    device.0.borrow_mut().begun.clear();
    Client::new(&mut server, 4)
        .exchange(frames(&[(0, 60)]))
        .unwrap();
    assert_eq!(device.0.borrow().starts, 2);
}

#[test]
fn who_is_gone_leaves_nothing_with_the_device() {
    let device = Fake::default();
    let mut server = Server::new(device.clone());
    attached(&mut server, 3);
    attached(&mut server, 4);
    server.closed(3);
    assert!(device.0.borrow().memory.is_some());
    server.closed(4);
    assert!(device.0.borrow().memory.is_none());
    let gone = Client::new(&mut server, 4).sent();
    assert_eq!(gone, Err(LinkError::NotAttached));
}
