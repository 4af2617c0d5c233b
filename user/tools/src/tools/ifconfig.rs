//! `ifconfig`: the network interface, its addresses and what it knows of others.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use libipc::interfaces::net::{Cidr, InterfaceInfo, IpAddress};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format::bytes;
use crate::io::Io;
use crate::network::{Change, Network};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, 2),
    needs: &["net-config"],
    words: &[
        ("add ADDRESS/PREFIX", "add an address; an IPv4 address takes the place of the old one"),
        ("remove ADDRESS", "take an address away"),
        ("gateway ADDRESS", "send packets for other networks there"),
        ("name-server ADDRESS", "ask there for names"),
        ("dhcp on|off", "take IPv4 addresses from a server, or do not"),
    ],
    ..About::new("ifconfig", "ifconfig [WHAT VALUE]", "show or change the network interface")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let texts: alloc::vec::Vec<&str> = arguments.operands.iter().map(|o| o.text).collect();
    if let [what, value] = texts[..] {
        let change = change(what, value)?;
        io.network().change(change).map_err(Error::at(value))?;
        return Ok(0);
    }
    if let [what] = texts[..] {
        return Err(Error::Usage(format!("`{what}` is to be what?")));
    }
    let (info, addresses) = io.network().interface()?;
    io.write(shown(&info, &addresses).as_bytes())?;
    Ok(0)
}

fn change(what: &str, value: &str) -> Result<Change, Error> {
    Ok(match what {
        "add" => Change::Add(cidr(value)?),
        "remove" => Change::Remove(address(value)?),
        "gateway" => Change::Gateway(address(value)?),
        "name-server" => Change::NameServer(address(value)?),
        "dhcp" => match value {
            "on" => Change::Dhcp(true),
            "off" => Change::Dhcp(false),
            _ => return Err(Error::Usage("`dhcp` is on or off".into())),
        },
        _ => return Err(Error::Usage(format!("`{what}` is nothing to change"))),
    })
}

fn address(text: &str) -> Result<IpAddress, Error> {
    let address = text.parse::<IpAddr>().map(IpAddress::from);
    address.map_err(|_| Error::Usage(format!("`{text}` is no address such as 10.0.2.15 or fe80::1")))
}

fn cidr(text: &str) -> Result<Cidr, Error> {
    let wrong = || Error::Usage(format!("`{text}` is no address with a prefix, such as 10.0.2.15/24"));
    let (first, prefix) = text.split_once('/').ok_or_else(wrong)?;
    Ok(Cidr {
        address: address(first)?,
        prefix: prefix.parse().map_err(|_| wrong())?,
    })
}

fn shown(info: &InterfaceInfo, addresses: &[Cidr]) -> String {
    let mac: [u8; 8] = info.mac.to_be_bytes();
    let mac: alloc::vec::Vec<String> = mac[2..].iter().map(|byte| format!("{byte:02x}")).collect();
    let state = if info.up { "up" } else { "down" };
    let mut text = format!("ether {}  {state}  mtu {}\n", mac.join(":"), info.mtu);
    for address in addresses {
        text += &format!("  address {address}\n");
    }
    let from = if info.dhcp { "from DHCP" } else { "set by hand" };
    text += &format!("  IPv4 {from}\n");
    for (name, address) in [("gateway", info.gateway), ("name server", info.name_server)] {
        let address = match address.is_unspecified() {
            true => "none".to_string(),
            false => address.to_string(),
        };
        text += &format!("  {name} {address}\n");
    }
    for (name, [frames, count, lost]) in [("received", info.received), ("sent", info.sent)] {
        text += &format!("  {name} {frames} frames, {} bytes, {lost} lost\n", bytes(count));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn shows_what_there_is() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["ifconfig"]), 0);
        fake.grant("net-config");
        assert_eq!(fake.run(&["ifconfig"]), 0);
        let text = fake.output();
        for part in ["ether 02:00:00:00:00:07  up", "address fe80::7/64", "gateway none", "3 frames, 1.5K bytes"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn changes_what_it_is_told() {
        let mut fake = Fake::new();
        fake.grant("net-config");
        assert_eq!(fake.run(&["ifconfig", "add", "10.0.0.2/24"]), 0);
        assert_eq!(fake.run(&["ifconfig", "dhcp", "off"]), 0);
        let address = "10.0.0.2".parse::<IpAddr>().unwrap().into();
        let cidr = Cidr { address, prefix: 24 };
        assert_eq!(fake.changes, [Change::Add(cidr), Change::Dhcp(false)]);
        let wrong = [
            ["add", "10.0.0.2"],
            ["gateway", "nobody"],
            ["dhcp", "perhaps"],
            ["colour", "blue"],
        ];
        for [what, value] in wrong {
            assert_eq!(fake.run(&["ifconfig", what, value]), 2, "{what} {value}");
        }
        assert_eq!(fake.run(&["ifconfig", "add"]), 2);
    }
}
