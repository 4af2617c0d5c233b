//! Addresses, of both versions in one form.

use super::Wire;
use core::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// An IP address. One of version 4 is kept as RFC 4291, 2.5.5.2 maps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Wire)]
pub struct IpAddress {
    high: u64,
    low: u64,
}

impl IpAddress {
    /// No address in particular.
    pub const UNSPECIFIED: IpAddress = IpAddress { high: 0, low: 0 };

    /// Whether it is none in particular, of either version.
    pub fn is_unspecified(self) -> bool {
        IpAddr::from(self).is_unspecified()
    }
}

impl From<IpAddr> for IpAddress {
    /// ```
    /// use core::net::IpAddr;
    /// use libipc::interfaces::net::IpAddress;
    /// for text in ["10.0.2.15", "fe80::5054:ff:fe12:3456", "0.0.0.0", "::"] {
    ///     let address: IpAddr = text.parse().unwrap();
    ///     assert_eq!(IpAddress::from(address).to_string(), text);
    /// }
    /// ```
    fn from(address: IpAddr) -> Self {
        let bits = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        IpAddress {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }
}

impl From<IpAddress> for IpAddr {
    fn from(address: IpAddress) -> Self {
        let bits = u128::from(address.high) << 64 | u128::from(address.low);
        Ipv6Addr::from_bits(bits).to_canonical()
    }
}

impl fmt::Display for IpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

/// An address and a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Wire)]
pub struct SocketAddress {
    /// The address.
    pub address: IpAddress,
    /// The port.
    pub port: u16,
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        SocketAddress {
            address: address.ip().into(),
            port: address.port(),
        }
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address.into(), self.port).fmt(f)
    }
}

/// An address and how many of its first bits it shares with its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Cidr {
    /// The address.
    pub address: IpAddress,
    /// Bits: up to 32 of an IPv4 address, up to 128 of another.
    pub prefix: u64,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
