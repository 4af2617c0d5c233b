//! The bounds of a message's fields: what is out of them is no message.

use tessera_softbus_protocol::bytes::Malformed;
use tessera_softbus_protocol::limits::{BYTES, FRAME, LEASE, LEASES, OBJECTS, PIECE};
use tessera_softbus_protocol::link::{Got, Link, LinkError, PREAMBLE, Purpose};
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, Message, ObjectId, ObjectRef, Piece, Resume,
};

use crate::other::lending;
use crate::versions::{dial, keys};

fn is_read(message: Message) -> bool {
    let read = Message::read(&message.to_bytes());
    assert!(read == Ok(message) || read == Err(Malformed));
    read.is_ok()
}

fn call(change: impl Fn(&mut Call)) -> Message {
    let mut call = lending(1, &[]);
    change(&mut call);
    Message::Sequenced(1, Body::Call(call))
}

fn piece(lease: usize, length: usize) -> Message {
    Message::Sequenced(
        1,
        Body::Lend(Piece {
            call: 1,
            lease: lease as u8,
            offset: 0,
            bytes: vec![7; length],
        }),
    )
}

#[test]
fn a_call_has_so_many_bytes_leases_and_objects() {
    for (more, is_right) in [(0, true), (1, false)] {
        let bytes = call(|call| call.payload.bytes = vec![7; BYTES + more]);
        assert_eq!(is_read(bytes), is_right, "bytes");
        let lease = (Access::Read, 10);
        let leases = call(|call| call.leases = lending(1, &vec![lease; LEASES + more]).leases);
        assert_eq!(is_read(leases), is_right, "leases");
        let object = ObjectRef::Home(ObjectId::ROOT);
        let objects = call(|call| call.objects = vec![object; OBJECTS + more]);
        assert_eq!(is_read(objects), is_right, "objects");
        let lease = (Access::Read, (LEASE + more) as u64);
        let long = call(|call| call.leases = lending(1, &[lease]).leases);
        assert_eq!(is_read(long), is_right, "a lease");
    }
}

#[test]
fn a_piece_has_a_byte_at_least_and_a_place() {
    for (lease, length, is_right) in [
        (0, 1, true),
        (LEASES - 1, PIECE, true),
        (0, 0, false),
        (0, PIECE + 1, false),
        (LEASES, 1, false),
    ] {
        let read = is_read(piece(lease, length));
        assert_eq!(read, is_right, "{length} bytes of {lease}");
    }
}

#[test]
fn a_run_of_a_device_is_not_zero() {
    for (boot, epoch, is_right) in [(1, 1, true), (0, 1, false), (1, 0, false), (0, 0, false)] {
        let resume = Resume {
            boot,
            epoch,
            seen: (0, 0),
            received: 0,
            credit: 0,
            generation: 1,
            fresh: false,
        };
        assert_eq!(is_read(Message::Resume(resume)), is_right);
    }
}

#[test]
fn nothing_follows_a_message_and_nothing_of_it_is_missing() {
    let beat = Beat {
        received: 1,
        credit: 2,
        stamp: 3,
        echo: 4,
    };
    let lends = call(|call| call.leases = lending(1, &[(Access::Both, 10)]).leases);
    for message in [Message::Beat(beat), piece(0, 10), lends] {
        let bytes = message.to_bytes();
        assert_eq!(Message::read(&bytes), Ok(message));
        assert_eq!(Message::read(&[&bytes, &[0][..]].concat()), Err(Malformed));
        for end in 0..bytes.len() {
            assert_eq!(Message::read(&bytes[..end]), Err(Malformed), "{end}");
        }
    }
}

#[test]
fn a_frame_that_is_too_long_is_not_waited_for() {
    for (length, is_right) in [(FRAME, true), (FRAME + 1, false), (0xffff, false)] {
        let mut keys = keys();
        let (_, bytes) = dial(&mut keys, Purpose::Session);
        let mut answers = Link::answer(0);
        answers.push(&bytes[..PREAMBLE]);
        assert!(matches!(answers.poll(), Ok(Some(Got::Opened(..)))));
        answers.proceed(&mut keys[1], [4; 32]).unwrap();
        let [low, high] = (length as u16).to_le_bytes();
        answers.push(&[low, high, 1]);
        let expected = match is_right {
            true => Ok(None),
            false => Err(LinkError::Malformed),
        };
        assert_eq!(answers.poll(), expected, "{length}");
    }
}
