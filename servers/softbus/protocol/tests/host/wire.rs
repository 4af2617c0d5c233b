//! Reading what was written gives the same; reading anything else does no harm.

use proptest::collection::vec;
use proptest::prelude::*;
use tessera_softbus_protocol::announce::Datagram;
use tessera_softbus_protocol::trust::Trust;
use tessera_softbus_protocol::wire::Message;

use crate::strategies::message;

proptest! {
    #[test]
    fn messages_survive(message in message()) {
        prop_assert_eq!(Message::read(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn what_is_read_was_written_so(bytes in vec(any::<u8>(), 0..300), message in message(),
                                   place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut changed = message.to_bytes();
        let place = place.index(changed.len());
        changed[place] ^= flip;
        changed.truncate(5000);
        for bytes in [bytes, changed] {
            let _ = Datagram::read(&bytes);
            let _ = Trust::read(&bytes);
            if let Ok(message) = Message::read(&bytes) {
                prop_assert_eq!(Message::read(&message.to_bytes()), Ok(message));
            }
        }
    }
}
