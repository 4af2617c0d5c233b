//! What the page says is to be published.
//!
//! `publish:NAME=INTERFACE` publishes the capability that the page gives under `NAME`, or
//! the directory of this name that the page lets whoever holds the keys give out. With
//! `private:` in place of `publish:` the owner is asked at first use.

use crate::server::Server;
use libipc::{Capability, Start};

/// Publishes all that the arguments name. What is not there is left out.
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
        let capability: Option<Capability> = match start.take(name) {
            Ok(capability) => Some(capability),
            Err(_) => server.keeper.directory(name).map(Capability::from),
        };
        if let Some(capability) = capability {
            // Of two of one name the first counts.
            let _ = server.publish_own(name, (interface, 0), is_private, capability);
        }
    }
}
