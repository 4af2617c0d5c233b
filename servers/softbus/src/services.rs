//! What is published, by programs here and by the page.
//!
//! Of the page's arguments, `publish:NAME=INTERFACE` publishes the capability that the page
//! gives under `NAME`, or the directory of this name that the page lets whoever holds the
//! keys give out. With `private:` in place of `publish:` the owner is asked at first use.

use crate::{
    objects::{BOUND, Export},
    server::{Published, Server},
};
use alloc::vec::Vec;
use libipc::{
    Capability, Start,
    handle::{ObjectType, Rights as Held},
    interfaces::bus::BusError,
};
use tessera_softbus_protocol::{
    node::{Import, Object},
    suite::PublicKey,
    table::{Local, Service},
    wire::Rights,
};

/// Publishes all that the page's arguments name. What is not there is left out.
pub fn publish(server: &mut Server<'_>, start: &mut Start, arguments: &[&str]) {
    for argument in arguments {
        let (what, is_private) = match argument.split_once(':') {
            Some(("publish", what)) => (what, false),
            Some(("private", what)) => (what, true),
            _ => continue,
        };
        let Some((name, interface)) = what.split_once('=') else {
            continue;
        };
        // Of two of one name the first counts.
        if let Ok(capability) = start.take(name) {
            let _ = server.publish_own(name, (interface, 0), is_private, capability);
        } else {
            let _ = server.publish_place(name, (interface, 0), is_private);
        }
    }
}

impl Server<'_> {
    /// Publishes a service, for these devices alone if they are given.
    pub fn publish(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        only: Option<Vec<PublicKey>>,
        server: Capability,
    ) -> Result<(), BusError> {
        let import = self.own(&server).map_err(|_| BusError::NotExported)?;
        let may_leave = server.object_type() == Some(ObjectType::Endpoint)
            && server.rights().contains(Held::EXPORT);
        if import.is_none() && !may_leave {
            return Err(BusError::NotExported);
        }
        // Another device's is handed on to who opens it, who then calls it there; unless
        // the owner here has a say about each use.
        let handed_on = import.filter(|_| !is_private);
        self.publish_as(name, interface, is_private, only, server, handed_on)
    }

    /// Publishes what is this device's own to lend, whatever the capability allows.
    pub fn publish_own(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        server: Capability,
    ) -> Result<(), BusError> {
        self.publish_as(name, interface, is_private, None, server, None)
    }

    /// Publishes a directory that the page lets whoever holds the keys give out.
    pub fn publish_place(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
    ) -> Result<(), BusError> {
        let directory = self.keeper.directory(name).ok_or(BusError::NoService)?;
        self.publish_own(name, interface, is_private, directory.into())?;
        if let Some(published) = self.published.get(name) {
            self.exports.set_place(published.local, name);
        }
        Ok(())
    }

    /// A directory of the page's has ended, or was removed: its file server was started
    /// again, say. It is looked for again, so that the next call gets there.
    pub(crate) fn renew(&mut self, local: Local) {
        let place = self.exports.place(local);
        if let Some(directory) = place.and_then(|place| self.keeper.directory(&place)) {
            self.exports.renew(local, directory.into());
        }
    }

    fn publish_as(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        only: Option<Vec<PublicKey>>,
        server: Capability,
        handed_on: Option<Import>,
    ) -> Result<(), BusError> {
        let is_plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (interface, hash) = interface;
        if !is_plain(name) || !is_plain(interface) {
            return Err(BusError::BadName);
        }
        if self.published.contains_key(name) {
            return Err(BusError::Exists);
        }
        let hashes = match hash {
            0 => self.registry.hashes(interface).map(Vec::from),
            // What calls itself by a known name is that.
            hash => match self.registry.hashes(interface) {
                Some(known) if !known.contains(&hash) => None,
                // And what calls itself by no known name is no such thing.
                _ if self.registry.is_of_another(hash, interface) => None,
                _ => Some(Vec::from([hash])),
            },
        };
        let export = Export {
            service: Some(name.into()),
            is_private,
            hashes: hashes.ok_or(BusError::BadName)?,
            ..Export::of(server)
        };
        let rights = export.rights();
        let local = self.exports.add(export);
        let object = match handed_on {
            Some(import) => Object::Import(import, Rights::ALL, BOUND),
            None => Object::Local(local, rights),
        };
        let service = Service {
            object,
            interface: interface.into(),
            only,
        };
        if !self.node.publish(name, service) {
            self.exports.remove(local);
            return Err(BusError::TooMany);
        }
        let published = Published {
            local,
            is_handed_on: handed_on.is_some(),
            interface: interface.into(),
        };
        self.published.insert(name.into(), published);
        Ok(())
    }
}
