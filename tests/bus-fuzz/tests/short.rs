//! A short campaign: the long one is `cargo xtask fuzz bus`.

#![forbid(unsafe_code)]

use tessera_bus_fuzz::campaign::run;
use tessera_bus_fuzz::mutate::CORPUS;
use tessera_softbus_protocol::announce::Datagram;
use tessera_softbus_protocol::trust::Trust;
use tessera_softbus_protocol::wire::Message;

#[test]
fn nothing_breaks_and_much_is_reached() {
    let counts = run(450_000, 1, None, |_, _| {}).unwrap_or_else(|found| panic!("{found}"));
    for (target, (_, features)) in &counts.targets {
        assert!(
            features.len() > 3,
            "{target} leads to too little: {features:?}"
        );
    }
}

/// What lies behind the first checks is reached too.
#[test]
fn honest_looking_peers_get_somewhere() {
    for (target, outcome, what) in [
        ("datagrams", 2, "a peer appears"),
        ("datagrams", 8, "a peer goes"),
        ("nodes", 4, "a call comes to the host"),
        ("nodes", 32, "an object is taken back"),
        ("peers", 1 << 34, "a call of ours is answered"),
        ("streams", 16, "data is decrypted"),
        ("tables", 2, "a call is allowed"),
        ("tables", 16, "an object is handed on"),
        ("noise", 1, "a record is read"),
        ("noise", 32, "a handshake is completed"),
        ("noise", 128, "an exchange is completed"),
    ] {
        let counts = run(60_000, 2, Some(target), |_, _| {});
        let counts = counts.unwrap_or_else(|found| panic!("{found}"));
        let (_, features) = &counts.targets[target];
        assert!(
            features.iter().any(|feature| feature & outcome != 0),
            "{what}"
        );
    }
}

/// A corpus that no parser takes leads nowhere.
#[test]
fn what_inputs_begin_with_is_understood() {
    let is_read = |bytes: &&[u8]| {
        Message::read(bytes).is_ok() || Datagram::read(bytes).is_ok() || Trust::read(bytes).is_ok()
    };
    // Beside these there are the opening of a stream and a message of pairing.
    assert_eq!(
        CORPUS.iter().filter(|bytes| is_read(bytes)).count(),
        CORPUS.len() - 2
    );
}
