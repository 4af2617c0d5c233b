//! What devices are called here.
//!
//! A device says its name itself. One that two trusted devices have, whatever the case of
//! its letters, or that is written as a number, is none: both are called by their numbers,
//! and who is to speak to a device of that name speaks to neither.

use crate::{events::number, server::Server};
use alloc::{format, string::String, vec::Vec};
use libipc::interfaces::bus::BusName;
use tessera_softbus_protocol::suite::PublicKey;

/// A device, and what it is called: nothing if by its number.
pub(crate) type Called = (PublicKey, BusName);

impl Server<'_> {
    /// The trusted devices.
    pub(crate) fn names(&self) -> Vec<Called> {
        let trusted = self.node.trusted();
        let named = trusted.map(|(key, known, _)| (*key, plain(&known.name)));
        unambiguous(named.collect())
    }

    /// What a device is called, by its number if need be.
    pub(crate) fn name_of(&self, device: &PublicKey) -> BusName {
        let called = self.names();
        let found = called.iter().find(|(key, _)| key == device);
        match found {
            Some((_, name)) if !name.as_str().is_empty() => *name,
            _ => BusName::new(&numbered(device)).unwrap_or_default(),
        }
    }
}

/// Takes from all devices the names that are none.
fn unambiguous(named: Vec<Called>) -> Vec<Called> {
    let is_name = |name: &str| {
        let same = |(_, other): &&Called| other.as_str().eq_ignore_ascii_case(name);
        !is_number(name) && named.iter().filter(same).count() == 1
    };
    let one = |(key, name): &Called| match is_name(name.as_str()) {
        true => (*key, *name),
        false => (*key, BusName::default()),
    };
    named.iter().map(one).collect()
}

/// A device's number, as it is written.
pub(crate) fn numbered(device: &PublicKey) -> String {
    format!("{:016x}", number(device))
}

/// Whether it is written as devices' numbers are.
pub(crate) fn is_number(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name that came from elsewhere, as it is shown: what is no plain text is left out.
pub(crate) fn plain(name: &str) -> BusName {
    let shown: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(32)
        .collect();
    BusName::new(&shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_name_of_another_or_a_number() {
        let names = [
            "kitchen",
            "garage",
            "Kitchen",
            "0123456789ABCDEF",
            "gar\u{7}age2",
        ];
        let named = (1..).zip(names);
        let named = named.map(|(number, name)| (PublicKey([number; 32]), plain(name)));
        let called = unambiguous(named.collect());
        let called: Vec<_> = called.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(called, ["", "garage", "", "", "garage2"]);
    }
}
