//! Keys that another task holds, as the protocol wants them.

use alloc::{boxed::Box, string::String, sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use libipc::{Bytes, CallError, Text, interfaces::DirectoryClient};
use tessera_softbus_protocol::{
    keys::{Broken, Keys, PAKE, Pattern, Session, Side, Tagged},
    limits::TAG,
    records,
    suite::PublicKey,
    trust::{Trust, Trusted},
};

use crate::{
    interface::{BATCH, BusKeysClient, KeysError, Kind, RECORD, Record, Role},
    session::BusSessionClient,
};

/// How long whoever holds the keys may take: to be started again, if need be.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the disk may.
const DISK: Duration = Duration::from_secs(30);

/// See the module.
pub struct Remote {
    client: BusKeysClient,
    public: PublicKey,
    run: u64,
    changed: Arc<AtomicBool>,
}

/// What there is beside the keys.
pub struct Keeper {
    client: BusKeysClient,
    durable: bool,
    changed: Arc<AtomicBool>,
}

/// Who this device is.
pub struct Connected {
    /// Its keys.
    pub keys: Remote,
    /// What is kept beside them.
    pub keeper: Keeper,
    /// What its owner calls it; empty if he has not said.
    pub name: String,
    /// What it trusts: nobody if nothing was kept.
    pub trust: Trust,
}

impl Keeper {
    /// Whether there is a disk.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// A record as it was kept; nothing if it was not.
    pub fn kept(&self, record: Record) -> Result<Vec<u8>, CallError<KeysError>> {
        kept(&self.client, record)
    }

    /// Keeps a record; true when that is durable.
    pub fn keep(&self, record: Record, contents: &[u8]) -> bool {
        self.client.keep(record, contents).is_ok()
    }

    /// A directory that the page lets the bus publish.
    pub fn directory(&self, name: &str) -> Option<DirectoryClient> {
        self.client.directory(Text::new(name)?).ok()
    }

    /// True as soon as it was noticed that the keys are those of another device: there is
    /// no disk, and whoever held them was started again.
    pub fn is_another(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }
}

impl Remote {
    /// Asks whoever holds the keys who this device is. An error as well if what is trusted
    /// is there and cannot be read, or is damaged: it would be replaced by the next that is
    /// trusted.
    pub fn connect(client: BusKeysClient) -> Result<Connected, CallError<KeysError>> {
        let identity = client.identity()?;
        let damaged = CallError::Server(KeysError::Damaged);
        let trust = match kept(&client, Record::Trust)? {
            bytes if bytes.is_empty() => Trust::default(),
            bytes => Trust::read(&bytes).map_err(|_| damaged)?,
        };
        let broken = CallError::Server(KeysError::Broken);
        let copy = client.as_ref().copy().map_err(|_| broken)?;
        let changed = Arc::<AtomicBool>::default();
        Ok(Connected {
            keys: Remote {
                client: BusKeysClient::from(copy).with_timeout(PATIENCE),
                public: public(identity.key.as_slice()).ok_or(broken)?,
                run: identity.run,
                changed: changed.clone(),
            },
            keeper: Keeper {
                client: client.with_timeout(DISK),
                durable: identity.durable,
                changed,
            },
            name: identity.name.as_str().into(),
            trust,
        })
    }

    /// Calls, and once more if whoever holds the keys was started again.
    fn call<T>(
        &mut self,
        mut call: impl FnMut(&BusKeysClient, u64) -> Result<T, CallError<KeysError>>,
    ) -> Option<T> {
        if self.changed.load(Ordering::Relaxed) {
            return None;
        }
        match call(&self.client, self.run) {
            Ok(done) => return Some(done),
            Err(CallError::Server(KeysError::OtherRun)) => {}
            Err(_) => return None,
        }
        let identity = self.client.identity().ok()?;
        if public(identity.key.as_slice()) != Some(self.public) {
            self.changed.store(true, Ordering::Relaxed);
            return None;
        }
        self.run = identity.run;
        call(&self.client, self.run).ok()
    }
}

impl Keys for Remote {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn tags(&mut self, kind: Tagged, peers: &[PublicKey], head: &[u8]) -> Option<Vec<[u8; 16]>> {
        if peers.is_empty() {
            return Some(Vec::new());
        }
        let (head, peers) = (Bytes::new(head)?, bytes(peers));
        let mut tags = vec![[0; 16]; peers.len() / 32];
        let made = tags.as_flattened_mut();
        self.call(|keys, run| keys.tags(run, kind.into(), head, &peers, &mut *made))?;
        Some(tags)
    }

    fn recognise(
        &mut self,
        kind: Tagged,
        head: &[u8],
        tags: &[u8],
        candidates: &[PublicKey],
    ) -> Option<PublicKey> {
        if candidates.is_empty() {
            return None;
        }
        let (head, tags) = (Bytes::new(head)?, Bytes::new(tags)?);
        let keys = bytes(candidates);
        let place =
            self.call(|client, run| client.recognise(run, kind.into(), head, tags, &keys))??;
        candidates.get(place as usize).copied()
    }

    fn handshake(
        &mut self,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        _: [u8; 32],
    ) -> Result<Box<dyn Session>, Broken> {
        let role = match (pattern, side) {
            (Pattern::Known, Side::Initiator) => Role::Dials,
            (Pattern::Known, Side::Responder) => Role::Answers,
            (Pattern::Unknown, Side::Initiator) => Role::DialsStranger,
            (Pattern::Unknown, Side::Responder) => Role::AnswersStranger,
        };
        let peer = peer.filter(|_| role == Role::Dials);
        let peer = peer.map_or(Some(Bytes::default()), |peer| Bytes::new(&peer.0));
        let (peer, prologue) = (peer.ok_or(Broken)?, Bytes::new(prologue).ok_or(Broken)?);
        let session = self.call(|keys, run| keys.session(run, role, peer, prologue));
        let client: BusSessionClient = session.ok_or(Broken)?;
        Ok(Box::new(RemoteSession {
            client: client.with_timeout(PATIENCE),
            remote: None,
        }))
    }
}

impl From<Tagged> for Kind {
    fn from(kind: Tagged) -> Kind {
        match kind {
            Tagged::Hello => Kind::Hello,
            Tagged::Ping => Kind::Ping,
        }
    }
}

/// The keys of one stream. Any error means that they are of no more use.
struct RemoteSession {
    client: BusSessionClient,
    remote: Option<PublicKey>,
}

impl Session for RemoteSession {
    fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        let payload = Bytes::new(payload).ok_or(Broken)?;
        Ok(said(self.client.write(payload))?.as_slice().to_vec())
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let message = Bytes::new(message).ok_or(Broken)?;
        let heard = said(self.client.read(message))?;
        self.remote = heard.remote.and_then(|key| public(key.as_slice()));
        Ok(heard.payload.as_slice().to_vec())
    }

    fn remote(&self) -> Option<PublicKey> {
        self.remote
    }

    fn complete(&mut self) -> Result<(), Broken> {
        said(self.client.complete())
    }

    fn seal(&mut self, plain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Broken> {
        let mut sealed = Vec::with_capacity(plain.len());
        for some in batches(plain, TAG) {
            let mut records = records::write(some, TAG);
            said(self.client.seal(&mut records))?;
            let mut at = 0;
            for plain in some {
                let start = at + records::HEADER;
                at = start + plain.len() + TAG;
                sealed.push(records.get(start..at).ok_or(Broken)?.to_vec());
            }
        }
        Ok(sealed)
    }

    fn open(&mut self, sealed: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut opened = Vec::with_capacity(sealed.len());
        for some in batches(sealed, 0) {
            let mut records = records::write(some, 0);
            let count = said(self.client.open(&mut records)).unwrap_or(0) as usize;
            let mut at = 0;
            for sealed in some.iter().take(count) {
                let start = at + records::HEADER;
                at = start + sealed.len();
                let plain = sealed
                    .len()
                    .checked_sub(TAG)
                    .map(|length| start..start + length);
                let Some(plain) = plain.and_then(|plain| records.get(plain)) else {
                    return opened;
                };
                opened.push(plain.to_vec());
            }
            if count < some.len() {
                break;
            }
        }
        opened
    }

    fn exchange(&mut self, pin: &[u8], _: [u8; 64]) -> Result<[u8; PAKE], Broken> {
        let pin = Bytes::new(pin).ok_or(Broken)?;
        let message = said(self.client.exchange(pin))?;
        message.as_slice().try_into().map_err(|_| Broken)
    }

    fn agree(&mut self, message: &[u8; PAKE]) -> Result<(), Broken> {
        said(self.client.exchanged(Bytes::new(message).ok_or(Broken)?))
    }

    fn confirmation(&mut self, me: &Trusted) -> Result<[u8; 16], Broken> {
        let name = Text::new(&me.name).ok_or(Broken)?;
        let shown = said(self.client.confirmation(name, me.kind))?;
        shown.as_slice().try_into().map_err(|_| Broken)
    }

    fn confirms(&mut self, shown: &[u8; 16], them: &Trusted) -> Result<bool, Broken> {
        let shown = Bytes::new(shown).ok_or(Broken)?;
        let name = Text::new(&them.name).ok_or(Broken)?;
        said(self.client.confirms(shown, name, them.kind))
    }
}

fn said<T>(result: Result<T, CallError<KeysError>>) -> Result<T, Broken> {
    result.map_err(|_| Broken)
}

/// Records in lots of at most [`BATCH`] bytes, headers and spare bytes included.
fn batches(records: &[Vec<u8>], spare: usize) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = records;
    core::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|record| {
            bytes += record.len() + spare + records::HEADER;
            bytes <= BATCH
        });
        // One that is too long by itself is refused by whoever holds the keys.
        let count = fits.count().max(1);
        let (some, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(some)
    })
}

fn kept(client: &BusKeysClient, record: Record) -> Result<Vec<u8>, CallError<KeysError>> {
    let mut bytes = vec![0; RECORD];
    let length = client.kept(record, &mut bytes)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

fn bytes(keys: &[PublicKey]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.0).collect()
}

fn public(bytes: &[u8]) -> Option<PublicKey> {
    Some(PublicKey(bytes.try_into().ok()?))
}
