//! The interface: who has the device, and which slots are under way.

use crate::device::Device;
use alloc::{vec, vec::Vec};
use libipc::{
    interfaces::link::{Frame, Frames, Link, LinkError, LinkInfo, MAX_FRAME, SLOT},
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
    status::TransportError,
};

/// A device and who has it.
#[derive(Debug)]
pub struct Server<D> {
    device: D,
    /// The badge of its client.
    client: Option<u64>,
    /// Whether each slot of the client's memory is under way.
    under_way: Vec<bool>,
}

impl<D: Device> Server<D> {
    /// A device that nobody has.
    pub fn new(device: D) -> Self {
        Server {
            device,
            client: None,
            under_way: Vec::new(),
        }
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self, endpoint: &EndpointClient) -> TransportError {
        let mut receiver = Receiver::new(endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Message(message)) => {
                    let badge = message.badge();
                    let mut client = Client {
                        server: self,
                        badge,
                    };
                    message.dispatch::<dyn Link>(&mut client);
                }
                Ok(Event::Closed(badge)) => self.closed(badge),
                Ok(Event::Signals(_)) => {}
                Err(error) => return error,
            }
        }
    }

    /// A client is gone. What it gave the device is paid from its quota, which nobody
    /// has back before it is let go.
    pub fn closed(&mut self, badge: u64) {
        if self.client == Some(badge) {
            self.client = None;
            self.under_way.clear();
            self.device.stop();
        }
    }

    /// A slot begins its way, unless it is none, or already on it.
    fn begin(&mut self, frame: Frame) -> Result<(), LinkError> {
        let place = self.under_way.get_mut(usize::from(frame.slot));
        let place = place.filter(|under_way| !**under_way);
        let place = place.ok_or(LinkError::BadFrame)?;
        let Frame { slot, length } = frame;
        let taken = match usize::from(length) {
            0 => self.device.receive(slot),
            1..=MAX_FRAME => self.device.send(slot, length),
            _ => false,
        };
        *place = taken;
        taken.then_some(()).ok_or(LinkError::BadFrame)
    }

    /// A slot has ended its way. One that had not begun it is the device's error.
    fn end(&mut self, slot: u16) -> Result<(), LinkError> {
        let place = self.under_way.get_mut(usize::from(slot));
        match place.is_some_and(core::mem::take) {
            true => Ok(()),
            false => Err(LinkError::Device),
        }
    }
}

/// One call's view of the server: who calls.
#[derive(Debug)]
pub struct Client<'s, D> {
    server: &'s mut Server<D>,
    badge: u64,
}

impl<'s, D: Device> Client<'s, D> {
    /// The view of the client with this badge.
    pub fn new(server: &'s mut Server<D>, badge: u64) -> Self {
        Client { server, badge }
    }

    fn attached(&mut self) -> Result<&mut Server<D>, LinkError> {
        match self.server.client == Some(self.badge) {
            true => Ok(self.server),
            false => Err(LinkError::NotAttached),
        }
    }
}

impl<D: Device> Link for Client<'_, D> {
    fn attach(
        &mut self,
        memory: MemoryClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<LinkInfo, LinkError> {
        self.server.client = None;
        let (info, bytes) = self.server.device.start(memory, endpoint, signals)?;
        let slots = bytes / SLOT;
        if slots == 0 || slots > usize::from(u16::MAX) {
            return Err(LinkError::BadMemory);
        }
        self.server.under_way = vec![false; slots];
        self.server.client = Some(self.badge);
        Ok(info)
    }

    fn exchange(&mut self, frames: Frames) -> Result<Frames, LinkError> {
        let server = self.attached()?;
        let begun = frames.iter().try_for_each(|frame| server.begin(frame));
        server.device.begin()?;
        begun?;
        let mut filled = Frames::default();
        while !filled.is_full()
            && let Some((slot, length)) = server.device.received()
        {
            server.end(slot)?;
            filled.push(Frame { slot, length });
        }
        Ok(filled)
    }

    fn sent(&mut self) -> Result<Frames, LinkError> {
        let server = self.attached()?;
        let mut sent = Frames::default();
        let mut asked = false;
        while !sent.is_full() {
            match server.device.sent() {
                Some(slot) => {
                    server.end(slot)?;
                    sent.push(Frame { slot, length: 0 });
                }
                None if asked || !sent.is_empty() => break,
                None => {
                    asked = true;
                    server.device.await_sent()?;
                }
            }
        }
        Ok(sent)
    }
}
