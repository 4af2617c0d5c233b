//! A network device behind its driver: frames are in slots of memory of this task's, and
//! the protocols read and write them there.

use crate::port::{Counters, Port, count};
use alloc::collections::VecDeque;
use core::time::Duration;
use libipc::{
    CallError,
    handle::Rights,
    interfaces::link::{Frame, Frames, HEADROOM, LinkClient, LinkError, MAX_FRAME, SLOT},
    memory::{Slot, Slots},
    objects::EndpointClient,
};
use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

/// Slots in all, and how many of them wait to be filled. The others are for sending.
const SLOTS: u16 = 128;
const RECEIVING: usize = 64;

/// With fewer slots that nobody has, those that were sent are asked for. So many are kept
/// for sending: what came may have to be answered before its slot is free.
const LOW: usize = 16;

/// How often in a row a driver may fail before the network has to do without.
const ATTEMPTS: u32 = 3;

/// How long the driver may hold up this server.
const PATIENCE: Duration = Duration::from_secs(5);

/// The device.
pub struct LinkPort {
    link: LinkClient,
    endpoint: EndpointClient,
    signals: u64,
    slots: Slots,
    /// Slots that wait to be filled.
    receiving: usize,
    received: VecDeque<(Slot, usize)>,
    sending: VecDeque<(Slot, usize)>,
    up: bool,
    /// The driver may have more than it has said.
    more: bool,
    counters: (Counters, Counters),
}

impl LinkPort {
    /// Takes the device over. What it receives is told by `signals` at the endpoint.
    pub fn new(
        link: LinkClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<Self, CallError<LinkError>> {
        let slots = Slots::new(SLOTS, SLOT);
        let mut port = LinkPort {
            link: link.with_timeout(PATIENCE),
            endpoint,
            signals,
            slots: slots.map_err(|_| CallError::Server(LinkError::BadMemory))?,
            receiving: 0,
            received: VecDeque::new(),
            sending: VecDeque::new(),
            up: false,
            more: false,
            counters: Default::default(),
        };
        port.attach()?;
        Ok(port)
    }

    /// Begins with the driver, in memory that no former device knows.
    fn attach(&mut self) -> Result<(), CallError<LinkError>> {
        let none = |_| CallError::Server(LinkError::BadMemory);
        self.up = false;
        self.slots = Slots::new(SLOTS, SLOT).map_err(none)?;
        self.received.clear();
        self.receiving = 0;
        // What was to be sent still is.
        for (frame, _) in &mut self.sending {
            let mut moved = self.slots.take().ok_or(LinkError::BadMemory);
            if let Ok(moved) = &mut moved {
                moved.copy_from_slice(frame);
            }
            *frame = moved.map_err(CallError::Server)?;
        }
        let rights = Rights::SIGNAL | Rights::GRANT;
        let told = self.endpoint.as_ref().derive(rights).map_err(none)?;
        let memory = self.slots.share().map_err(none)?;
        self.link.attach(memory, told.into(), self.signals)?;
        self.up = true;
        self.more = true;
        Ok(())
    }

    /// One call to the driver: up to so many frames each way.
    fn exchange(&mut self) -> Result<(), CallError<LinkError>> {
        let mut given = Frames::default();
        while !given.is_full()
            && let Some((slot, length)) = self.sending.pop_front()
        {
            given.push(Frame {
                slot: self.slots.lend(slot),
                length: length as u16,
            });
        }
        while !given.is_full()
            && self.receiving < RECEIVING
            && self.slots.free() > LOW
            && let Some(slot) = self.slots.take()
        {
            self.receiving += 1;
            given.push(Frame {
                slot: self.slots.lend(slot),
                length: 0,
            });
        }
        let filled = match self.link.exchange(given) {
            Ok(filled) => filled,
            Err(error) => {
                let unsent = given.iter().filter(|frame| frame.length > 0);
                let unsent = unsent.filter_map(|frame| {
                    let slot = self.slots.back(frame.slot)?;
                    Some((slot, frame.length.into()))
                });
                let unsent: VecDeque<_> = unsent.collect();
                let later = core::mem::replace(&mut self.sending, unsent);
                self.sending.extend(later);
                return Err(error);
            }
        };
        for frame in given.iter().filter(|frame| frame.length > 0) {
            count(&mut self.counters.1, frame.length.into());
        }
        self.more = filled.is_full();
        for Frame { slot, length } in filled.iter() {
            let Some(slot) = self.slots.back(slot) else {
                return Err(CallError::Server(LinkError::BadFrame));
            };
            self.receiving = self.receiving.saturating_sub(1);
            let length = usize::from(length).min(MAX_FRAME);
            count(&mut self.counters.0, length);
            self.received.push_back((slot, length));
        }
        Ok(())
    }

    /// Takes back what was sent.
    fn reclaim(&mut self) -> Result<(), CallError<LinkError>> {
        loop {
            let sent = self.link.sent()?;
            for Frame { slot, .. } in sent.iter() {
                self.slots.back(slot);
            }
            if !sent.is_full() {
                return Ok(());
            }
        }
    }

    /// After a driver that failed comes another one. Whether it has.
    fn or_again(&mut self, result: Result<(), CallError<LinkError>>) -> bool {
        // Without one there is nobody to send to, until somebody wants to again.
        result.is_ok() || self.attach().is_ok()
    }

    /// Whether a call to the driver has something to say.
    fn has_more(&self) -> bool {
        let room = self.wants_room() && self.slots.free() > LOW;
        self.more || !self.sending.is_empty() || room
    }

    /// Whether so few slots wait to be filled that a call pays.
    fn wants_room(&self) -> bool {
        self.receiving + Frames::MOST / 2 <= RECEIVING
    }

    /// Takes back what was sent, if that is what keeps room from what comes. Whether there
    /// is some now; otherwise it is told when something was sent.
    fn make_room(&mut self) -> bool {
        if !self.wants_room() || self.slots.free() > LOW {
            return false;
        }
        let reclaimed = self.reclaim();
        self.or_again(reclaimed) && self.slots.free() > LOW
    }
}

impl Port for LinkPort {
    fn pull(&mut self) {
        self.more = true;
        self.flush();
    }

    fn flush(&mut self) {
        let mut attempts = 0;
        if !self.up {
            attempts = 1;
            // It is tried again when there is more to send.
            let _ = self.attach();
        }
        while self.up && (self.has_more() || self.make_room()) {
            let exchanged = self.exchange();
            attempts += u32::from(exchanged.is_err());
            if attempts > ATTEMPTS || !self.or_again(exchanged) {
                return;
            }
        }
    }

    fn is_full(&mut self) -> bool {
        if self.up && self.slots.free() < LOW {
            let reclaimed = self.reclaim();
            self.or_again(reclaimed);
        }
        self.slots.free() == 0
    }

    fn waits(&self) -> bool {
        !self.received.is_empty()
    }

    fn is_up(&self) -> bool {
        self.up
    }

    fn counters(&self) -> (Counters, Counters) {
        self.counters
    }
}

/// A frame that was received.
pub struct Received {
    slot: Slot,
    length: usize,
}

/// Room for a frame to be sent.
pub struct Sending<'p> {
    queue: &'p mut VecDeque<(Slot, usize)>,
    slot: Slot,
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, work: F) -> R {
        let frame = self.slot.get(HEADROOM..HEADROOM + self.length);
        work(frame.unwrap_or_default())
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, length: usize, work: F) -> R {
        match self.slot.get_mut(HEADROOM..HEADROOM + length) {
            Some(frame) if length <= MAX_FRAME => {
                let result = work(frame);
                self.queue.push_back((self.slot, length));
                result
            }
            // The capabilities say that none is so long: it is lost.
            _ => work(&mut alloc::vec![0; length]),
        }
    }
}

impl Device for LinkPort {
    type RxToken<'p> = Received;
    type TxToken<'p> = Sending<'p>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        if self.received.is_empty() || self.is_full() {
            return None;
        }
        let room = self.slots.take()?;
        let (slot, length) = self.received.pop_front()?;
        let sending = Sending {
            queue: &mut self.sending,
            slot: room,
        };
        Some((Received { slot, length }, sending))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        if self.is_full() || !self.up {
            return None;
        }
        let slot = self.slots.take()?;
        Some(Sending {
            queue: &mut self.sending,
            slot,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}
