//! Who may do what with the bus.

use crate::names::{is_number, numbered};
use alloc::{collections::BTreeMap, string::String};
use libipc::interfaces::{
    bus::{BusAllowed, BusError},
    clients::{ClientArgument, SERVER_BADGES},
};
use tessera_softbus_protocol::suite::PublicKey;

/// Which devices a user may speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// One.
    One(PublicKey),
    /// Trusted devices that the page says: by their number in hexadecimal, or their name.
    Named(String),
}

impl Reach {
    /// Whether it reaches this device, which is called so.
    pub fn contains(&self, device: &PublicKey, name: &str) -> bool {
        match self {
            Reach::All => true,
            Reach::One(only) => only == device,
            Reach::Named(named) if is_number(named) => *named == numbered(device),
            // Whatever has no name is reached by its number alone.
            Reach::Named(named) => !name.is_empty() && named == name,
        }
    }
}

/// What a capability for the bus is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Operations.
    pub allowed: BusAllowed,
    /// Devices.
    pub reach: Reach,
    /// The only interface; none in particular if empty.
    pub interface: String,
    /// The badge of the page's client that it comes from, which bears what it costs.
    pub client: u64,
}

impl User {
    /// Whether it may do this.
    pub fn may(&self, allowed: BusAllowed) -> Result<(), BusError> {
        permit(self.allowed.contains(allowed))
    }

    /// Whether it may speak to this device, which is called so.
    pub fn may_reach(&self, device: &PublicKey, name: &str) -> Result<(), BusError> {
        permit(self.reach.contains(device, name))
    }

    /// Whether it may do what concerns no device alone.
    pub fn may_reach_all(&self) -> Result<(), BusError> {
        permit(self.reach == Reach::All)
    }

    /// Whether it may use a service of this interface.
    pub fn may_use(&self, interface: &str) -> bool {
        self.interface.is_empty() || self.interface == interface
    }

    /// One that may do this and no more than before, with one device alone if one is given
    /// that it may speak to, and with one interface alone unless that is empty.
    pub fn narrowed(
        &self,
        allowed: BusAllowed,
        device: Option<PublicKey>,
        interface: &str,
    ) -> Result<User, BusError> {
        permit(interface.is_empty() || self.may_use(interface))?;
        Ok(User {
            allowed: self.allowed & allowed,
            reach: device.map_or_else(|| self.reach.clone(), Reach::One),
            interface: match interface.is_empty() {
                true => self.interface.clone(),
                false => interface.into(),
            },
            client: self.client,
        })
    }
}

fn permit(permitted: bool) -> Result<(), BusError> {
    match permitted {
        true => Ok(()),
        false => Err(BusError::NotPermitted),
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

/// Capabilities that a client of the page may have restricted.
const MADE: usize = 32;

impl Users {
    /// The clients of the page. Its arguments say of each what it may do:
    ///
    /// - `allow:NAME=use,publish,manage`, or one or two of them; one of whom nothing is
    ///   said may use the bus;
    /// - `device:NAME=DEVICE`, the only device, by the number or the name that it has in
    ///   `bus trust`;
    /// - `interface:NAME=INTERFACE`, the only interface.
    pub fn new<'a>(arguments: impl Iterator<Item = &'a str> + Clone) -> Self {
        let said = |what: &str, name: &str| {
            arguments.clone().find_map(|argument| {
                let (of, text) = argument.strip_prefix(what)?.split_once('=')?;
                (of == name).then_some(text)
            })
        };
        let user = |badge: u64, name: &str| User {
            client: badge,
            allowed: said("allow:", name).map_or(BusAllowed::USE, allowed),
            reach: said("device:", name).map_or(Reach::All, |device| Reach::Named(device.into())),
            interface: said("interface:", name).unwrap_or_default().into(),
        };
        let clients = arguments.clone().filter_map(ClientArgument::parse);
        Users {
            clients: clients
                .map(|client| (client.badge, user(client.badge, client.name)))
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
        Ok(client.unwrap_or_else(|| User {
            allowed: BusAllowed::USE,
            reach: Reach::All,
            interface: String::new(),
            client: badge,
        }))
    }

    /// Whether this badge was made for a user.
    pub fn holds(&self, badge: u64) -> bool {
        badge < SERVER_BADGES || self.made.contains_key(&badge)
    }

    /// A user more. `TooMany` of the same client.
    pub fn add(&mut self, badge: u64, user: User) -> Result<(), BusError> {
        let same = self.made.values().filter(|one| one.client == user.client);
        if same.count() >= MADE {
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

/// What a list of operations allows.
fn allowed(list: &str) -> BusAllowed {
    let one = |word: &str| match word {
        "use" => BusAllowed::USE,
        "publish" => BusAllowed::PUBLISH,
        "manage" => BusAllowed::MANAGE,
        _ => BusAllowed::empty(),
    };
    list.split(',')
        .map(one)
        .fold(BusAllowed::empty(), BusAllowed::union)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PublicKey = PublicKey([1; 32]);
    const TWO: PublicKey = PublicKey([2; 32]);
    const REFUSED: Result<(), BusError> = Err(BusError::NotPermitted);

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
        assert_eq!(shell.may_reach_all(), Ok(()));
        assert_eq!(users.find(2).unwrap().may(BusAllowed::PUBLISH), REFUSED);

        let all = BusAllowed::all();
        let only = shell.narrowed(all, Some(ONE), "Sensor").unwrap();
        assert_eq!(only.may_reach(&ONE, "one"), Ok(()));
        assert_eq!(only.may_reach(&TWO, "one"), REFUSED);
        assert_eq!(only.may_reach_all(), REFUSED);
        assert!(only.may_use("Sensor") && !only.may_use("Directory"));
        assert!(only.narrowed(all, None, "Directory").is_err());
        let badge = SERVER_BADGES + 1;
        let same = only.narrowed(all, None, "").unwrap();
        users.add(badge, same).unwrap();
        assert_eq!(users.find(badge), Ok(only));
        users.closed(badge);
        assert!(users.find(badge).is_err() && !users.holds(badge));
    }

    #[test]
    fn who_has_many_made_leaves_others_theirs() {
        let mut users = Users::new(["client:1=greedy", "client:2=other"].into_iter());
        let [greedy, other] = [1, 2].map(|badge| users.find(badge).unwrap());
        let of = |user: &User| user.narrowed(BusAllowed::USE, None, "").unwrap();
        let badges = SERVER_BADGES..SERVER_BADGES + MADE as u64;
        for badge in badges.clone() {
            users.add(badge, of(&greedy)).unwrap();
        }
        // What is made of what was made counts as well.
        let made = users.find(badges.start).unwrap();
        assert_eq!(users.add(badges.end, of(&made)), Err(BusError::TooMany));
        assert_eq!(users.add(badges.end, of(&other)), Ok(()));
        users.closed(badges.start);
        assert_eq!(users.add(badges.end + 1, of(&greedy)), Ok(()));
    }

    #[test]
    fn the_page_says_which_device_and_which_interface() {
        let arguments = [
            "client:1=display",
            "client:2=logger",
            "device:display=kitchen",
            "interface:display=Sensor",
            "device:logger=0101010101010101",
        ];
        let users = Users::new(arguments.into_iter());
        let display = users.find(1).unwrap();
        assert_eq!(display.may_reach(&ONE, "kitchen"), Ok(()));
        assert_eq!(display.may_reach(&ONE, "garage"), REFUSED);
        let nobody = Users::new(["client:3=lost", "device:lost="].into_iter());
        assert_eq!(nobody.find(3).unwrap().may_reach(&ONE, ""), REFUSED);
        assert!(display.may_use("Sensor") && !display.may_use("Directory"));
        let logger = users.find(2).unwrap();
        assert_eq!(logger.may_reach(&ONE, "any"), Ok(()));
        assert_eq!(logger.may_reach(&TWO, "any"), REFUSED);
        assert_eq!(logger.may_reach(&TWO, "0101010101010101"), REFUSED);
        assert!(logger.may_use("Log"));
        // A capability that is made of it keeps to it.
        let same = display.narrowed(BusAllowed::all(), None, "").unwrap();
        assert_eq!(same.may_reach(&TWO, "garage"), REFUSED);
    }
}
