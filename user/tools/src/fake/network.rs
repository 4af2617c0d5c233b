//! The network of tests: one who answers once, and two sockets.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use libipc::interfaces::net::{
    Cidr, InterfaceInfo, IpAddress, SocketAddress, SocketKind, SocketLine, TcpState,
};

use super::Fake;
use crate::error::IoError;
use crate::network::{Answer, Change, Network};

fn address(text: &str) -> IpAddress {
    text.parse::<IpAddr>().unwrap().into()
}

impl Network for Fake {
    fn look_up(&mut self, name: &str) -> Result<IpAddress, IoError> {
        self.needs("net")?;
        match name {
            "nobody" => Err(IoError::Failed("nothing has this name".into())),
            "there" => Ok(address("fe80::1")),
            "silent" => Ok(address("fe80::2")),
            name => name
                .parse::<IpAddr>()
                .map(IpAddress::from)
                .map_err(|_| IoError::BadName),
        }
    }

    fn echo(
        &mut self,
        to: IpAddress,
        sequence: u16,
        bytes: usize,
        _: u64,
    ) -> Result<Option<Answer>, IoError> {
        self.needs("net")?;
        let answer = Answer {
            source: to,
            bytes: bytes as u64,
            microseconds: 1500,
        };
        Ok((sequence == 1 && to != address("fe80::2")).then_some(answer))
    }

    fn interface(&mut self) -> Result<(InterfaceInfo, Vec<Cidr>), IoError> {
        self.needs("net-config")?;
        let info = InterfaceInfo {
            mac: 0x0200_0000_0007,
            mtu: 1500,
            up: true,
            received: [3, 1536, 0],
            ..InterfaceInfo::default()
        };
        let address = address("fe80::7");
        Ok((
            info,
            vec![Cidr {
                address,
                prefix: 64,
            }],
        ))
    }

    fn change(&mut self, change: Change) -> Result<(), IoError> {
        self.needs("net-config")?;
        self.changes.push(change);
        Ok(())
    }

    fn sockets(&mut self) -> Result<Vec<SocketLine>, IoError> {
        self.needs("net-config")?;
        let at = |text, port| SocketAddress {
            address: address(text),
            port,
        };
        let listener = SocketLine {
            kind: SocketKind::Listener,
            state: TcpState::Listening,
            local: at("::", 7),
            owner: libipc::Text::new("shell").unwrap(),
            ..SocketLine::default()
        };
        let orphan = SocketLine {
            kind: SocketKind::Tcp,
            state: TcpState::Closing,
            local: at("fe80::7", 7),
            remote: at("fe80::1", 9),
            received: 1,
            unsent: 2,
            orphan: true,
            ..SocketLine::default()
        };
        Ok(vec![listener, orphan])
    }
}
