//! The datagrams: two kinds, each of one size.

use alloc::{string::String, vec::Vec};

use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{NAME, TAGS};
use crate::versions::Versions;

/// A tag of an announcement: by it one peer recognises it.
pub type Tag = [u8; 8];

/// Bytes that tags of an announcement cover: all before them.
pub const HEAD: usize = 64;
/// Bytes of an announcement.
pub const HELLO: usize = HEAD + TAGS * 8;
/// Bytes of a ping that its tag covers.
pub const PING_HEAD: usize = 48;
/// Bytes of a ping.
pub const PING: usize = PING_HEAD + 16;

const MAGIC: [u8; 4] = *b"TSBD";
const KIND_HELLO: u8 = 1;
const KIND_PING: u8 = 2;

const OPEN: u8 = 1 << 0;
const SEEKS: u8 = 1 << 1;
const LEAVES: u8 = 1 << 2;

/// An announcement, to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Random, of this boot: nothing in an announcement lasts longer.
    pub instance: u64,
    /// Rises with each announcement.
    pub sequence: u64,
    /// Tenths of a second until the next.
    pub interval: u16,
    /// The port for streams.
    pub port: u16,
    /// The sender has just come and wants to know who is there.
    pub seeks: bool,
    /// The sender goes.
    pub leaves: bool,
    /// Pairing is open: only then there are a name and a kind.
    pub open: Option<(String, u8)>,
    /// Tags in no order; those that stand for nobody are random.
    pub tags: [Tag; TAGS],
}

/// A question whether somebody is there, or the answer, to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The sender's instance.
    pub instance: u64,
    /// To be echoed, if not zero.
    pub nonce: u64,
    /// What it echoes, or zero.
    pub echo: u64,
    /// The sender's port for streams.
    pub port: u16,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// An announcement.
    Hello(Hello),
    /// A ping and its tag.
    Ping(Ping, [u8; 16]),
}

impl Datagram {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Datagram, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(Malformed);
        }
        let theirs = Versions::read(&mut reader)?;
        if Versions::OURS.common(theirs).is_none() {
            return Err(Malformed);
        }
        let (kind, flags) = (reader.u8()?, reader.u8()?);
        let datagram = match kind {
            KIND_HELLO if flags & !(OPEN | SEEKS | LEAVES) == 0 => {
                Datagram::Hello(Hello::read(flags, &mut reader)?)
            }
            KIND_PING if flags == 0 => {
                let ping = Ping {
                    instance: reader.u64()?,
                    nonce: reader.u64()?,
                    echo: reader.u64()?,
                    port: reader.u16()?,
                };
                if reader.array::<14>()? != [0; 14] {
                    return Err(Malformed);
                }
                Datagram::Ping(ping, reader.array()?)
            }
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(datagram)
    }
}

impl Hello {
    fn read(flags: u8, reader: &mut Reader<'_>) -> Result<Hello, Malformed> {
        let (instance, sequence) = (reader.u64()?, reader.u64()?);
        let (interval, port) = (reader.u16()?, reader.u16()?);
        let (kind, length) = (reader.u8()?, usize::from(reader.u8()?));
        let name = reader.bytes(NAME)?;
        let _ = reader.u16()?;
        let open = if flags & OPEN == 0 {
            None
        } else {
            let name = core::str::from_utf8(name.get(..length).ok_or(Malformed)?);
            let name = name.map_err(|_| Malformed)?;
            if name.chars().any(char::is_control) {
                return Err(Malformed);
            }
            Some((name.into(), kind))
        };
        let mut tags = [[0; 8]; TAGS];
        for tag in &mut tags {
            *tag = reader.array()?;
        }
        Ok(Hello {
            instance,
            sequence,
            interval,
            port,
            seeks: flags & SEEKS != 0,
            leaves: flags & LEAVES != 0,
            open,
            tags,
        })
    }

    /// Whether it is what these bytes say, the name of whoever can be paired with left out.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        bytes.get(6..28) == self.head().get(6..28)
            && bytes.get(HEAD..) == Some(self.tags.as_flattened())
    }

    /// What the tags cover.
    pub fn head(&self) -> Vec<u8> {
        let mut flags = if self.open.is_some() { OPEN } else { 0 };
        flags |= if self.seeks { SEEKS } else { 0 };
        flags |= if self.leaves { LEAVES } else { 0 };
        let mut writer = start(KIND_HELLO, flags, HELLO);
        writer.u64(self.instance).u64(self.sequence);
        writer.u16(self.interval).u16(self.port);
        let (name, kind) = self
            .open
            .as_ref()
            .map_or(("", 0), |(name, kind)| (name, *kind));
        let name = crate::bytes::cut(name, NAME).as_bytes();
        writer.u8(kind).u8(name.len() as u8).bytes(name);
        writer.0.resize(HEAD, 0);
        writer.0
    }

    /// Its bytes: the head, and the tags.
    pub fn finish(&self, head: Vec<u8>) -> Vec<u8> {
        let mut writer = Writer(head);
        self.tags.iter().for_each(|tag| {
            writer.bytes(tag);
        });
        writer.0
    }
}

impl Ping {
    /// Whether it is what these bytes say, with this tag.
    pub fn is_of(&self, tag: &[u8; 16], bytes: &[u8]) -> bool {
        bytes.get(6..PING_HEAD) == self.head().get(6..) && bytes.get(PING_HEAD..) == Some(tag)
    }

    /// What the tag covers.
    pub fn head(&self) -> Vec<u8> {
        let mut writer = start(KIND_PING, 0, PING);
        writer
            .u64(self.instance)
            .u64(self.nonce)
            .u64(self.echo)
            .u16(self.port);
        writer.0.resize(PING_HEAD, 0);
        writer.0
    }
}

fn start(kind: u8, flags: u8, size: usize) -> Writer {
    let mut writer = Writer::with_room(size);
    writer.bytes(&MAGIC).bytes(&Versions::OURS.to_bytes());
    writer.u8(kind).u8(flags);
    writer
}
