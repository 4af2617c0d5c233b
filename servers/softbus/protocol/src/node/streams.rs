//! Streams: dialled, accepted, and what opens them.

use alloc::{collections::BTreeMap, collections::VecDeque, vec::Vec};

use super::contact::Contact;
use super::{Node, Output, StreamId};
use crate::Millis;
use crate::address::Address;
use crate::limits::{COOKIE, COOKIES_FROM, HANDSHAKE, PAIRING_RUN, PENDING};
use crate::link::{Cookie, Got, Link, LinkError, Purpose};
use crate::pairing::Run;
use crate::random::{self, Random};
use crate::suite::{Noise, PublicKey, Side, Suite, same};

/// One stream.
pub(super) struct Stream {
    pub(super) link: Link,
    /// Who is at the other end.
    address: Address,
    /// Whom we dialled, in a session.
    peer: Option<PublicKey>,
    /// What is sent when it is connected.
    first: Vec<u8>,
    cookie: Cookie,
    /// Its generation, if we dialled it.
    pub(super) generation: u64,
    /// The first message was read: it is no repetition.
    pub(super) proven: bool,
    /// Who opened it has shown a cookie.
    showed: bool,
    /// The run of pairing that it carries.
    pub(super) run: Option<Run>,
}

/// All of them.
pub(super) struct Streams {
    pub(super) all: BTreeMap<StreamId, Stream>,
    next: u32,
    /// Makes cookies. It protects nothing but the table of streams.
    secret: [u8; 32],
}

impl Streams {
    pub(super) fn new(random: &mut dyn Random) -> Self {
        Streams {
            all: BTreeMap::new(),
            next: 1,
            secret: random::array(random),
        }
    }

    fn add(&mut self, link: Link, address: Address, first: Vec<u8>) -> StreamId {
        let id = StreamId(self.next);
        self.next = self.next.wrapping_add(1);
        self.all.insert(
            id,
            Stream {
                link,
                address,
                peer: None,
                first,
                cookie: [0; 16],
                generation: 0,
                proven: false,
                showed: false,
                run: None,
            },
        );
        id
    }

    /// Streams of others whose handshake is not complete.
    fn pending(&self) -> impl Iterator<Item = &Stream> {
        let answered = |stream: &&Stream| stream.link.side() == Side::Responder;
        self.all
            .values()
            .filter(answered)
            .filter(|stream| !stream.proven)
    }

    /// That of them which is the first to make room.
    fn oldest_pending(&self) -> Option<StreamId> {
        let answered = |stream: &Stream| stream.link.side() == Side::Responder && !stream.proven;
        let pending = self.all.iter().filter(|(_, stream)| answered(stream));
        let order = |(_, stream): &(&StreamId, &Stream)| (stream.showed, stream.link.since());
        pending
            .filter(|(_, stream)| stream.run.is_none())
            .min_by_key(order)
            .map(|(id, _)| *id)
    }

    /// How old a stream is.
    pub(super) fn age(&self, id: StreamId, now: Millis) -> Millis {
        let since = self.all.get(&id).map(|stream| stream.link.since());
        now.saturating_sub(since.unwrap_or(now))
    }

    pub(super) fn deadline(&self) -> Millis {
        let open = self.all.values().filter(|stream| !stream.proven);
        open.map(Stream::until).min().unwrap_or(Millis::MAX)
    }

    /// Whether a stream's key is so much used that we, who dialled it, make another.
    pub(super) fn is_worn(&self, id: Option<StreamId>, now: Millis) -> bool {
        let stream = id.and_then(|id| self.all.get(&id));
        stream
            .is_some_and(|stream| stream.link.side() == Side::Initiator && stream.link.is_worn(now))
    }

    /// Encrypts and sends.
    pub(super) fn send(
        &mut self,
        id: StreamId,
        plain: Vec<u8>,
        out: &mut VecDeque<Output>,
    ) -> bool {
        self.send_all(id, &[plain], out)
    }

    /// Encrypts and sends messages, in order. False if the stream is of no more use.
    pub(super) fn send_all(
        &mut self,
        id: StreamId,
        plain: &[Vec<u8>],
        out: &mut VecDeque<Output>,
    ) -> bool {
        let Some(stream) = self.all.get_mut(&id) else {
            return false;
        };
        let Ok(sealed) = stream.link.seal(plain) else {
            return false;
        };
        out.extend(sealed.into_iter().map(|bytes| Output::Send(id, bytes)));
        true
    }

    fn cookie(&self, from: Address, span: Millis) -> Cookie {
        Noise::mac(&self.secret, &[b"cookie", &from.ip, &span.to_le_bytes()])
    }

    fn is_good(&self, cookie: &Cookie, from: Address, now: Millis) -> bool {
        let span = now / COOKIE;
        let spans = [span, span.saturating_sub(1)];
        spans
            .iter()
            .any(|span| same(cookie, &self.cookie(from, *span)))
    }
}

impl Stream {
    /// When it has to be something.
    fn until(&self) -> Millis {
        let most = if self.run.is_some() {
            PAIRING_RUN
        } else {
            HANDSHAKE
        };
        self.link.since() + most
    }
}

impl Node {
    /// Somebody opened a stream to this device's port. `None`: close it, there are too
    /// many.
    pub fn accepted(&mut self, from: Address, now: Millis) -> Option<StreamId> {
        // One address has two at most: who has many addresses is asked for cookies.
        let of_it = self
            .streams
            .pending()
            .filter(|stream| stream.address.ip == from.ip);
        if of_it.count() >= 2 {
            return None;
        }
        if self.streams.pending().count() >= PENDING {
            // Who says nothing keeps nobody out: the oldest goes that showed no cookie.
            let oldest = self.streams.oldest_pending()?;
            self.close(oldest, now);
        }
        Some(self.streams.add(Link::answer(now), from, Vec::new()))
    }

    /// A stream that was asked for is there.
    pub fn connected(&mut self, id: StreamId, now: Millis) {
        if let Some(stream) = self.streams.all.get_mut(&id) {
            let first = core::mem::take(&mut stream.first);
            self.out.push_back(Output::Send(id, first));
        }
        self.pump(now);
    }

    /// A stream did not come about, or is no more.
    pub fn closed(&mut self, id: StreamId, now: Millis) {
        self.ended(id, now);
        self.pump(now);
    }

    /// Bytes came over a stream.
    pub fn received(&mut self, id: StreamId, bytes: &[u8], now: Millis) {
        if let Some(stream) = self.streams.all.get_mut(&id) {
            stream.link.push(bytes);
        }
        while let Some(stream) = self.streams.all.get_mut(&id) {
            match stream.link.poll() {
                Ok(None) => break,
                Ok(Some(got)) => self.got(id, got, now),
                Err(error) => {
                    let asked = stream.link.side() == Side::Responder;
                    if asked && matches!(error, LinkError::Version(_)) {
                        let refusal = Link::refusal();
                        self.out.push_back(Output::Send(id, refusal));
                    }
                    self.close(id, now);
                }
            }
        }
        self.pump(now);
    }

    fn got(&mut self, id: StreamId, got: Got, now: Millis) {
        match got {
            Got::Opened(purpose, cookie) => self.opened(id, purpose, &cookie, now),
            Got::Asked(key) => self.asked(id, key, now),
            Got::Send(bytes) => {
                self.out.push_back(Output::Send(id, bytes));
                let stream = self.streams.all.get(&id);
                if stream.is_some_and(|stream| stream.link.is_ready()) {
                    self.run_begins(id, now);
                }
            }
            Got::Ready(key) => match self.streams.all.get(&id) {
                Some(stream) if stream.link.purpose() == Purpose::Pairing => {
                    self.run_begins(id, now);
                }
                Some(stream) if stream.link.side() == Side::Initiator => {
                    let generation = stream.generation;
                    let contact = self.contacts.get_mut(&key);
                    let resume = contact.map(|contact| contact.peer.resume(generation, false));
                    if let Some(resume) = resume {
                        self.streams.send(id, resume, &mut self.out);
                    }
                }
                _ => {}
            },
            Got::Data(plain) => self.data(id, &plain, now),
            Got::Retry(cookie) => self.retry(id, cookie, now),
        }
    }

    fn opened(&mut self, id: StreamId, purpose: Purpose, cookie: &Cookie, now: Millis) {
        let Some(stream) = self.streams.all.get(&id) else {
            return;
        };
        let from = stream.address;
        if purpose == Purpose::Pairing && !self.pairing.may_answer() {
            return self.close(id, now);
        }
        let many = self.streams.pending().count() > COOKIES_FROM;
        let showed = self.streams.is_good(cookie, from, now);
        if many && !showed {
            let cookie = self.streams.cookie(from, now / COOKIE);
            self.out.push_back(Output::Send(id, Link::retry(&cookie)));
            return self.close(id, now);
        }
        let random = random::array(&mut *self.random);
        let mut stream = self.streams.all.get_mut(&id);
        if let Some(stream) = &mut stream {
            stream.showed = showed;
        }
        let proceeds = stream.map(|stream| stream.link.proceed(&mut *self.keys, random));
        if proceeds.is_none_or(|proceeds| proceeds.is_err()) {
            self.close(id, now);
        }
    }

    /// Somebody with this key wants a session.
    fn asked(&mut self, id: StreamId, key: PublicKey, now: Millis) {
        let admitted = match self.streams.all.get_mut(&id) {
            Some(stream) if self.contacts.contains_key(&key) => stream.link.admit().ok(),
            _ => None,
        };
        match admitted {
            Some(bytes) => self.out.push_back(Output::Send(id, bytes)),
            // A stranger: not a byte.
            None => self.close(id, now),
        }
    }

    /// Opens a stream to a peer.
    pub(super) fn dial(&mut self, key: PublicKey, cookie: Cookie, now: Millis) {
        let Some(address) = self.address(&key) else {
            return;
        };
        let random = random::array(&mut *self.random);
        let purpose = Purpose::Session;
        let dialled = Link::dial(&mut *self.keys, purpose, Some(&key), cookie, random, now);
        let (Some(contact), Ok((link, first))) = (self.contacts.get_mut(&key), dialled) else {
            return;
        };
        let id = self.streams.add(link, address, first);
        contact.dialing = Some(id);
        let generation = contact.generation + 1;
        if let Some(stream) = self.streams.all.get_mut(&id) {
            stream.peer = Some(key);
            stream.cookie = cookie;
            stream.generation = generation;
        }
        self.out.push_back(Output::Connect(id, address));
    }

    /// Opens a stream to a device that we do not know.
    pub(super) fn dial_stranger(
        &mut self,
        address: Address,
        cookie: Cookie,
        now: Millis,
    ) -> Option<StreamId> {
        let random = random::array(&mut *self.random);
        let purpose = Purpose::Pairing;
        let dialled = Link::dial(&mut *self.keys, purpose, None, cookie, random, now);
        let (link, first) = dialled.ok()?;
        let id = self.streams.add(link, address, first);
        if let Some(stream) = self.streams.all.get_mut(&id) {
            stream.cookie = cookie;
        }
        self.out.push_back(Output::Connect(id, address));
        Some(id)
    }

    /// The responder has many strangers: we come again, and show its cookie.
    fn retry(&mut self, id: StreamId, cookie: Cookie, now: Millis) {
        let Some(stream) = self.streams.all.remove(&id) else {
            return;
        };
        self.out.push_back(Output::Close(id));
        let is_first = stream.cookie == [0; 16];
        match stream.peer {
            Some(key) => {
                if let Some(contact) = self.contacts.get_mut(&key) {
                    contact.dialing = None;
                }
                if is_first {
                    self.dial(key, cookie, now);
                }
                self.busy.insert(key);
            }
            None if is_first => self.pairing_again(id, stream.address, cookie, now),
            None => self.run_ended(id, now),
        }
    }

    /// Closes a stream.
    pub(super) fn close(&mut self, id: StreamId, now: Millis) {
        if self.streams.all.contains_key(&id) {
            self.out.push_back(Output::Close(id));
            self.ended(id, now);
        }
    }

    fn ended(&mut self, id: StreamId, now: Millis) {
        let Some(stream) = self.streams.all.remove(&id) else {
            return;
        };
        if stream.link.purpose() == Purpose::Pairing {
            return self.run_ended(id, now);
        }
        let Some(key) = stream.peer.or(stream.link.peer()) else {
            return;
        };
        if let Some(contact) = self.contacts.get_mut(&key) {
            if contact.dialing == Some(id) {
                contact.dialing = None;
                contact.failed(now);
            }
            if contact.current == Some(id) {
                contact.disconnected();
            }
            if !contact.is_needed() {
                self.forget_unless_known(&key);
            }
            self.look_after(key, now);
        }
    }

    /// Closes all streams of a peer.
    pub(super) fn drop_streams(&mut self, key: &PublicKey) {
        let Some(contact) = self.contacts.get_mut(key) else {
            return;
        };
        let Contact {
            current, dialing, ..
        } = contact;
        for id in [current.take(), dialing.take()].into_iter().flatten() {
            self.streams.all.remove(&id);
            self.out.push_back(Output::Close(id));
        }
    }

    /// Streams that take too long.
    pub(super) fn expire_streams(&mut self, now: Millis) {
        if self.streams.deadline() > now {
            return;
        }
        let late = |stream: &Stream| !stream.proven && stream.until() <= now;
        let late = self.streams.all.iter().filter(|(_, stream)| late(stream));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(id, now);
        }
    }
}
