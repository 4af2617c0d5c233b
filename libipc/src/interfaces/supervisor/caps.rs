//! `Caps`: what authority each task holds.

use super::{CapabilityName, Name, SupervisorError};
use crate::handle::{ObjectType, Rights};
use crate::wire::Text;
use crate::{Wire, interface};
use core::fmt;

/// Tells what authority each task holds.
#[interface]
pub trait Caps {
    /// The first capability in the table of `task` at slot `index` or later;
    /// `NotFound` past the last.
    #[op(0, idempotent)]
    fn capability(&mut self, task: Name, index: u64) -> Result<Holding, SupervisorError>;
}

/// A capability that a task holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Holding {
    /// The name under which its holder found it when it started, if it did.
    pub name: CapabilityName,
    /// Number of the [`ObjectType`].
    pub kind: u8,
    /// Bits of [`Rights`].
    pub rights: u8,
    /// Number of the object.
    pub object: u64,
    /// The badge, for an endpoint that has one.
    pub badge: u64,
    /// Which object it is, in words.
    pub what: Text<64>,
    /// The next slot to ask for, or 0 at the end of the table.
    pub next: u64,
}

/// The rights of a capability in words: `call, grant`.
pub fn rights_in_words(kind: ObjectType, rights: Rights) -> impl fmt::Display {
    InWords { kind, rights }
}

struct InWords {
    kind: ObjectType,
    rights: Rights,
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: &[(Rights, &str)] = match self.kind {
            ObjectType::Endpoint => &[
                (Rights::CALL, "call"),
                (Rights::RECEIVE, "receive"),
                (Rights::SIGNAL, "signal"),
                (Rights::CONTROL, "control"),
                (Rights::PROXY, "proxy"),
                (Rights::EXPORT, "export"),
                (Rights::FAR_ONLY, "far-only"),
            ],
            ObjectType::Memory => &[
                (Rights::READ, "read"),
                (Rights::WRITE, "write"),
                (Rights::EXECUTE, "execute"),
            ],
            ObjectType::Task => &[
                (Rights::INSPECT, "inspect"),
                (Rights::CREATE, "create"),
                (Rights::MAP, "map"),
                (Rights::CONTROL, "control"),
                (Rights::INSTALL, "install"),
            ],
            ObjectType::Thread | ObjectType::Reservation => {
                &[(Rights::INSPECT, "inspect"), (Rights::CONTROL, "control")]
            }
            ObjectType::System => &[
                (Rights::SHUTDOWN, "shutdown"),
                (Rights::LOG, "log"),
                (Rights::COUNTERS, "counters"),
                (Rights::DEVICES, "devices"),
                (Rights::TIME, "time"),
            ],
            ObjectType::Interrupt => &[(Rights::BIND, "bind")],
            ObjectType::Reply => &[(Rights::ANSWER, "answer")],
            ObjectType::Dma => &[(Rights::PIN, "pin"), (Rights::CONTROL, "control")],
        };
        let mut separator = "";
        for (right, word) in own.iter().chain(&[(Rights::GRANT, "grant")]) {
            if self.rights.contains(*right) {
                write!(f, "{separator}{word}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            f.write_str("nothing")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn rights_read_as_their_type_means_them() {
        let say = |kind, rights| rights_in_words(kind, rights).to_string();
        let one = Rights::CALL | Rights::GRANT;
        assert_eq!(say(ObjectType::Endpoint, one), "call, grant");
        assert_eq!(say(ObjectType::System, one), "shutdown, grant");
        assert_eq!(say(ObjectType::Task, Rights::empty()), "nothing");
    }
}
