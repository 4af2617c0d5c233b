//! One stream: a preamble, frames, the handshake, then encrypted frames. It moves bytes
//! and reads none of what they say.
//!
//! ```text
//! initiator                                 responder
//! preamble, handshake 1 (empty)   ->        may ask for a cookie, or refuse the version
//!                                 <-        handshake 2: the version that both speak
//! handshake 3 (pairing only)      ->
//! data                           <->        data
//! ```
//!
//! A stream that is new to the responder stays so until its first encrypted frame was
//! read: a handshake that somebody repeats leads to nothing.

use alloc::vec::Vec;

use crate::Millis;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{FRAME, OLDEST, REKEY_AFTER, REKEY_BYTES, VERSION};
use crate::suite::{Broken, Pattern, PublicKey, Side, Suite};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Calls between devices that know each other.
    Session,
    /// Getting to know each other.
    Pairing,
}

impl Purpose {
    fn pattern(self) -> Pattern {
        match self {
            Purpose::Session => Pattern::Known,
            Purpose::Pairing => Pattern::Unknown,
        }
    }
}

/// Bytes of the preamble.
pub const PREAMBLE: usize = 24;

/// Shows that who opens a stream was answered at its address before.
pub type Cookie = [u8; 16];

/// Why a stream cannot go on. It is closed and nothing is said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// Not a frame, or one at the wrong moment.
    Malformed,
    /// Not what the other side wrote, or not for us.
    Broken,
    /// No version in common.
    Version {
        /// The oldest that the other side speaks.
        oldest: u8,
        /// The newest.
        newest: u8,
    },
}

impl From<Malformed> for LinkError {
    fn from(_: Malformed) -> Self {
        LinkError::Malformed
    }
}

impl From<Broken> for LinkError {
    fn from(_: Broken) -> Self {
        LinkError::Broken
    }
}

/// What came out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// Somebody opened it. Go on with [`Link::proceed`], or answer with
    /// [`Link::retry`] and close it.
    Opened(Purpose, Cookie),
    /// The initiator's key. Go on with [`Link::admit`], or close it without a word.
    Asked(PublicKey),
    /// To be sent.
    Send(Vec<u8>),
    /// The handshake is complete, with this device.
    Ready(PublicKey),
    /// A message, decrypted.
    Data(Vec<u8>),
    /// The responder wants to see this cookie on another stream.
    Retry(Cookie),
}

/// One stream.
pub struct Link<S: Suite> {
    side: Side,
    purpose: Purpose,
    preamble: [u8; PREAMBLE],
    stage: Stage<S>,
    inbox: Vec<u8>,
    peer: Option<PublicKey>,
    digest: [u8; 32],
    /// Bytes encrypted in both directions, and when the key was made.
    volume: u64,
    since: Millis,
}

enum Stage<S: Suite> {
    /// The responder waits for the preamble.
    Closed,
    /// The host has to say whether to go on.
    Held(Option<S::Handshake>),
    /// The next message is the other side's.
    Handshake(S::Handshake),
    Data(S::Transport),
    Over,
}

impl<S: Suite> Link<S> {
    const MAGIC: [u8; 4] = *b"TSBS";
    /// Bytes before a frame's body.
    const HEADER: usize = 3;
    const HANDSHAKE: u8 = 1;
    const DATA: u8 = 2;
    const RETRY: u8 = 3;
    const REFUSE: u8 = 4;

    /// Opens a stream to a device. Returns what is to be sent.
    pub fn dial(
        identity: &S::Identity,
        purpose: Purpose,
        peer: Option<&PublicKey>,
        cookie: Cookie,
        random: [u8; 32],
        now: Millis,
    ) -> Result<(Self, Vec<u8>), LinkError> {
        let mut preamble = [0; PREAMBLE];
        preamble[..4].copy_from_slice(&Self::MAGIC);
        preamble[4..8].copy_from_slice(&[OLDEST, VERSION, purpose as u8, 0]);
        preamble[8..].copy_from_slice(&cookie);
        let prologue = prologue(&preamble);
        let pattern = purpose.pattern();
        let mut handshake =
            S::handshake(identity, pattern, Side::Initiator, peer, &prologue, random)?;
        let mut bytes = preamble.to_vec();
        frame(&mut bytes, Self::HANDSHAKE, &S::write(&mut handshake, &[])?);
        let mut link = Self::new(Side::Initiator, purpose, now);
        link.preamble = preamble;
        link.stage = Stage::Handshake(handshake);
        Ok((link, bytes))
    }

    /// A stream that somebody opens to us.
    pub fn answer(now: Millis) -> Self {
        Self::new(Side::Responder, Purpose::Session, now)
    }

    fn new(side: Side, purpose: Purpose, now: Millis) -> Self {
        Link {
            side,
            purpose,
            preamble: [0; PREAMBLE],
            stage: Stage::Closed,
            inbox: Vec::new(),
            peer: None,
            digest: [0; 32],
            volume: 0,
            since: now,
        }
    }

    /// Who opened it.
    pub fn side(&self) -> Side {
        self.side
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The device at the other end, once the handshake is complete.
    pub fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    /// Digest of the handshake.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// When it was opened.
    pub fn since(&self) -> Millis {
        self.since
    }

    /// Whether another stream should take its place, because its key is old or much
    /// used.
    pub fn is_worn(&self, now: Millis) -> bool {
        self.volume >= REKEY_BYTES || now.saturating_sub(self.since) >= REKEY_AFTER
    }

    /// Bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// The next thing that came out of it; `None` if that needs more bytes, or a word of
    /// the host. After an error the stream is over.
    pub fn next(&mut self, identity: &S::Identity) -> Result<Option<Got>, LinkError> {
        let got = self.step(identity);
        if got.is_err() {
            self.stage = Stage::Over;
            self.inbox = Vec::new();
        }
        got
    }

    fn step(&mut self, identity: &S::Identity) -> Result<Option<Got>, LinkError> {
        match self.stage {
            Stage::Over => return Err(LinkError::Malformed),
            Stage::Held(_) => return Ok(None),
            Stage::Closed => return self.opened(),
            Stage::Handshake(_) | Stage::Data(_) => {}
        }
        let Some((kind, body)) = self.take_frame()? else {
            return Ok(None);
        };
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Data(mut transport) if kind == Self::DATA => {
                let plain = S::open(&mut transport, &body)?;
                self.volume += body.len() as u64;
                self.stage = Stage::Data(transport);
                Ok(Some(Got::Data(plain)))
            }
            Stage::Handshake(handshake) => match (kind, self.side) {
                (Self::HANDSHAKE, Side::Initiator) => self.answered(handshake, &body),
                (Self::HANDSHAKE, Side::Responder) => self.asked(identity, handshake, &body),
                (Self::RETRY, Side::Initiator) => {
                    let cookie = body.try_into().map_err(|_| LinkError::Malformed)?;
                    Ok(Some(Got::Retry(cookie)))
                }
                (Self::REFUSE, Side::Initiator) => {
                    let mut reader = Reader::new(&body);
                    let (oldest, newest) = (reader.u8()?, reader.u8()?);
                    Err(LinkError::Version { oldest, newest })
                }
                _ => Err(LinkError::Malformed),
            },
            _ => Err(LinkError::Malformed),
        }
    }

    /// The responder has the preamble.
    fn opened(&mut self) -> Result<Option<Got>, LinkError> {
        let Some(preamble) = self.inbox.get(..PREAMBLE) else {
            return Ok(None);
        };
        self.preamble.copy_from_slice(preamble);
        self.inbox.drain(..PREAMBLE);
        let mut reader = Reader::new(&self.preamble);
        if reader.array()? != Self::MAGIC {
            return Err(LinkError::Malformed);
        }
        let (oldest, newest) = (reader.u8()?, reader.u8()?);
        self.purpose = match reader.u8()? {
            0 => Purpose::Session,
            1 => Purpose::Pairing,
            _ => return Err(LinkError::Malformed),
        };
        let _ = reader.u8()?;
        let cookie = reader.array()?;
        if common(oldest, newest).is_none() {
            return Err(LinkError::Version { oldest, newest });
        }
        self.stage = Stage::Held(None);
        Ok(Some(Got::Opened(self.purpose, cookie)))
    }

    /// The responder goes on with a stream that was opened.
    pub fn proceed(&mut self, identity: &S::Identity, random: [u8; 32]) -> Result<(), LinkError> {
        let prologue = prologue(&self.preamble);
        let pattern = self.purpose.pattern();
        self.stage = Stage::Handshake(S::handshake(
            identity,
            pattern,
            Side::Responder,
            None,
            &prologue,
            random,
        )?);
        Ok(())
    }

    /// What tells the initiator to come back with a cookie. It is less than it sent.
    pub fn retry(cookie: &Cookie) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, Self::RETRY, cookie);
        bytes
    }

    /// What tells the initiator which versions there are. It is less than it sent.
    pub fn refusal() -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, Self::REFUSE, &[OLDEST, VERSION]);
        bytes
    }

    /// The responder has a handshake message.
    fn asked(
        &mut self,
        _: &S::Identity,
        mut handshake: S::Handshake,
        body: &[u8],
    ) -> Result<Option<Got>, LinkError> {
        // An empty first payload: nothing acts on what somebody may have recorded.
        if !S::read(&mut handshake, body)?.is_empty() {
            return Err(LinkError::Malformed);
        }
        match (self.purpose, S::remote(&handshake)) {
            (Purpose::Session, Some(peer)) => {
                self.peer = Some(peer);
                self.stage = Stage::Held(Some(handshake));
                Ok(Some(Got::Asked(peer)))
            }
            (Purpose::Pairing, None) => {
                let message = S::write(&mut handshake, &self.chosen())?;
                self.stage = Stage::Handshake(handshake);
                let mut bytes = Vec::new();
                frame(&mut bytes, Self::HANDSHAKE, &message);
                Ok(Some(Got::Send(bytes)))
            }
            (Purpose::Pairing, Some(peer)) => self.ready(handshake, peer).map(Some),
            (Purpose::Session, None) => Err(LinkError::Broken),
        }
    }

    /// The responder lets the initiator in: what is to be sent.
    pub fn admit(&mut self) -> Result<Vec<u8>, LinkError> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Held(Some(mut handshake)) => {
                let message = S::write(&mut handshake, &self.chosen())?;
                let peer = self.peer.ok_or(LinkError::Broken)?;
                self.ready(handshake, peer)?;
                let mut bytes = Vec::new();
                frame(&mut bytes, Self::HANDSHAKE, &message);
                Ok(bytes)
            }
            _ => Err(LinkError::Malformed),
        }
    }

    /// The initiator has the responder's message.
    fn answered(
        &mut self,
        mut handshake: S::Handshake,
        body: &[u8],
    ) -> Result<Option<Got>, LinkError> {
        let payload = S::read(&mut handshake, body)?;
        let mut reader = Reader::new(&payload);
        let (version, oldest, newest) = (reader.u8()?, reader.u8()?, reader.u8()?);
        reader.end()?;
        // Both say what they speak and both compute: nobody can talk them down.
        if common(oldest, newest) != Some(version) {
            return Err(LinkError::Version { oldest, newest });
        }
        let peer = S::remote(&handshake).ok_or(LinkError::Broken)?;
        if self.purpose == Purpose::Session {
            return self.ready(handshake, peer).map(Some);
        }
        let message = S::write(&mut handshake, &[])?;
        self.ready(handshake, peer)?;
        // `Ready` follows from the state: the host asks for the peer.
        let mut bytes = Vec::new();
        frame(&mut bytes, Self::HANDSHAKE, &message);
        Ok(Some(Got::Send(bytes)))
    }

    fn ready(&mut self, handshake: S::Handshake, peer: PublicKey) -> Result<Got, LinkError> {
        self.digest = S::digest(&handshake);
        self.peer = Some(peer);
        self.stage = Stage::Data(S::transport(handshake)?);
        Ok(Got::Ready(peer))
    }

    /// What the responder says of versions: the one that is spoken, and its range.
    fn chosen(&self) -> [u8; 3] {
        let (oldest, newest) = (self.preamble[4], self.preamble[5]);
        [common(oldest, newest).unwrap_or(0), OLDEST, VERSION]
    }

    /// Whether messages can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Data(_))
    }

    /// Encrypts a message: what is to be sent.
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, LinkError> {
        let Stage::Data(transport) = &mut self.stage else {
            return Err(LinkError::Malformed);
        };
        let length = plain.len() + S::TAG;
        if length > FRAME {
            return Err(LinkError::Malformed);
        }
        let mut bytes = Vec::with_capacity(Self::HEADER + length);
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
        bytes.push(Self::DATA);
        S::seal(transport, plain, &mut bytes)?;
        self.volume += length as u64;
        Ok(bytes)
    }

    fn take_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, LinkError> {
        let Some(&[low, high, kind]) = self.inbox.first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length > FRAME {
            return Err(LinkError::Malformed);
        }
        let end = Self::HEADER + length;
        if self.inbox.len() < end {
            return Ok(None);
        }
        let body = self.inbox[Self::HEADER..end].to_vec();
        self.inbox.drain(..end);
        Ok(Some((kind, body)))
    }
}

/// The newest version that both speak.
fn common(oldest: u8, newest: u8) -> Option<u8> {
    let version = newest.min(VERSION);
    (version >= oldest && version >= OLDEST).then_some(version)
}

/// All that was said before the handshake, and what it is.
fn prologue(preamble: &[u8]) -> Vec<u8> {
    let mut prologue = b"tessera soft bus".to_vec();
    prologue.extend_from_slice(preamble);
    prologue
}

fn frame(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let mut writer = Writer(core::mem::take(bytes));
    writer.u16(body.len() as u16).u8(kind).bytes(body);
    *bytes = writer.0;
}
