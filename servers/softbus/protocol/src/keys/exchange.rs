//! What the exchange over a PIN is bound to.

use alloc::vec::Vec;

use crate::bytes::Writer;
use crate::suite::{PublicKey, Side, Suite};
use crate::trust::Trusted;
use crate::versions::Versions;

/// Names of both sides, the initiator's first: the handshake's digest and both static keys
/// are in them, so that a PIN that was right elsewhere is of no use here.
pub(super) fn names(
    side: Side,
    digest: &[u8; 32],
    mine: PublicKey,
    theirs: PublicKey,
) -> [Vec<u8>; 2] {
    let (first, second) = match side {
        Side::Initiator => (mine, theirs),
        Side::Responder => (theirs, mine),
    };
    let name = |role: &[u8], key: &PublicKey| {
        let mut writer = Writer::default();
        let version = Versions::OURS.newest;
        writer.bytes(b"tessera pairing ").u8(version).bytes(role);
        writer.bytes(digest).bytes(&key.0);
        writer.0
    };
    [name(b" initiator ", &first), name(b" responder ", &second)]
}

/// What one side shows. One for each direction: neither can be sent back as the other.
pub(super) fn confirmation<S: Suite>(
    key: &[u8; 32],
    side: Side,
    digest: &[u8; 32],
    who: &Trusted,
) -> [u8; 16] {
    let direction: &[u8] = match side {
        Side::Initiator => b"tessera confirm initiator",
        Side::Responder => b"tessera confirm responder",
    };
    S::mac(key, &[direction, digest, &[who.kind], who.name.as_bytes()])
}
