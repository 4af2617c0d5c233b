//! What the keys of a stream are good for, and for how long.

use tessera_softbus_protocol::keys::{
    Broken, Keys, PAKE, Pattern, PublicKey, Session, Side, Tagged,
};
use tessera_softbus_protocol::limits::{FRAME, REKEY_AFTER, REKEY_BYTES, TAG};
use tessera_softbus_protocol::link::{Got, Link, LinkError, PREAMBLE, Purpose};
use tessera_softbus_protocol::node::Event;
use tessera_softbus_protocol::trust::Trusted;

use crate::calls::nodes;
use crate::net::Net;
use crate::versions::{dial, frame, keys};

#[test]
fn nothing_is_heard_that_comes_with_a_handshake() {
    for (purpose, pattern) in [
        (Purpose::Session, Pattern::Known),
        (Purpose::Pairing, Pattern::Unknown),
    ] {
        for early in [&b""[..], b"x", &[7; 1000]] {
            let mut keys = keys();
            let (_, bytes) = dial(&mut keys, purpose);
            let mut prologue = b"tessera soft bus".to_vec();
            prologue.extend_from_slice(&bytes[..PREAMBLE]);
            let [first, second] = &mut keys;
            let peer = second.public();
            let peer = (purpose == Purpose::Session).then_some(&peer);
            let session = first.handshake(pattern, Side::Initiator, peer, &prologue, [5; 32]);
            let message = session.unwrap().write(early).unwrap();
            let mut answers = Link::answer(0);
            answers.push(&bytes[..PREAMBLE]);
            assert!(matches!(answers.poll(), Ok(Some(Got::Opened(..)))));
            answers.proceed(second, [4; 32]).unwrap();
            answers.push(&frame(&message));
            match answers.poll() {
                Ok(Some(Got::Asked(_) | Got::Send(_))) => assert!(early.is_empty()),
                other => assert_eq!((other, early.is_empty()), (MALFORMED, false)),
            }
        }
    }
}

const MALFORMED: Result<Option<Got>, LinkError> = Err(LinkError::Malformed);

/// Streams that somebody dialled since this was asked last.
fn dialled(net: &mut Net) -> usize {
    let sent = std::mem::take(&mut net.wire);
    let first = |bytes: &[u8]| bytes.starts_with(b"TSBS");
    let streams = sent.iter().filter(|packet| packet.stream.is_some());
    streams.filter(|packet| first(&packet.bytes)).count()
}

#[test]
fn a_session_that_lasts_has_another_key_after_an_hour() {
    let mut net = nodes(2);
    let [zero, one] = [net.key(0), net.key(1)];
    net.nodes[1].watch(&zero, true, net.now);
    net.run(5_000);
    assert!(net.nodes[0].is_connected(&one));
    net.events.clear();
    dialled(&mut net);
    net.run(REKEY_AFTER - 10_000);
    assert_eq!(dialled(&mut net), 0, "there is no reason yet");
    net.run(10_000);
    assert_eq!(dialled(&mut net), 1);
    let lost = |(_, event): &(usize, Event)| matches!(event, Event::Lost(_));
    assert!(!net.events.iter().any(lost), "nobody notices");
}

/// Encrypts nothing, for it is quick.
struct Plain;

impl Keys for Plain {
    fn public(&self) -> PublicKey {
        PublicKey([1; 32])
    }

    fn tags(&mut self, _: Tagged, _: &[PublicKey], _: &[u8]) -> Option<Vec<[u8; 16]>> {
        None
    }

    fn recognise(&mut self, _: Tagged, _: &[u8], _: &[u8], _: &[PublicKey]) -> Option<PublicKey> {
        None
    }

    fn handshake(
        &mut self,
        _: Pattern,
        _: Side,
        _: Option<&PublicKey>,
        _: &[u8],
        _: [u8; 32],
    ) -> Result<Box<dyn Session>, Broken> {
        Ok(Box::new(Plain))
    }
}

impl Session for Plain {
    fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(payload.into())
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(message.into())
    }

    fn remote(&self) -> Option<PublicKey> {
        Some(self.public())
    }

    fn complete(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    fn seal(&mut self, plain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Broken> {
        let seal = |plain: &Vec<u8>| [plain, &[0; TAG][..]].concat();
        Ok(plain.iter().map(seal).collect())
    }

    fn open(&mut self, sealed: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let open = |sealed: &Vec<u8>| sealed[..sealed.len() - TAG].into();
        sealed.iter().map(open).collect()
    }

    fn exchange(&mut self, _: &[u8], _: [u8; 64]) -> Result<[u8; PAKE], Broken> {
        Err(Broken)
    }

    fn agree(&mut self, _: &[u8; PAKE]) -> Result<(), Broken> {
        Err(Broken)
    }

    fn confirmation(&mut self, _: &Trusted) -> Result<[u8; 16], Broken> {
        Err(Broken)
    }

    fn confirms(&mut self, _: &[u8; 16], _: &Trusted) -> Result<bool, Broken> {
        Err(Broken)
    }
}

#[test]
fn a_key_is_worn_when_it_is_old_or_both_directions_have_used_it_much() {
    let start = || {
        let key = PublicKey([1; 32]);
        let dialled = Link::dial(
            &mut Plain,
            Purpose::Session,
            Some(&key),
            [0; 16],
            [3; 32],
            500,
        );
        let (mut link, _) = dialled.unwrap();
        link.push(&frame(&[1, 1, 1]));
        assert_eq!(link.poll(), Ok(Some(Got::Ready(key))));
        link
    };
    let link = start();
    assert!(!link.is_worn(500 + REKEY_AFTER - 1));
    assert!(link.is_worn(500 + REKEY_AFTER));
    let plain = vec![vec![0; FRAME - TAG]; 256];
    let frames = start().seal(&plain).unwrap().concat();
    let (mut link, mut used) = (start(), 0);
    while used < REKEY_BYTES {
        assert!(!link.is_worn(500), "{used}");
        link.seal(&plain).unwrap();
        link.push(&frames);
        assert!(matches!(link.poll(), Ok(Some(Got::Data(_)))));
        used += (2 * plain.len() * FRAME) as u64;
    }
    assert!(link.is_worn(500), "{used}");
}
