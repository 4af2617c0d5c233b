//! What others say of themselves is shown to people: it is text, and moves no cursor.

use tessera_softbus_protocol::announce::{Datagram, Hello};
use tessera_softbus_protocol::bytes::{Malformed, Reader};
use tessera_softbus_protocol::limits::NAME;
use tessera_softbus_protocol::pairing::Said;
use tessera_softbus_protocol::trust::Trusted;

const GOOD: [&str; 4] = ["", "device 1", "Küche", "寝室"];
/// A command of a terminal, its one-byte form, ends of lines and strings, deletion.
const BAD: [&str; 7] = [
    "\x1b[2J",
    "a\u{9b}2J",
    "line\n",
    "line\r",
    "nul\0",
    "\x7f",
    "bell\x07",
];

/// Whether a name is taken, by each of those who read one.
fn is_read(name: &str) -> [bool; 3] {
    let mut bytes = vec![name.len() as u8];
    bytes.extend_from_slice(name.as_bytes());
    let text = Reader::new(&bytes).text(NAME);
    assert!(text.as_deref().unwrap_or(name) == name);
    let them = Trusted {
        name: name.into(),
        kind: 1,
    };
    let confirms = Said::read(&Said::Confirm([7; 16], them).to_bytes());
    let hello = Hello {
        instance: 1,
        sequence: 1,
        interval: 40,
        port: 700,
        seeks: false,
        leaves: false,
        open: Some((name.into(), 1)),
        tags: [[0; 8]; 16],
    };
    let hello = Datagram::read(&hello.finish(hello.head()));
    [text.is_ok(), confirms.is_ok(), hello.is_ok()]
}

#[test]
fn a_name_has_no_control_characters() {
    for name in GOOD {
        assert_eq!(is_read(name), [true; 3], "{name:?}");
    }
    for name in BAD {
        assert_eq!(is_read(name), [false; 3], "{name:?}");
    }
}

#[test]
fn a_name_is_text_and_not_long() {
    for bytes in [&b"\x02\xc3\x28"[..], b"\x01\xff", b"\x02a", b""] {
        assert_eq!(Reader::new(bytes).text(NAME), Err(Malformed));
    }
    let mut long = vec![NAME as u8 + 1];
    long.resize(NAME + 2, b'a');
    assert_eq!(Reader::new(&long).text(NAME), Err(Malformed));
    long[0] -= 1;
    assert_eq!(Reader::new(&long).text(NAME), Ok("a".repeat(NAME)));
}
