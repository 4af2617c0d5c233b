//! Answers the soft bus.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};
use libipc::{
    Bytes, Lease, LeaseFault, LeaseMut, Text,
    interfaces::{
        DirectoryClient, FileError,
        clients::{SERVER_BADGES, live_badges},
    },
    objects::EndpointClient,
    server::{Event, Message, Receiver},
    status::TransportError,
};
use tessera_softbus_protocol::{
    keys::{HeldSession, Holder, Keys, Pattern, Session as _, Side, Tagged},
    limits::{GUESTS, NAME, PENDING, TAG, TAGS, TRUSTED},
    random::{Source, array, nonce},
    records,
    suite::{Noise, PublicKey},
    trust::Trusted,
};

use crate::{
    interface::{
        BATCH, BusKeys, DeviceName, HANDSHAKE, HEAD, Identity, Key, KeysError, Kind, RECORD,
        Record, Role,
    },
    session::{BusSession, BusSessionClient, Heard},
    store::{SECRET, Store, walk},
};

/// Streams at most: with every device an old one and a new one, and with strangers.
pub const SESSIONS: usize = 2 * (TRUSTED + GUESTS) + PENDING;

/// Most peers that are looked through at once.
const CANDIDATES: usize = 256;

/// Whoever holds the keys.
pub struct Server<'e> {
    endpoint: &'e EndpointClient,
    keys: Holder<Noise>,
    run: u64,
    store: Option<Store>,
    random: Source,
    sessions: BTreeMap<u64, HeldSession<Noise>>,
    newest: u64,
    /// The files, and what of them may be published: name and path.
    files: Option<DirectoryClient>,
    directories: Vec<(String, String)>,
}

impl<'e> Server<'e> {
    /// With the key of the disk, made if there is none. Without a disk it lasts as long
    /// as this server. `endpoint` must have `RECEIVE`. Any error of the disk: without the
    /// key that may be there this would be another device.
    pub fn new(
        endpoint: &'e EndpointClient,
        store: Option<Store>,
        mut random: Source,
    ) -> Result<Self, FileError> {
        let fresh: [u8; SECRET] = array(&mut *random);
        let kept = store.as_ref().map(|store| store.secret(fresh));
        Ok(Server {
            endpoint,
            keys: Holder::new(&kept.transpose()?.unwrap_or(fresh)),
            run: nonce(&mut *random),
            store,
            random,
            sessions: BTreeMap::new(),
            // Sessions of a predecessor are nobody's.
            newest: live_badges(endpoint).max().unwrap_or(SERVER_BADGES),
            files: None,
            directories: Vec::new(),
        })
    }

    /// Lets the bus have directories of the files, which arguments of the form
    /// `directory:NAME=PATH` name.
    pub fn with_directories(mut self, files: Option<DirectoryClient>, arguments: &[&str]) -> Self {
        let named = arguments
            .iter()
            .filter_map(|argument| argument.strip_prefix("directory:")?.split_once('='));
        self.directories = named
            .map(|(name, path)| (name.into(), path.into()))
            .collect();
        self.files = files;
        self
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self) -> TransportError {
        let mut receiver = Receiver::new(self.endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Message(message)) => self.message(message),
                Ok(Event::Closed(badge)) => {
                    self.sessions.remove(&badge);
                }
                Ok(Event::Signals(_)) => {}
                Err(error) => return error,
            }
        }
    }

    fn message(&mut self, message: Message<'_, '_>) {
        let badge = message.badge();
        if badge < SERVER_BADGES {
            message.dispatch::<dyn BusKeys>(self);
        } else {
            // One that is not known any more is told so by each operation.
            let random = &mut self.random;
            let keys = self.sessions.get_mut(&badge);
            message.dispatch::<dyn BusSession>(&mut Session { keys, random });
        }
    }

    fn is_now(&self, run: u64) -> Result<(), KeysError> {
        match run == self.run {
            true => Ok(()),
            false => Err(KeysError::OtherRun),
        }
    }
}

impl BusKeys for Server<'_> {
    fn identity(&mut self) -> Result<Identity, KeysError> {
        // A bus that starts again has the name that its owner has written since.
        let name = self.store.as_ref().and_then(Store::name);
        Ok(Identity {
            key: key(&self.keys.public()),
            name: name.and_then(|name| Text::new(&name)).unwrap_or_default(),
            run: self.run,
            durable: self.store.is_some(),
        })
    }

    fn kept(&mut self, record: Record, into: LeaseMut) -> Result<u64, KeysError> {
        let kept = match &self.store {
            Some(store) => store.kept(record).map_err(|_| KeysError::Unreadable)?,
            None => Vec::new(),
        };
        let written = into.write_at(0, &kept);
        written.map_err(|_| KeysError::BadMemory)?;
        Ok(kept.len() as u64)
    }

    fn keep(&mut self, record: Record, contents: Lease) -> Result<(), KeysError> {
        let contents = read(contents.len(), RECORD, |into| contents.read_at(0, into))?;
        let store = self.store.as_ref().ok_or(KeysError::NotDurable)?;
        let kept = store.keep(record, &contents);
        kept.map_err(|_| KeysError::NotDurable)
    }

    fn tags(
        &mut self,
        run: u64,
        kind: Kind,
        head: Bytes<HEAD>,
        peers: Lease,
        tags: LeaseMut,
    ) -> Result<(), KeysError> {
        self.is_now(run)?;
        let peers = keys_in(&peers, TAGS)?;
        let made = self.keys.tags(kind.into(), &peers, head.as_slice());
        let made = made.unwrap_or_default();
        let written = tags.write_at(0, made.as_flattened());
        written.map_err(|_| KeysError::BadMemory)
    }

    fn recognise(
        &mut self,
        run: u64,
        kind: Kind,
        head: Bytes<HEAD>,
        tags: Bytes<{ 8 * TAGS }>,
        candidates: Lease,
    ) -> Result<Option<u64>, KeysError> {
        self.is_now(run)?;
        let candidates = keys_in(&candidates, CANDIDATES)?;
        let (head, tags) = (head.as_slice(), tags.as_slice());
        let found = self.keys.recognise(kind.into(), head, tags, &candidates);
        let place = found.and_then(|found| candidates.iter().position(|key| *key == found));
        Ok(place.map(|place| place as u64))
    }

    fn session(
        &mut self,
        run: u64,
        role: Role,
        peer: Key,
        prologue: Bytes<HEAD>,
    ) -> Result<BusSessionClient, KeysError> {
        self.is_now(run)?;
        if self.sessions.len() >= SESSIONS {
            return Err(KeysError::TooMany);
        }
        let (pattern, side) = match role {
            Role::Dials => (Pattern::Known, Side::Initiator),
            Role::Answers => (Pattern::Known, Side::Responder),
            Role::DialsStranger => (Pattern::Unknown, Side::Initiator),
            Role::AnswersStranger => (Pattern::Unknown, Side::Responder),
        };
        let peer = match role {
            Role::Dials => Some(public(peer.as_slice()).ok_or(KeysError::BadArgument)?),
            _ => None,
        };
        let (random, prologue) = (array(&mut *self.random), prologue.as_slice());
        let session = self
            .keys
            .session(pattern, side, peer.as_ref(), prologue, random);
        let session = session.map_err(|_| KeysError::Broken)?;
        let badge = self.newest + 1;
        let client = self.endpoint.mint_client(badge);
        let client = client.map_err(|_| KeysError::TooMany)?;
        self.newest = badge;
        self.sessions.insert(badge, session);
        Ok(client)
    }

    fn directory(&mut self, name: Text<NAME>) -> Result<DirectoryClient, KeysError> {
        let named = |(of, _): &&(String, String)| of == name.as_str();
        let path = self.directories.iter().find(named);
        let (Some((_, path)), Some(files)) = (path, &self.files) else {
            return Err(KeysError::NotFound);
        };
        walk(files, path).map_err(|_| KeysError::NotFound)
    }
}

/// One stream's; none if it is of a predecessor.
struct Session<'s> {
    keys: Option<&'s mut HeldSession<Noise>>,
    random: &'s mut Source,
}

impl Session<'_> {
    fn keys(&mut self) -> Result<&mut HeldSession<Noise>, KeysError> {
        self.keys.as_deref_mut().ok_or(KeysError::OtherRun)
    }
}

impl BusSession for Session<'_> {
    fn write(&mut self, payload: Bytes<HEAD>) -> Result<Bytes<HANDSHAKE>, KeysError> {
        let message = self.keys()?.write(payload.as_slice());
        Bytes::new(&message.map_err(|_| KeysError::Broken)?).ok_or(KeysError::Broken)
    }

    fn read(&mut self, message: Bytes<HANDSHAKE>) -> Result<Heard, KeysError> {
        let keys = self.keys()?;
        let payload = keys.read(message.as_slice());
        let payload = Bytes::new(&payload.map_err(|_| KeysError::Broken)?);
        Ok(Heard {
            payload: payload.ok_or(KeysError::Broken)?,
            remote: keys.remote().as_ref().map(key),
        })
    }

    fn complete(&mut self) -> Result<(), KeysError> {
        self.keys()?.complete().map_err(|_| KeysError::Broken)
    }

    fn seal(&mut self, records: LeaseMut) -> Result<(), KeysError> {
        let mut bytes = read(records.len(), BATCH, |into| records.read_at(0, into))?;
        let places = records::places(&bytes);
        let plain = places
            .iter()
            .map(|at| bytes[at.start..at.end.saturating_sub(TAG).max(at.start)].to_vec());
        let sealed = self.keys()?.seal(&plain.collect::<Vec<_>>());
        for (at, sealed) in places
            .into_iter()
            .zip(sealed.map_err(|_| KeysError::Broken)?)
        {
            let place = bytes
                .get_mut(at)
                .filter(|place| place.len() == sealed.len());
            place
                .ok_or(KeysError::BadArgument)?
                .copy_from_slice(&sealed);
        }
        let written = records.write_at(0, &bytes);
        written.map_err(|_| KeysError::BadMemory)
    }

    fn open(&mut self, records: LeaseMut) -> Result<u64, KeysError> {
        let mut bytes = read(records.len(), BATCH, |into| records.read_at(0, into))?;
        let places = records::places(&bytes);
        let sealed: Vec<_> = places.iter().map(|at| bytes[at.clone()].to_vec()).collect();
        let opened = self.keys()?.open(&sealed);
        for (at, plain) in places.into_iter().zip(&opened) {
            bytes[at][..plain.len()].copy_from_slice(plain);
        }
        let written = records.write_at(0, &bytes);
        written.map_err(|_| KeysError::BadMemory)?;
        Ok(opened.len() as u64)
    }

    fn exchange(&mut self, pin: Bytes<8>) -> Result<Bytes<33>, KeysError> {
        let random = array(&mut **self.random);
        let message = self.keys()?.exchange(pin.as_slice(), random);
        Bytes::new(&message.map_err(|_| KeysError::Broken)?).ok_or(KeysError::Broken)
    }

    fn exchanged(&mut self, message: Bytes<33>) -> Result<(), KeysError> {
        let message = message.as_slice().try_into();
        let message = message.map_err(|_| KeysError::BadArgument)?;
        self.keys()?.agree(message).map_err(|_| KeysError::Broken)
    }

    fn confirmation(&mut self, name: DeviceName, kind: u8) -> Result<Bytes<16>, KeysError> {
        let shown = self.keys()?.confirmation(&who(name, kind));
        Bytes::new(&shown.map_err(|_| KeysError::Broken)?).ok_or(KeysError::Broken)
    }

    fn confirms(
        &mut self,
        shown: Bytes<16>,
        name: DeviceName,
        kind: u8,
    ) -> Result<bool, KeysError> {
        let shown = shown.as_slice().try_into();
        let shown = shown.map_err(|_| KeysError::BadArgument)?;
        let is_right = self.keys()?.confirms(shown, &who(name, kind));
        is_right.map_err(|_| KeysError::Broken)
    }
}

impl From<Kind> for Tagged {
    fn from(kind: Kind) -> Tagged {
        match kind {
            Kind::Hello => Tagged::Hello,
            Kind::Ping => Tagged::Ping,
        }
    }
}

fn who(name: DeviceName, kind: u8) -> Trusted {
    Trusted {
        name: name.as_str().into(),
        kind,
    }
}

fn key(key: &PublicKey) -> Key {
    Bytes::new(&key.0).unwrap_or_default()
}

fn public(bytes: &[u8]) -> Option<PublicKey> {
    Some(PublicKey(bytes.try_into().ok()?))
}

/// Public keys, at most so many.
fn keys_in(lease: &Lease, most: usize) -> Result<Vec<PublicKey>, KeysError> {
    let bytes = read(lease.len(), most * 32, |into| lease.read_at(0, into))?;
    let (keys, rest) = bytes.as_chunks();
    match rest.is_empty() {
        true => Ok(keys.iter().map(|key| PublicKey(*key)).collect()),
        false => Err(KeysError::BadArgument),
    }
}

/// What is lent, so many bytes and at most `most`.
fn read(
    length: usize,
    most: usize,
    read: impl FnOnce(&mut [u8]) -> Result<(), LeaseFault>,
) -> Result<Vec<u8>, KeysError> {
    if length > most {
        return Err(KeysError::BadArgument);
    }
    let mut bytes = vec![0; length];
    read(&mut bytes).map_err(|_| KeysError::BadMemory)?;
    Ok(bytes)
}
