//! More comes than there are slots, and all of it is answered.

use libipc::{
    fake,
    handle::Rights,
    interfaces::link::{Frame, Frames, Link, LinkClient, LinkError, LinkInfo, SLOT},
    objects::{EndpointClient, MemoryClient},
};
use smoltcp::{
    phy::{Device, RxToken, TxToken},
    time::Instant,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tessera_net::{link::LinkPort, port::Port, server::DEVICE};

/// Bytes of each frame.
const LENGTH: u16 = 60;

/// A device at which more arrives than it has room for.
#[derive(Default)]
struct State {
    /// Frames that have still to arrive.
    left: usize,
    /// Slots that are to be filled, that were filled, and that are to be sent.
    room: VecDeque<u16>,
    filled: VecDeque<u16>,
    sending: VecDeque<u16>,
    sent: usize,
    /// What is sent takes a while: until it was asked for once.
    slow: bool,
    asked: bool,
}

impl State {
    /// Fills all the room that there is.
    fn arrive(&mut self) {
        while self.left > 0
            && let Some(slot) = self.room.pop_front()
        {
            self.left -= 1;
            self.filled.push_back(slot);
        }
    }
}

struct Flooded(Arc<Mutex<State>>);

impl Link for Flooded {
    fn attach(
        &mut self,
        memory: MemoryClient,
        _: EndpointClient,
        _: u64,
    ) -> Result<LinkInfo, LinkError> {
        assert!(memory.pages().unwrap() as usize * libipc::PAGE >= 100 * SLOT);
        Ok(LinkInfo::default())
    }

    fn exchange(&mut self, frames: Frames) -> Result<Frames, LinkError> {
        let mut state = self.0.lock().unwrap();
        for Frame { slot, length } in frames.iter() {
            match length {
                0 => state.room.push_back(slot),
                _ => state.sending.push_back(slot),
            }
        }
        state.arrive();
        let mut filled = Frames::default();
        while !filled.is_full()
            && let Some(slot) = state.filled.pop_front()
        {
            filled.push(Frame {
                slot,
                length: LENGTH,
            });
        }
        Ok(filled)
    }

    fn sent(&mut self) -> Result<Frames, LinkError> {
        let mut state = self.0.lock().unwrap();
        let mut sent = Frames::default();
        if state.slow && !std::mem::replace(&mut state.asked, true) {
            return Ok(sent);
        }
        while !sent.is_full()
            && let Some(slot) = state.sending.pop_front()
        {
            state.sent += 1;
            sent.push(Frame { slot, length: 0 });
        }
        state.asked = !state.sending.is_empty();
        Ok(sent)
    }
}

/// A port at a device where so many frames arrive as fast as there is room.
fn flooded(left: usize, slow: bool) -> (LinkPort, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State {
        left,
        slow,
        ..State::default()
    }));
    let device = Flooded(state.clone());
    let link: LinkClient =
        fake::serve(move |endpoint| libipc::serve::<dyn Link>(endpoint, &mut { device }));
    let told = fake::endpoint();
    let told = told.as_ref().derive(Rights::SIGNAL | Rights::GRANT);
    let port = LinkPort::new(link, told.unwrap().into(), DEVICE);
    (port.unwrap(), state)
}

/// Answers all that came and has room for an answer; how many frames that were.
fn answer(port: &mut LinkPort) -> usize {
    let mut count = 0;
    while let Some((came, answer)) = port.receive(Instant::ZERO) {
        came.consume(|frame| assert_eq!(frame.len(), LENGTH.into()));
        answer.consume(LENGTH.into(), |frame| frame.fill(1));
        count += 1;
    }
    count
}

#[test]
fn a_flood_leaves_room_for_answers() {
    for slow in [false, true] {
        let (mut port, state) = flooded(1000, slow);
        port.pull();
        let mut answered = 0;
        // What waits is looked at again; a device that was asked for what it has sent
        // tells when it has.
        for _ in 0..1000 {
            answered += answer(&mut port);
            port.flush();
            if !port.waits() {
                port.pull();
            }
        }
        assert_eq!(answered, 1000, "slow: {slow}");
        assert!(!port.waits());
        let state = state.lock().unwrap();
        assert_eq!(state.left, 0, "slow: {slow}");
        assert!(state.sent >= 1000 - 128, "{}", state.sent);
    }
}

#[test]
fn who_has_answered_all_hears_what_comes_later() {
    let (mut port, state) = flooded(1000, false);
    port.pull();
    for _ in 0..1000 {
        answer(&mut port);
        port.flush();
        let state = state.lock().unwrap();
        let deaf = state.room.is_empty() && state.filled.is_empty() && !port.waits();
        assert!(!deaf, "nothing has room to come, {} are left", state.left);
        drop(state);
        port.pull();
    }
    assert_eq!(state.lock().unwrap().left, 0);
}
