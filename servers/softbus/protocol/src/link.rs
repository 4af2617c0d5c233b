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

use alloc::{boxed::Box, vec::Vec};

use crate::Millis;
use crate::bytes::{Malformed, Reader, Writer};
use crate::keys::{Broken, Keys, Pattern, PublicKey, Session, Side};
use crate::limits::{FRAME, REKEY_AFTER, REKEY_BYTES, TAG};
use crate::versions::Versions;

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
    /// No version in common with what the other side speaks, or not the one that both
    /// would choose.
    Version(Versions),
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
    /// Messages, decrypted, in order.
    Data(Vec<Vec<u8>>),
    /// The responder wants to see this cookie on another stream.
    Retry(Cookie),
}

/// One stream.
pub struct Link {
    side: Side,
    purpose: Purpose,
    preamble: [u8; PREAMBLE],
    /// What the initiator speaks.
    theirs: Versions,
    stage: Stage,
    inbox: Vec<u8>,
    peer: Option<PublicKey>,
    /// Bytes encrypted in both directions, and when the key was made.
    volume: u64,
    since: Millis,
}

enum Stage {
    /// The responder waits for the preamble.
    Closed,
    /// The host has to say whether to go on.
    Held(Option<Box<dyn Session>>),
    /// The next message is the other side's.
    Handshake(Box<dyn Session>),
    /// Messages are encrypted; false if what comes next was not what the other side wrote.
    Data(Box<dyn Session>, bool),
    Over,
}

impl Link {
    const MAGIC: [u8; 4] = *b"TSBS";
    /// Bytes before a frame's body.
    const HEADER: usize = 3;
    const HANDSHAKE: u8 = 1;
    const DATA: u8 = 2;
    const RETRY: u8 = 3;
    const REFUSE: u8 = 4;

    /// Opens a stream to a device. Returns what is to be sent.
    pub fn dial(
        keys: &mut dyn Keys,
        purpose: Purpose,
        peer: Option<&PublicKey>,
        cookie: Cookie,
        random: [u8; 32],
        now: Millis,
    ) -> Result<(Self, Vec<u8>), LinkError> {
        let mut preamble = [0; PREAMBLE];
        preamble[..4].copy_from_slice(&Self::MAGIC);
        preamble[4..6].copy_from_slice(&Versions::OURS.to_bytes());
        preamble[6] = purpose as u8;
        preamble[8..].copy_from_slice(&cookie);
        let prologue = prologue(&preamble);
        let pattern = purpose.pattern();
        let mut session = keys.handshake(pattern, Side::Initiator, peer, &prologue, random)?;
        let mut bytes = preamble.to_vec();
        frame(&mut bytes, Self::HANDSHAKE, &session.write(&[])?);
        let mut link = Self::new(Side::Initiator, purpose, now);
        link.preamble = preamble;
        link.stage = Stage::Handshake(session);
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
            theirs: Versions::OURS,
            stage: Stage::Closed,
            inbox: Vec::new(),
            peer: None,
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

    /// The keys of a stream whose handshake is complete.
    pub fn session(&mut self) -> Option<&mut dyn Session> {
        match &mut self.stage {
            Stage::Data(session, _) => Some(&mut **session),
            _ => None,
        }
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
    pub fn poll(&mut self) -> Result<Option<Got>, LinkError> {
        let got = self.step();
        if got.is_err() {
            self.stage = Stage::Over;
            self.inbox = Vec::new();
        }
        got
    }

    fn step(&mut self) -> Result<Option<Got>, LinkError> {
        match self.stage {
            Stage::Over | Stage::Data(_, false) => return Err(LinkError::Malformed),
            Stage::Held(_) => return Ok(None),
            Stage::Closed => return self.opened(),
            Stage::Data(_, true) => return self.data(),
            Stage::Handshake(_) => {}
        }
        let Some((kind, body)) = self.frame(0)? else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.inbox.drain(..Self::HEADER + body.len());
        let Stage::Handshake(session) = core::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(LinkError::Malformed);
        };
        match (kind, self.side) {
            (Self::HANDSHAKE, Side::Initiator) => self.answered(session, &body),
            (Self::HANDSHAKE, Side::Responder) => self.asked(session, &body),
            (Self::RETRY, Side::Initiator) => {
                let cookie = body.try_into().map_err(|_| LinkError::Malformed)?;
                Ok(Some(Got::Retry(cookie)))
            }
            (Self::REFUSE, Side::Initiator) => {
                let theirs = Versions::read(&mut Reader::new(&body))?;
                Err(LinkError::Version(theirs))
            }
            _ => Err(LinkError::Malformed),
        }
    }

    /// All data frames that are here whole, at once.
    fn data(&mut self) -> Result<Option<Got>, LinkError> {
        let (mut sealed, mut end, mut is_sound) = (Vec::new(), 0, true);
        loop {
            match self.frame(end) {
                Ok(Some((Self::DATA, body))) => {
                    end += Self::HEADER + body.len();
                    sealed.push(body.to_vec());
                }
                Ok(None) => break,
                // What came before counts still.
                Ok(Some(_)) | Err(_) => {
                    is_sound = false;
                    break;
                }
            }
        }
        self.inbox.drain(..end);
        let Stage::Data(session, goes_on) = &mut self.stage else {
            return Err(LinkError::Malformed);
        };
        let plain = match sealed.is_empty() {
            true => Vec::new(),
            false => session.open(&sealed),
        };
        let volume: usize = sealed.iter().take(plain.len()).map(Vec::len).sum();
        self.volume += volume as u64;
        *goes_on = is_sound && plain.len() == sealed.len();
        match (plain.is_empty(), *goes_on) {
            (true, true) => Ok(None),
            (true, false) => Err(LinkError::Broken),
            (false, _) => Ok(Some(Got::Data(plain))),
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
        let theirs = Versions::read(&mut reader)?;
        self.purpose = match reader.u8()? {
            0 => Purpose::Session,
            1 => Purpose::Pairing,
            _ => return Err(LinkError::Malformed),
        };
        let _ = reader.u8()?;
        let cookie = reader.array()?;
        if Versions::OURS.common(theirs).is_none() {
            return Err(LinkError::Version(theirs));
        }
        self.theirs = theirs;
        self.stage = Stage::Held(None);
        Ok(Some(Got::Opened(self.purpose, cookie)))
    }

    /// The responder goes on with a stream that was opened.
    pub fn proceed(&mut self, keys: &mut dyn Keys, random: [u8; 32]) -> Result<(), LinkError> {
        let prologue = prologue(&self.preamble);
        let pattern = self.purpose.pattern();
        let side = Side::Responder;
        self.stage = Stage::Handshake(keys.handshake(pattern, side, None, &prologue, random)?);
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
        frame(&mut bytes, Self::REFUSE, &Versions::OURS.to_bytes());
        bytes
    }

    /// The responder has a handshake message.
    fn asked(
        &mut self,
        mut session: Box<dyn Session>,
        body: &[u8],
    ) -> Result<Option<Got>, LinkError> {
        // An empty first payload: nothing acts on what somebody may have recorded.
        if !session.read(body)?.is_empty() {
            return Err(LinkError::Malformed);
        }
        match (self.purpose, session.remote()) {
            (Purpose::Session, Some(peer)) => {
                self.peer = Some(peer);
                self.stage = Stage::Held(Some(session));
                Ok(Some(Got::Asked(peer)))
            }
            (Purpose::Pairing, None) => {
                let message = session.write(&self.chosen())?;
                self.stage = Stage::Handshake(session);
                let mut bytes = Vec::new();
                frame(&mut bytes, Self::HANDSHAKE, &message);
                Ok(Some(Got::Send(bytes)))
            }
            (Purpose::Pairing, Some(peer)) => self.ready(session, peer).map(Some),
            (Purpose::Session, None) => Err(LinkError::Broken),
        }
    }

    /// The responder lets the initiator in: what is to be sent.
    pub fn admit(&mut self) -> Result<Vec<u8>, LinkError> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Held(Some(mut session)) => {
                let message = session.write(&self.chosen())?;
                let peer = self.peer.ok_or(LinkError::Broken)?;
                self.ready(session, peer)?;
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
        mut session: Box<dyn Session>,
        body: &[u8],
    ) -> Result<Option<Got>, LinkError> {
        let payload = session.read(body)?;
        let mut reader = Reader::new(&payload);
        let (version, theirs) = (reader.u8()?, Versions::read(&mut reader)?);
        reader.end()?;
        // Both say what they speak and both compute: nobody can talk them down.
        if Versions::OURS.common(theirs) != Some(version) {
            return Err(LinkError::Version(theirs));
        }
        let peer = session.remote().ok_or(LinkError::Broken)?;
        if self.purpose == Purpose::Session {
            return self.ready(session, peer).map(Some);
        }
        let message = session.write(&[])?;
        self.ready(session, peer)?;
        // `Ready` follows from the state: the host asks for the peer.
        let mut bytes = Vec::new();
        frame(&mut bytes, Self::HANDSHAKE, &message);
        Ok(Some(Got::Send(bytes)))
    }

    fn ready(&mut self, mut session: Box<dyn Session>, peer: PublicKey) -> Result<Got, LinkError> {
        session.complete()?;
        self.peer = Some(peer);
        self.stage = Stage::Data(session, true);
        Ok(Got::Ready(peer))
    }

    /// What the responder says of versions: the one that is spoken, and its range.
    fn chosen(&self) -> [u8; 3] {
        let [oldest, newest] = Versions::OURS.to_bytes();
        let version = Versions::OURS.common(self.theirs);
        [version.unwrap_or(0), oldest, newest]
    }

    /// Whether messages can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Data(..))
    }

    /// Encrypts messages: what is to be sent, for each.
    pub fn seal(&mut self, plain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, LinkError> {
        let Stage::Data(session, _) = &mut self.stage else {
            return Err(LinkError::Malformed);
        };
        if plain.iter().any(|plain| plain.len() + TAG > FRAME) {
            return Err(LinkError::Malformed);
        }
        let sealed = session.seal(plain)?;
        let mut frames = Vec::with_capacity(sealed.len());
        for sealed in sealed {
            self.volume += sealed.len() as u64;
            let mut bytes = Vec::with_capacity(Self::HEADER + sealed.len());
            frame(&mut bytes, Self::DATA, &sealed);
            frames.push(bytes);
        }
        Ok(frames)
    }

    /// The frame that begins at this place of what came, if it is here whole: its kind and
    /// its body.
    fn frame(&self, start: usize) -> Result<Option<(u8, &[u8])>, LinkError> {
        let rest = self.inbox.get(start..).unwrap_or_default();
        let Some((&[low, high, kind], rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length > FRAME {
            return Err(LinkError::Malformed);
        }
        Ok(rest.get(..length).map(|body| (kind, body)))
    }
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
