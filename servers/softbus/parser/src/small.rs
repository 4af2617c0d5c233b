//! Datagrams and messages of pairing as they are passed on: plain data of fixed size.

use libipc::{Bytes, Text, Wire};
use tessera_softbus_protocol::{
    announce::{self, Hello, Ping},
    limits::{NAME, TAGS},
    pairing,
    suite::PAKE,
    trust::Trusted,
};

/// A name and a kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Named {
    name: Text<NAME>,
    kind: u8,
}

impl Named {
    fn new(name: &str, kind: u8) -> Option<Named> {
        let name = Text::new(name)?;
        Some(Named { name, kind })
    }

    /// None if the name has what is not to be shown.
    fn get(&self) -> Option<(&str, u8)> {
        let name = self.name.as_str();
        (!name.chars().any(char::is_control)).then_some((name, self.kind))
    }
}

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Datagram {
    instance: u64,
    /// Sequence of an announcement, or nonce of a ping.
    number: u64,
    port: u16,
    hello: Option<Announced>,
    ping: Option<Pinged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
struct Announced {
    interval: u16,
    seeks: bool,
    leaves: bool,
    open: Option<Named>,
    tags: [u64; TAGS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
struct Pinged {
    echo: u64,
    tag: [u64; 2],
}

impl Datagram {
    /// As it was read. None if it does not fit, which is not so with any that was.
    pub fn new(read: &announce::Datagram) -> Option<Datagram> {
        Some(match read {
            announce::Datagram::Hello(hello) => Datagram {
                instance: hello.instance,
                number: hello.sequence,
                port: hello.port,
                hello: Some(Announced {
                    interval: hello.interval,
                    seeks: hello.seeks,
                    leaves: hello.leaves,
                    open: match &hello.open {
                        Some((name, kind)) => Some(Named::new(name, *kind)?),
                        None => None,
                    },
                    tags: hello.tags.map(u64::from_le_bytes),
                }),
                ping: None,
            },
            announce::Datagram::Ping(ping, tag) => {
                let [low, high]: [[u8; 8]; 2] = tag.as_chunks().0.try_into().ok()?;
                Datagram {
                    instance: ping.instance,
                    number: ping.nonce,
                    port: ping.port,
                    hello: None,
                    ping: Some(Pinged {
                        echo: ping.echo,
                        tag: [low, high].map(u64::from_le_bytes),
                    }),
                }
            }
        })
    }

    /// The datagram; none if nobody could have read this.
    pub fn get(&self) -> Option<announce::Datagram> {
        let (instance, port) = (self.instance, self.port);
        match (self.hello, self.ping) {
            (Some(hello), None) => Some(announce::Datagram::Hello(Hello {
                instance,
                sequence: self.number,
                interval: hello.interval,
                port,
                seeks: hello.seeks,
                leaves: hello.leaves,
                open: match hello.open {
                    Some(open) => open.get().map(|(name, kind)| Some((name.into(), kind)))?,
                    None => None,
                },
                tags: hello.tags.map(u64::to_le_bytes),
            })),
            (None, Some(pinged)) => {
                let ping = Ping {
                    instance,
                    nonce: self.number,
                    echo: pinged.echo,
                    port,
                };
                let mut tag = [0; 16];
                tag.copy_from_slice(pinged.tag.map(u64::to_le_bytes).as_flattened());
                Some(announce::Datagram::Ping(ping, tag))
            }
            _ => None,
        }
    }
}

/// What one says in an exchange over a PIN. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
enum Kind {
    Exchange = 1,
    Confirm = 2,
    Kept = 3,
    Wrong = 4,
}

/// A message of pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Said {
    kind: Kind,
    bytes: Bytes<PAKE>,
    who: Option<Named>,
}

impl Said {
    /// As it was read; see [`Datagram::new`].
    pub fn new(said: &pairing::Said) -> Option<Said> {
        let (kind, bytes, who) = match said {
            pairing::Said::Exchange(message) => (Kind::Exchange, &message[..], None),
            pairing::Said::Confirm(shown, who) => {
                let who = Named::new(&who.name, who.kind)?;
                (Kind::Confirm, &shown[..], Some(who))
            }
            pairing::Said::Kept => (Kind::Kept, &[][..], None),
            pairing::Said::Wrong => (Kind::Wrong, &[][..], None),
        };
        let bytes = Bytes::new(bytes)?;
        Some(Said { kind, bytes, who })
    }

    /// The message; none if nobody could have read this.
    pub fn get(&self) -> Option<pairing::Said> {
        let bytes = self.bytes.as_slice();
        Some(match (self.kind, &self.who) {
            (Kind::Exchange, None) => pairing::Said::Exchange(bytes.try_into().ok()?),
            (Kind::Confirm, Some(who)) => {
                let (name, kind) = who.get()?;
                let name = name.into();
                pairing::Said::Confirm(bytes.try_into().ok()?, Trusted { name, kind })
            }
            (Kind::Kept, None) => pairing::Said::Kept,
            (Kind::Wrong, None) => pairing::Said::Wrong,
            _ => return None,
        })
    }
}
