//! What the page says about the network: arguments of the form `KEY=VALUE`.
//!
//! | key | value | without it |
//! |---|---|---|
//! | `mac` | the address on the link, such as `02:00:00:00:00:01` | random at each start |
//! | `interface` | lower half of the link-local address, such as `::1` | random at each start |
//! | `address` | an address with its prefix, such as `10.0.0.2/24`; any number of them | |
//! | `gateway` | to whom packets for other networks go | what DHCP says |
//! | `name-server` | who is asked for names | what DHCP says |
//! | `dhcp` | `on` or `off` | `on` unless there is an IPv4 address |
//! | `port:TASK` | a port below 49152 at which only this task of the page receives; any number of them | |

use crate::{
    port::Port,
    stack::{EPHEMERAL, Identity, Stack},
};
use alloc::{format, string::String, vec::Vec};
use core::net::{IpAddr, Ipv6Addr};
use libipc::{
    interfaces::net::{Cidr, IpAddress},
    start::AnyError,
};

/// How an argument begins that keeps a port for a task.
const PORT: &str = "port:";

/// What the page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    mac: Option<[u8; 6]>,
    interface: Option<u64>,
    addresses: Vec<Cidr>,
    gateway: Option<IpAddress>,
    name_server: Option<IpAddress>,
    dhcp: Option<bool>,
    ports: Vec<(u16, String)>,
}

impl Settings {
    /// Reads arguments. Those without a key that is known here are none of this
    /// module's; an error names one whose value is none.
    pub fn parse(arguments: &[&str]) -> Result<Settings, AnyError> {
        let mut settings = Settings::default();
        for argument in arguments {
            let Some((key, value)) = argument.split_once('=') else {
                continue;
            };
            let read = match key {
                _ if key.starts_with(PORT) => {
                    let task = &key[PORT.len()..];
                    port(value).map(|port| settings.ports.push((port, task.into())))
                }
                "mac" => mac(value).map(|mac| settings.mac = Some(mac)),
                "interface" => interface(value).map(|id| settings.interface = Some(id)),
                "address" => cidr(value).map(|cidr| settings.addresses.push(cidr)),
                "gateway" => address(value).map(|to| settings.gateway = Some(to)),
                "name-server" => address(value).map(|to| settings.name_server = Some(to)),
                "dhcp" => on(value).map(|on| settings.dhcp = Some(on)),
                _ => Some(()),
            };
            read.ok_or_else(|| AnyError::new(format!("`{argument}` is no setting")))?;
        }
        Ok(settings)
    }

    /// What is not random.
    pub fn fix(&self, identity: Identity) -> Identity {
        Identity {
            mac: self.mac.unwrap_or(identity.mac),
            interface: self.interface.unwrap_or(identity.interface),
            seed: identity.seed,
        }
    }

    /// Ports that are kept for tasks.
    pub fn ports(&self) -> &[(u16, String)] {
        &self.ports
    }

    /// Sets the rest.
    pub fn apply<P: Port>(&self, stack: &mut Stack<P>) -> Result<(), AnyError> {
        let is_v4 = |cidr: &Cidr| IpAddr::from(cidr.address).is_ipv4();
        let dhcp = !self.addresses.iter().any(is_v4);
        stack.set_dhcp(self.dhcp.unwrap_or(dhcp));
        for address in &self.addresses {
            stack.add_address(*address)?;
        }
        self.gateway.map_or(Ok(()), |to| stack.set_gateway(to))?;
        self.name_server
            .map_or(Ok(()), |to| stack.set_name_server(to))?;
        Ok(())
    }
}

/// Six bytes in hexadecimal, of one machine.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        part.starts_with(|first: char| first.is_ascii_hexdigit())
            .then_some(())?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    let of_one = parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6];
    of_one.then_some(mac)
}

fn interface(text: &str) -> Option<u64> {
    let bits = text.parse::<Ipv6Addr>().ok()?.to_bits();
    u64::try_from(bits).ok().filter(|&id| id != 0)
}

fn address(text: &str) -> Option<IpAddress> {
    text.parse::<IpAddr>().ok().map(IpAddress::from)
}

fn cidr(text: &str) -> Option<Cidr> {
    let (text, prefix) = text.split_once('/')?;
    Some(Cidr {
        address: address(text)?,
        prefix: prefix.parse().ok()?,
    })
}

/// One that is never given to who asks for none in particular.
fn port(text: &str) -> Option<u16> {
    text.parse()
        .ok()
        .filter(|port| (1..EPHEMERAL).contains(port))
}

fn on(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_fixes_is_not_random() {
        let random = Identity::random([u64::MAX; 4]);
        assert_eq!(random.mac[0] & 3, 2);
        let arguments = [
            "net",
            "client:1=shell",
            "mac=02:00:00:00:00:01",
            "interface=::7",
        ];
        let settings = Settings::parse(&arguments).unwrap();
        let fixed = settings.fix(random);
        assert_eq!((fixed.mac, fixed.interface), ([2, 0, 0, 0, 0, 1], 7));
        assert_eq!(Settings::default().fix(random), random);
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let bad = [
            "mac=01:00:00:00:00:01",
            "mac=02:00:00:00:00",
            "mac=02:00:00:00:00:01:02",
            "mac=+2:00:00:00:00:01",
            "interface=::",
            "interface=1::1",
            "address=10.0.0.2",
            "gateway=nobody",
            "dhcp=yes",
            "port:softbus=0",
            "port:softbus=49152",
            "port:softbus=all",
        ];
        for argument in bad {
            let error = Settings::parse(&[argument]).unwrap_err().to_string();
            assert_eq!(error, format!("`{argument}` is no setting"));
        }
        let good = ["address=10.0.0.2/24", "address=fd00::1/64", "dhcp=off"];
        assert_eq!(Settings::parse(&good).unwrap().addresses.len(), 2);
        let kept = Settings::parse(&["port:softbus=7355"]).unwrap();
        assert_eq!(kept.ports(), [(7355, "softbus".into())]);
    }
}
