//! `nc`: bytes between the standard streams and somebody on the network.

use alloc::format;
use core::net::IpAddr;
use core::time::Duration;

use libipc::interfaces::net::{IpAddress, SocketAddress};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;
use crate::network::{Network, Peer};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 3),
    needs: &["net"],
    options: &[
        ('l', "wait for the first who connects at the port"),
        ('u', "send and receive datagrams (UDP), not a stream (TCP)"),
    ],
    words: &[("wait=MS", "end when nothing has come for so many milliseconds")],
    ..About::new(
        "nc",
        "nc [-u] ADDRESS PORT | nc -l [-u] PORT [wait=MS]",
        "send standard input to somebody, and write what comes from there",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut wait = None;
    let mut texts = alloc::vec::Vec::new();
    for operand in &arguments.operands {
        match operand.text.strip_prefix("wait=") {
            Some(value) => {
                let number = value.parse::<u64>().ok().filter(|&wait| wait > 0);
                let wrong = || Error::Usage(format!("`{value}` is no number of milliseconds"));
                wait = Some(Duration::from_millis(number.ok_or_else(wrong)?));
            }
            None => texts.push(operand.text),
        }
    }
    let udp = arguments.option('u');
    let peer = match (arguments.option('l'), &texts[..]) {
        (true, [text]) if udp => Peer::Receive(port(text)?),
        (true, [text]) => Peer::Listen(port(text)?),
        (false, [name, text]) => {
            let port = port(text)?;
            let address = address(io, name)?;
            let to = SocketAddress { address, port };
            if udp {
                Peer::Send(to)
            } else {
                Peer::Connect(to)
            }
        }
        _ => return Err(Error::Usage("an address and a port, or -l and a port".into())),
    };
    let name = *texts.first().unwrap_or(&"");
    io.exchange(peer, wait).map_err(Error::at(name))?;
    Ok(0)
}

fn address<I: Io>(io: &mut I, name: &str) -> Result<IpAddress, Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => io.network().look_up(name).map_err(Error::at(name)),
    }
}

fn port(text: &str) -> Result<u16, Error> {
    let port = text.parse::<u16>().ok().filter(|&port| port > 0);
    port.ok_or_else(|| Error::Usage(format!("`{text}` is no port from 1 to 65535")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn with_whom_bytes_are_exchanged() {
        let mut fake = Fake::new();
        fake.grant("net");
        let to = SocketAddress {
            address: "fe80::1".parse::<IpAddr>().unwrap().into(),
            port: 9,
        };
        let cases: [(&[&str], Peer, Option<u64>); 5] = [
            (&["nc", "fe80::1", "9"], Peer::Connect(to), None),
            (&["nc", "there", "9", "wait=50"], Peer::Connect(to), Some(50)),
            (&["nc", "-u", "fe80::1", "9"], Peer::Send(to), None),
            (&["nc", "-l", "9"], Peer::Listen(9), None),
            (&["nc", "-lu", "9", "wait=1"], Peer::Receive(9), Some(1)),
        ];
        for (arguments, peer, wait) in cases {
            assert_eq!(fake.run(arguments), 0, "{arguments:?}");
            let wait = wait.map(Duration::from_millis);
            assert_eq!(fake.exchanged, Some((peer, wait)), "{arguments:?}");
        }
    }

    #[test]
    fn what_is_no_port() {
        let mut fake = Fake::new();
        fake.grant("net");
        let wrong: [&[&str]; 5] = [
            &["nc", "a", "0"],
            &["nc", "a", "65536"],
            &["nc", "-l", "a", "9"],
            &["nc", "a"],
            &["nc", "a", "9", "wait=0"],
        ];
        for arguments in wrong {
            assert_eq!(fake.run(arguments), 2, "{arguments:?}");
        }
        assert_eq!(fake.run(&["nc", "nobody", "9"]), 1);
    }
}
