//! `netstat`: what is connected, and what listens.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::interfaces::net::{SocketAddress, SocketKind, SocketLine, TcpState};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format;
use crate::io::Io;
use crate::network::Network;

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["net-config"],
    ..About::new(
        "netstat",
        "netstat",
        "show sockets: state, bytes not read and not sent, addresses, who has them",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let sockets = io.network().sockets()?;
    let titles = ["TYPE", "STATE", "UNREAD", "UNSENT", "LOCAL", "REMOTE", "OWNER"];
    let mut rows = [titles.map(String::from).to_vec()].to_vec();
    rows.extend(sockets.iter().map(row));
    io.write(format::table(&rows, &[2, 3]).as_bytes())?;
    Ok(0)
}

fn row(line: &SocketLine) -> Vec<String> {
    let kind = match line.kind {
        SocketKind::Udp => "udp",
        SocketKind::Tcp | SocketKind::Listener => "tcp",
        SocketKind::Ping => "ping",
    };
    let state = match (line.kind, line.state) {
        (SocketKind::Udp | SocketKind::Ping, _) => "-",
        (_, TcpState::Closed) => "closed",
        (_, TcpState::Listening) => "listening",
        (_, TcpState::Connecting) => "connecting",
        (_, TcpState::Connected) => "connected",
        (_, TcpState::Receiving) => "receiving",
        (_, TcpState::Closing) => "closing",
    };
    let owner = match line.owner.as_str() {
        _ if line.orphan => "nobody",
        "" => "-",
        name => name,
    };
    [
        kind.into(),
        state.into(),
        line.received.to_string(),
        line.unsent.to_string(),
        address(line.local),
        address(line.remote),
        owner.into(),
    ]
    .to_vec()
}

fn address(address: SocketAddress) -> String {
    match (address.address.is_unspecified(), address.port) {
        (true, 0) => "-".into(),
        (true, port) => alloc::format!("*:{port}"),
        (false, _) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_line_a_socket() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["netstat"]), 1);
        fake.grant("net-config");
        assert_eq!(fake.run(&["netstat"]), 0);
        let text = "TYPE  STATE      UNREAD  UNSENT  LOCAL      REMOTE        OWNER\n\
                    tcp   listening       0       0  *:7        -             shell\n\
                    tcp   closing         1       2  [fe80::7]:7  [fe80::1]:9  nobody\n";
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        use alloc::{string::String, vec::Vec};
        assert_eq!(words(&fake.output()), words(text));
    }
}
