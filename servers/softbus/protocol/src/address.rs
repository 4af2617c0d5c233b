//! Where a device can be reached.

use core::fmt;

use crate::bytes::{Malformed, Reader, Writer};

/// An IPv6 address, or an IPv4 address mapped into one, and a port. It is a hint: who is
/// behind it is known by cryptography alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address {
    /// The address as RFC 4291 writes it; IPv4 as `::ffff:a.b.c.d`.
    pub ip: [u8; 16],
    /// The port of datagrams or of streams, as the place says.
    pub port: u16,
}

impl Address {
    /// Bytes that it takes.
    pub const SIZE: usize = 18;

    /// The same machine, another port.
    pub fn at(self, port: u16) -> Address {
        Address { port, ..self }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Address, Malformed> {
        Ok(Address {
            ip: reader.array()?,
            port: reader.u16()?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.ip).u16(self.port);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = core::net::Ipv6Addr::from(self.ip);
        match ip.to_ipv4_mapped() {
            Some(ip) => write!(f, "{ip}:{}", self.port),
            None => write!(f, "[{ip}]:{}", self.port),
        }
    }
}
