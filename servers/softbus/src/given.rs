//! What the owner has said yes to: which device may use which private service.
//!
//! A consent is for a device's key, a service's name and its interface. It ends when the
//! device is trusted no longer, when the service is taken off the list of what is
//! published, and by the owner's word. The end of the bus or of the machine ends none.

use crate::kept;
use alloc::{collections::BTreeSet, string::String, vec::Vec};
use tessera_softbus_protocol::{
    bytes::{Malformed, cut},
    limits::NAME,
    suite::PublicKey,
};

/// Consents at most; the owner is asked for no more.
pub const CONSENTS: usize = 256;

/// What the file says of itself.
const KIND: u8 = 2;

/// That a device may use a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consent {
    /// The device.
    pub device: PublicKey,
    /// What is published.
    pub service: String,
    /// Its interface.
    pub interface: String,
}

impl Consent {
    /// One with names as they are kept.
    pub fn new(device: PublicKey, service: &str, interface: &str) -> Self {
        Consent {
            device,
            service: cut(service, NAME).into(),
            interface: cut(interface, NAME).into(),
        }
    }
}

/// All consents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given(BTreeSet<Consent>);

impl Given {
    /// Reads what was kept; nothing was if there are no bytes. [`Malformed`] if it is not
    /// what was written: then the owner is asked anew.
    pub fn read(bytes: &[u8]) -> Result<Given, Malformed> {
        if bytes.is_empty() {
            return Ok(Given::default());
        }
        let mut reader = kept::open(KIND, bytes)?;
        let count = usize::from(reader.u16()?);
        if count > CONSENTS {
            return Err(Malformed);
        }
        let mut given = Given::default();
        for _ in 0..count {
            let device = PublicKey(reader.array()?);
            let (service, interface) = (reader.text(NAME)?, reader.text(NAME)?);
            given.0.insert(Consent {
                device,
                service,
                interface,
            });
        }
        reader.end()?;
        Ok(given)
    }

    /// What is to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = kept::begin(KIND);
        writer.u16(self.0.len() as u16);
        for consent in &self.0 {
            writer.bytes(&consent.device.0);
            writer.text(&consent.service, NAME);
            writer.text(&consent.interface, NAME);
        }
        kept::seal(writer)
    }

    /// Whether the owner has said so.
    pub fn holds(&self, consent: &Consent) -> bool {
        self.0.contains(consent)
    }

    /// Whether there is room for another.
    pub fn has_room(&self) -> bool {
        self.0.len() < CONSENTS
    }

    /// The owner says so; false if there is no room.
    #[must_use]
    pub fn add(&mut self, consent: Consent) -> bool {
        let fits = self.has_room() || self.holds(&consent);
        if fits {
            self.0.insert(consent);
        }
        fits
    }

    /// Leaves those of which this is true, and says whether others went.
    pub fn retain(&mut self, stays: impl FnMut(&Consent) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(stays);
        self.0.len() < before
    }

    /// All of them, by device.
    pub fn iter(&self) -> impl Iterator<Item = &Consent> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept;
    use proptest::prelude::*;
    use tessera_softbus_keys::interface::RECORD;

    fn consent() -> impl Strategy<Value = Consent> {
        let name = "[a-z0-9-]{1,40}";
        (0..4_u8, name, name).prop_map(|(key, service, interface)| {
            Consent::new(PublicKey([key; 32]), &service, &interface)
        })
    }

    #[test]
    fn it_is_bounded_and_fits_where_it_is_kept() {
        let mut given = Given::default();
        let long = "x".repeat(NAME);
        for index in 0..CONSENTS {
            let device = PublicKey([index as u8; 32]);
            assert!(given.add(Consent::new(device, &long, &long)));
        }
        let first = Consent::new(PublicKey([0; 32]), &long, &long);
        assert!(!given.add(Consent::new(PublicKey([0; 32]), "y", &long)));
        assert!(given.add(first));
        assert!(given.to_bytes().len() <= RECORD);
        // More than there may be are not believed.
        let mut file = kept::begin(KIND);
        file.u16(CONSENTS as u16 + 1);
        for index in 0..=CONSENTS as u16 {
            file.bytes(&[0; 30]).u16(index);
            file.text("a", NAME).text("B", NAME);
        }
        assert_eq!(Given::read(&kept::seal(file)), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read(consents in proptest::collection::vec(consent(), 0..40)) {
            let mut given = Given::default();
            for consent in &consents {
                prop_assert!(given.add(consent.clone()));
            }
            let read = Given::read(&given.to_bytes()).unwrap();
            prop_assert!(consents.iter().all(|consent| read.holds(consent)));
            prop_assert_eq!(read, given);
        }

        #[test]
        fn what_is_damaged_is_noticed(
            consents in proptest::collection::vec(consent(), 1..8),
            at in any::<proptest::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let mut given = Given::default();
            for consent in consents {
                prop_assert!(given.add(consent));
            }
            let mut bytes = given.to_bytes();
            let at = at.index(bytes.len());
            prop_assert_eq!(Given::read(&bytes[..at]).ok(), (at == 0).then(Given::default));
            bytes[at] ^= change;
            prop_assert_eq!(Given::read(&bytes), Err(Malformed));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = kept::begin(KIND);
            file.bytes(&bytes);
            let _ = Given::read(&bytes);
            let _ = Given::read(&kept::seal(file));
        }
    }
}
