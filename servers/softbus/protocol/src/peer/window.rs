//! Messages to and from one peer: each is delivered once and in order, over as many
//! streams as it takes; and none is sent for which the receiver has not promised room.

use alloc::{collections::VecDeque, vec::Vec};

use super::Hostile;
use crate::limits::{FLYING, PEER_BYTES, UNREAD};
use crate::wire::Body;

/// A message that is to be sent.
#[derive(Debug)]
pub(super) struct Queued {
    bytes: Vec<u8>,
    cost: u64,
    /// The call of ours to which it belongs.
    pub(super) call: Option<u64>,
    /// It is the call's first message, which says how long is left.
    is_head: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    /// Not yet numbered.
    waiting: VecDeque<Queued>,
    /// Numbered, not yet acknowledged; the first has the number `acknowledged + 1`.
    sent: VecDeque<Queued>,
    acknowledged: u64,
    /// How many of `sent` the present stream was given.
    given: usize,
    /// Bytes of those.
    flying: usize,
    /// Bytes of `waiting` and `sent`.
    bytes: usize,
    /// What we have spent of the peer's promise, and the promise.
    spent: u64,
    allowed: u64,
    /// The peer's messages that we have, what they cost, and how much of that is free
    /// again.
    received: u64,
    cost: u64,
    freed: u64,
    /// What was here of earlier when counting began.
    base: u64,
}

/// A message that goes out.
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    /// Its call, if it goes for the first time.
    pub(super) first: Option<u64>,
}

impl Window {
    pub(super) fn new() -> Window {
        Window {
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            acknowledged: 0,
            given: 0,
            flying: 0,
            bytes: 0,
            spent: 0,
            allowed: 0,
            received: 0,
            cost: 0,
            freed: 0,
            base: 0,
        }
    }

    /// The peer began anew: nothing of what was sent or received counts, `held` bytes
    /// of it are still here. What waits for these calls stays.
    pub(super) fn reset(&mut self, held: u64, keep: impl Fn(u64) -> bool) {
        let mut fresh = Window::new();
        core::mem::swap(self, &mut fresh);
        (self.cost, self.base) = (held, held);
        fresh
            .waiting
            .retain(|queued| queued.call.is_some_and(&keep));
        self.bytes = fresh.waiting.iter().map(|queued| queued.bytes.len()).sum();
        self.waiting = fresh.waiting;
    }

    /// Nothing was received on either side yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.acknowledged == 0 && self.received == 0
    }

    pub(super) fn push(&mut self, body: &Body, call: Option<u64>) {
        let bytes = crate::wire::write(0, body);
        self.bytes += bytes.len();
        self.waiting.push_back(Queued {
            bytes,
            cost: body.cost(),
            call,
            is_head: matches!(body, Body::Call(_)),
        });
    }

    /// Bytes that wait here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing more is told that may be left out: the peer acknowledges nothing.
    pub(super) fn is_long(&self) -> bool {
        self.waiting.len() + self.sent.len() > UNREAD / 2
    }

    /// Whether the peer owes more acknowledgements than its calls explain.
    pub(super) fn is_overfull(&self) -> bool {
        self.waiting.len() + self.sent.len() > UNREAD
    }

    /// Takes what was never sent of this call away.
    pub(super) fn withdraw(&mut self, call: u64) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|queued| {
            let stays = queued.call != Some(call);
            *bytes -= if stays { 0 } else { queued.bytes.len() };
            stays
        });
    }

    /// A stream begins: all that the peer does not have goes again.
    pub(super) fn resume(&mut self, received: u64, credit: u64) -> Result<(), Hostile> {
        self.acknowledge(received, credit)?;
        (self.given, self.flying) = (0, 0);
        Ok(())
    }

    /// The peer has all up to this number, and promises so much.
    pub(super) fn acknowledge(&mut self, received: u64, credit: u64) -> Result<(), Hostile> {
        if received > self.acknowledged + self.sent.len() as u64 {
            return Err(Hostile::Acknowledged);
        }
        while self.acknowledged < received {
            if let Some(queued) = self.sent.pop_front() {
                self.bytes -= queued.bytes.len();
                if self.given > 0 {
                    self.given -= 1;
                    self.flying -= queued.bytes.len();
                }
            }
            self.acknowledged += 1;
        }
        self.allowed = self.allowed.max(credit);
        Ok(())
    }

    /// The number that the next message will get.
    pub(super) fn next_number(&self) -> u64 {
        self.acknowledged + (self.sent.len() + self.waiting.len()) as u64 + 1
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The next message for the present stream, if there is one and room for it.
    /// `remaining` says how long a call is still waited for.
    pub(super) fn send(&mut self, remaining: impl Fn(u64) -> u32) -> Option<Sent> {
        let mut first = None;
        if self.flying >= FLYING {
            return None;
        }
        if self.given == self.sent.len() {
            let cost = self.waiting.front()?.cost;
            if self.spent + cost > self.allowed {
                return None;
            }
            self.spent += cost;
            let mut queued = self.waiting.pop_front()?;
            let number = self.acknowledged + self.sent.len() as u64 + 1;
            queued.bytes[Body::SEQUENCE].copy_from_slice(&number.to_le_bytes());
            first = queued.call;
            self.sent.push_back(queued);
        }
        let queued = self.sent.get_mut(self.given)?;
        self.given += 1;
        self.flying += queued.bytes.len();
        if let (true, Some(call)) = (queued.is_head, queued.call) {
            queued.bytes[Body::REMAINING].copy_from_slice(&remaining(call).to_le_bytes());
        }
        Some(Sent {
            bytes: queued.bytes.clone(),
            first,
        })
    }

    /// A message came. False if it came before, over another stream.
    pub(super) fn receive(&mut self, number: u64, body: &Body) -> Result<bool, Hostile> {
        if number <= self.received {
            return Ok(false);
        }
        if number != self.received + 1 {
            return Err(Hostile::Gap);
        }
        self.cost += body.cost();
        if self.cost - self.freed > PEER_BYTES {
            return Err(Hostile::Flood);
        }
        self.received = number;
        Ok(true)
    }

    /// So much of what it cost is free again.
    pub(super) fn free(&mut self, cost: u64) {
        self.freed += cost;
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// What the peer may spend in all.
    pub(super) fn credit(&self) -> u64 {
        self.freed + PEER_BYTES - self.base.min(PEER_BYTES)
    }
}
