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
//! in the exchange: a PIN that was right elsewhere is of no use here. What that takes of
//! cryptography is done by the stream's [`Session`].

use alloc::vec::Vec;

use crate::Millis;
use crate::bytes::{Malformed, Reader, Writer};
use crate::keys::{Broken, PAKE, Session, Side};
use crate::limits::{NAME, PAIRING, PIN_DIGITS, WRONG_RUNS};
use crate::random::{self, Random};
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

impl From<Broken> for PairingError {
    fn from(_: Broken) -> Self {
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
pub struct Run {
    side: Side,
    stage: Stage,
}

enum Stage {
    /// Our exchange is made; the initiator's is sent.
    Exchange([u8; PAKE]),
    /// Both have a key, not yet confirmed.
    Confirm,
    /// Confirmed.
    Kept,
    Over,
}

/// What one side says to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Its message of the exchange.
    Exchange([u8; PAKE]),
    /// It has the same key, and says this of itself.
    Confirm([u8; 16], Trusted),
    /// The initiator has kept it.
    Kept,
    /// The PIN was wrong.
    Wrong,
}

impl Said {
    const EXCHANGE: u8 = 1;
    const CONFIRM: u8 = 2;
    const KEPT: u8 = 3;
    const WRONG: u8 = 4;

    /// Reads it.
    pub fn read(bytes: &[u8]) -> Result<Said, Malformed> {
        let mut reader = Reader::new(bytes);
        let said = match reader.u8()? {
            Self::EXCHANGE => Said::Exchange(reader.array()?),
            Self::CONFIRM => {
                let shown = reader.array()?;
                let (kind, name) = (reader.u8()?, reader.text(NAME)?);
                Said::Confirm(shown, Trusted { name, kind })
            }
            Self::KEPT => Said::Kept,
            Self::WRONG => return Ok(Said::Wrong),
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(said)
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Said::Exchange(message) => writer.u8(Self::EXCHANGE).bytes(message),
            Said::Confirm(shown, who) => {
                writer.u8(Self::CONFIRM).bytes(shown);
                writer.u8(who.kind).text(&who.name, NAME)
            }
            Said::Kept => writer.u8(Self::KEPT),
            Said::Wrong => writer.u8(Self::WRONG),
        };
        writer.0
    }
}

impl Run {
    /// Begins one on a stream with these keys. The initiator has something to send.
    pub fn new(
        side: Side,
        pin: &[u8],
        keys: &mut dyn Session,
        random: [u8; 64],
    ) -> Result<(Self, Option<Vec<u8>>), PairingError> {
        let message = keys.exchange(pin, random)?;
        let first = (side == Side::Initiator).then(|| Said::Exchange(message).to_bytes());
        let stage = Stage::Exchange(message);
        Ok((Run { side, stage }, first))
    }

    /// The other side said something. `me` is what we tell of ourselves.
    pub fn receive(
        &mut self,
        said: Said,
        keys: &mut dyn Session,
        me: &Trusted,
    ) -> Result<Step, PairingError> {
        match (said, core::mem::replace(&mut self.stage, Stage::Over)) {
            (Said::Wrong, _) => Err(PairingError::WrongPin),
            (Said::Exchange(theirs), Stage::Exchange(mine)) => {
                keys.agree(&theirs)?;
                self.stage = Stage::Confirm;
                let said = match self.side {
                    Side::Initiator => confirmation(keys, me)?,
                    Side::Responder => Said::Exchange(mine),
                };
                Ok(Step::Send(said.to_bytes()))
            }
            (Said::Confirm(shown, them), Stage::Confirm) => {
                if !keys.confirms(&shown, &them)? {
                    return Err(PairingError::WrongPin);
                }
                self.stage = Stage::Kept;
                let then = match self.side {
                    Side::Initiator => Said::Kept,
                    Side::Responder => confirmation(keys, me)?,
                };
                Ok(Step::Keep(them, then.to_bytes()))
            }
            (Said::Kept, Stage::Kept) if self.side == Side::Responder => Ok(Step::Done),
            _ => Err(PairingError::Broken),
        }
    }
}

fn confirmation(keys: &mut dyn Session, me: &Trusted) -> Result<Said, PairingError> {
    Ok(Said::Confirm(keys.confirmation(me)?, me.clone()))
}
