//! Who may do what with the bus.

use alloc::{collections::BTreeMap, string::String};
use libipc::interfaces::{
    bus::{BusAllowed, BusError},
    clients::{ClientArgument, SERVER_BADGES},
};
use tessera_softbus_protocol::suite::PublicKey;

/// What a capability for the bus is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Operations.
    pub allowed: BusAllowed,
    /// The only device.
    pub device: Option<PublicKey>,
    /// The only interface; none in particular if empty.
    pub interface: String,
}

impl User {
    fn with(allowed: BusAllowed) -> User {
        User {
            allowed,
            device: None,
            interface: String::new(),
        }
    }

    /// Whether it may do this.
    pub fn may(&self, allowed: BusAllowed) -> Result<(), BusError> {
        match self.allowed.contains(allowed) {
            true => Ok(()),
            false => Err(BusError::NotPermitted),
        }
    }

    /// Whether it may speak to this device.
    pub fn may_reach(&self, device: &PublicKey) -> Result<(), BusError> {
        match self.device.as_ref().is_none_or(|only| only == device) {
            true => Ok(()),
            false => Err(BusError::NotPermitted),
        }
    }

    /// Whether it may use a service of this interface.
    pub fn may_use(&self, interface: &str) -> bool {
        self.interface.is_empty() || self.interface == interface
    }

    /// One that may do no more than both.
    pub fn and(&self, other: User) -> Result<User, BusError> {
        if let (Some(mine), Some(its)) = (&self.device, &other.device)
            && mine != its
        {
            return Err(BusError::NotPermitted);
        }
        if !other.interface.is_empty() && !self.may_use(&other.interface) {
            return Err(BusError::NotPermitted);
        }
        Ok(User {
            allowed: self.allowed & other.allowed,
            device: self.device.or(other.device),
            interface: match other.interface.is_empty() {
                true => self.interface.clone(),
                false => other.interface,
            },
        })
    }
}

/// All users, by their badges.
#[derive(Debug, Default)]
pub struct Users {
    /// Of the page, with the names of their tasks.
    clients: BTreeMap<u64, User>,
    /// Made here.
    made: BTreeMap<u64, User>,
}

/// Capabilities that are restricted; more than that are refused.
const MADE: usize = 256;

impl Users {
    /// The clients of the page. Of the arguments, `allow:NAME=use,publish,manage` says
    /// what one may do; one of whom nothing is said may use the bus.
    pub fn new<'a>(arguments: impl Iterator<Item = &'a str> + Clone) -> Self {
        let allowed = |name: &str| {
            let named = arguments.clone().find_map(|argument| {
                let (of, list) = argument.strip_prefix("allow:")?.split_once('=')?;
                (of == name).then_some(list)
            });
            let Some(list) = named else {
                return BusAllowed::USE;
            };
            let one = |word: &str| match word {
                "use" => BusAllowed::USE,
                "publish" => BusAllowed::PUBLISH,
                "manage" => BusAllowed::MANAGE,
                _ => BusAllowed::empty(),
            };
            list.split(',')
                .map(one)
                .fold(BusAllowed::empty(), BusAllowed::union)
        };
        let clients = arguments.clone().filter_map(ClientArgument::parse);
        Users {
            clients: clients
                .map(|client| (client.badge, User::with(allowed(client.name))))
                .collect(),
            made: BTreeMap::new(),
        }
    }

    /// What the user with this badge may do. One that nobody named, below the badges that
    /// are made here, may use the bus.
    pub fn find(&self, badge: u64) -> Result<User, BusError> {
        if badge >= SERVER_BADGES {
            return self.made.get(&badge).cloned().ok_or(BusError::NotPermitted);
        }
        let client = self.clients.get(&badge).cloned();
        Ok(client.unwrap_or_else(|| User::with(BusAllowed::USE)))
    }

    /// Whether this badge was made for a user.
    pub fn holds(&self, badge: u64) -> bool {
        badge < SERVER_BADGES || self.made.contains_key(&badge)
    }

    /// A user more. `TooMany`.
    pub fn add(&mut self, badge: u64, user: User) -> Result<(), BusError> {
        if self.made.len() >= MADE {
            return Err(BusError::TooMany);
        }
        self.made.insert(badge, user);
        Ok(())
    }

    /// The last capability with this badge is gone.
    pub fn closed(&mut self, badge: u64) {
        self.made.remove(&badge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_restricted_may_never_do_more() {
        let arguments = [
            "client:1=shell",
            "client:2=sensor",
            "allow:shell=use,publish,manage",
        ];
        let mut users = Users::new(arguments.into_iter());
        let shell = users.find(1).unwrap();
        assert_eq!(shell.may(BusAllowed::MANAGE), Ok(()));
        assert_eq!(
            users.find(2).unwrap().may(BusAllowed::PUBLISH),
            Err(BusError::NotPermitted)
        );
        let narrow = |device, interface: &str| User {
            allowed: BusAllowed::all(),
            device,
            interface: interface.into(),
        };
        let (one, two) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let only = shell.and(narrow(Some(one), "Sensor")).unwrap();
        assert_eq!(only.may_reach(&one), Ok(()));
        assert_eq!(only.may_reach(&two), Err(BusError::NotPermitted));
        assert!(only.may_use("Sensor") && !only.may_use("Directory"));
        assert!(only.and(narrow(Some(two), "")).is_err());
        assert!(only.and(narrow(None, "Directory")).is_err());
        let badge = SERVER_BADGES + 1;
        users
            .add(badge, only.and(narrow(None, "")).unwrap())
            .unwrap();
        assert_eq!(users.find(badge), Ok(only));
        users.closed(badge);
        assert!(users.find(badge).is_err() && !users.holds(badge));
    }
}
