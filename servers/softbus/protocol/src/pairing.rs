//! Two devices come to trust each other, because a person typed on one what the other
//! shows.
//!
//! ```text
//! initiator (the PIN is typed)          responder (the PIN is shown)
//! exchange A                ->
//!                           <-          exchange B: from here on this is a run
//! confirmation              ->          wrong: a run less. Right: keeps the trust
//!                           <-          confirmation, when that is durable
//! keeps the trust
//! kept, when that is durable ->
//! ```
//!
//! All of it inside `Noise_XX`, whose digest and both of whose static keys are the names
//! in the exchange: a PIN that was right elsewhere is of no use here.

use alloc::{string::String, vec::Vec};

use crate::Millis;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{NAME, PAIRING, PIN_DIGITS, VERSION, WRONG_RUNS};
use crate::random::{self, Random};
use crate::suite::{PAKE, PublicKey, Side, Suite, same};
use crate::trust::Trusted;

/// A PIN: six digits.
pub type Pin = [u8; PIN_DIGITS as usize];

/// Pairing as its person opened it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What is shown.
    pub pin: Pin,
    /// When it closes.
    pub until: Millis,
    /// Runs that may still fail.
    pub runs: u8,
}

impl Opened {
    /// A new PIN.
    pub fn new(now: Millis, random: &mut dyn Random) -> Opened {
        let mut number = random::below(random, 10_u64.pow(PIN_DIGITS));
        let mut pin = [b'0'; PIN_DIGITS as usize];
        for digit in pin.iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
        Opened {
            pin,
            until: now + PAIRING,
            runs: WRONG_RUNS,
        }
    }
}

/// Why two devices do not trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingError {
    /// The PIN was wrong, or somebody is in between.
    WrongPin,
    /// The other side broke off, or said what it must not.
    Broken,
    /// It took too long.
    TimedOut,
    /// Nobody answers there, or pairing is not open.
    Unreachable,
    /// One exchange at a time.
    Busy,
    /// The table of trusted devices is full.
    Full,
}

impl From<Malformed> for PairingError {
    fn from(_: Malformed) -> Self {
        PairingError::Broken
    }
}

/// What a run wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Send(Vec<u8>),
    /// The other side is who it says: keep it. When that is durable, send this.
    Keep(Trusted, Vec<u8>),
    /// Both have kept it.
    Done,
}

/// One exchange.
pub struct Run<S: Suite> {
    side: Side,
    digest: [u8; 32],
    stage: Stage<S>,
}

enum Stage<S: Suite> {
    /// Our exchange is sent, if we are the initiator.
    Exchange(S::Pake, [u8; PAKE]),
    /// The key, not yet confirmed.
    Confirm([u8; 32]),
    /// Confirmed.
    Kept,
    Over,
}

/// Kinds of messages.
const EXCHANGE: u8 = 1;
const CONFIRM: u8 = 2;
const KEPT: u8 = 3;
const WRONG: u8 = 4;

impl<S: Suite> Run<S> {
    /// Begins one on a stream with this digest. The initiator has something to send.
    pub fn new(
        side: Side,
        pin: &[u8],
        digest: [u8; 32],
        keys: (&PublicKey, &PublicKey),
        random: [u8; 64],
    ) -> (Self, Option<Vec<u8>>) {
        let (mine, theirs) = keys;
        let (first, second) = match side {
            Side::Initiator => (mine, theirs),
            Side::Responder => (theirs, mine),
        };
        let name = |role: &[u8], key: &PublicKey| {
            let mut writer = Writer::default();
            writer.bytes(b"tessera pairing ").u8(VERSION).bytes(role);
            writer.bytes(&digest).bytes(&key.0);
            writer.0
        };
        let (a, b) = (name(b" initiator ", first), name(b" responder ", second));
        let (pake, message) = S::pake(side, pin, [&a, &b], random);
        let first = (side == Side::Initiator).then(|| exchange(&message));
        let stage = Stage::Exchange(pake, message);
        let run = Run {
            side,
            digest,
            stage,
        };
        (run, first)
    }

    /// Whether the other side can have learned whether a PIN is right: then this run
    /// counts.
    pub fn counts(&self) -> bool {
        !matches!(self.stage, Stage::Exchange(..))
    }

    /// Whether it was confirmed.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.stage, Stage::Kept)
    }

    /// A message came. `me` is what we tell of ourselves.
    pub fn receive(&mut self, bytes: &[u8], me: &Trusted) -> Result<Step, PairingError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        if kind == WRONG {
            return Err(PairingError::WrongPin);
        }
        match (kind, core::mem::replace(&mut self.stage, Stage::Over)) {
            (EXCHANGE, Stage::Exchange(pake, mine)) => {
                let theirs: [u8; PAKE] = reader.array()?;
                reader.end()?;
                let key = S::agree(pake, &theirs).map_err(|_| PairingError::Broken)?;
                self.stage = Stage::Confirm(key);
                Ok(Step::Send(match self.side {
                    Side::Initiator => self.confirmation(&key, self.side, me),
                    Side::Responder => exchange(&mine),
                }))
            }
            (CONFIRM, Stage::Confirm(key)) => {
                let mac: [u8; 16] = reader.array()?;
                let kind = reader.u8()?;
                let name: String = reader.text(NAME)?;
                reader.end()?;
                let them = Trusted { name, kind };
                if !same(&mac, &self.mac(&key, self.side.other(), &them)) {
                    return Err(PairingError::WrongPin);
                }
                self.stage = Stage::Kept;
                let then = match self.side {
                    Side::Initiator => [KEPT].into(),
                    Side::Responder => self.confirmation(&key, self.side, me),
                };
                Ok(Step::Keep(them, then))
            }
            (KEPT, Stage::Kept) if self.side == Side::Responder => {
                reader.end()?;
                Ok(Step::Done)
            }
            _ => Err(PairingError::Broken),
        }
    }

    /// What tells the other side that its PIN was wrong.
    pub fn wrong() -> Vec<u8> {
        [WRONG].into()
    }

    fn confirmation(&self, key: &[u8; 32], side: Side, who: &Trusted) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(CONFIRM).bytes(&self.mac(key, side, who));
        writer.u8(who.kind).text(&who.name, NAME);
        writer.0
    }

    /// One for each direction: neither can be sent back as the other.
    fn mac(&self, key: &[u8; 32], side: Side, who: &Trusted) -> [u8; 16] {
        let direction: &[u8] = match side {
            Side::Initiator => b"tessera confirm initiator",
            Side::Responder => b"tessera confirm responder",
        };
        S::mac(
            key,
            &[direction, &self.digest, &[who.kind], who.name.as_bytes()],
        )
    }
}

fn exchange(message: &[u8; PAKE]) -> Vec<u8> {
    let mut bytes = [EXCHANGE].to_vec();
    bytes.extend_from_slice(message);
    bytes
}
