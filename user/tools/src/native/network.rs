//! The network behind its server's interfaces.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use libipc::interfaces::net::{
    Addresses, Cidr, InterfaceInfo, IpAddress, ListenerClient, MAX_DATAGRAM, NetClient,
    NetConfigClient, NetError, PingClient, SocketAddress, SocketLine, TcpClient, UdpClient,
};
use libipc::interfaces::{StreamClient, StreamKind};
use libipc::status::Cause;
use libipc::sync::Mutex;
use libipc::time::Instant;
use libipc::{CallError, Start, Text, output, thread};

use super::errors::{counted, other, stream_error};
use super::{IN, Native, write_all};
use crate::error::IoError;
use crate::network::{Answer, Change, Network, Peer};

/// How long the network server may hold up a tool that does not wait for others.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that are moved at once.
const PIECE: usize = 16 << 10;

/// What of the network a program was given.
pub struct NativeNetwork {
    net: Option<NetClient>,
    config: Option<NetConfigClient>,
    /// The socket for echo, and to whom it was opened.
    ping: Option<PingClient>,
}

impl NativeNetwork {
    /// Takes all of it from what the program was given.
    pub fn new(start: &mut Start) -> Self {
        NativeNetwork {
            net: start.take("net").ok(),
            config: start.take("net-config").ok(),
            ping: None,
        }
    }

    fn net(&self) -> Result<&NetClient, IoError> {
        self.net.as_ref().ok_or(IoError::Missing("net"))
    }

    fn config(&self) -> Result<&NetConfigClient, IoError> {
        self.config.as_ref().ok_or(IoError::Missing("net-config"))
    }
}

/// What the network server's error means to a tool.
fn net_error(error: CallError<NetError>) -> IoError {
    match error {
        // Nobody serves the network if there is no device for it.
        CallError::Transport(error) if error.is_closed() => {
            other(CallError::Server(NetError::NoLink))
        }
        error => other(error),
    }
}

/// Whether a call has ended by its own deadline.
fn is_late(error: &CallError<NetError>) -> bool {
    matches!(error, CallError::Transport(error) if error.cause == Cause::TimedOut)
}

impl Network for NativeNetwork {
    fn look_up(&mut self, name: &str) -> Result<IpAddress, IoError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let none = || other(CallError::Server(NetError::NoName));
        let text = Text::new(name).ok_or_else(none)?;
        let net = self.net()?;
        let first = |found: Addresses| found.iter().next();
        // Names have addresses of version 4 more often.
        let found = net.lookup(text, false).map(first);
        let found = match found {
            Err(CallError::Server(NetError::NoName)) => net.lookup(text, true).map(first),
            found => found,
        };
        found.map_err(net_error)?.ok_or_else(none)
    }

    fn echo(
        &mut self,
        to: IpAddress,
        sequence: u16,
        bytes: usize,
        milliseconds: u64,
    ) -> Result<Option<Answer>, IoError> {
        if self.ping.is_none() {
            self.ping = Some(self.net()?.ping(0).map_err(net_error)?);
        }
        let Some(ping) = self.ping.take() else {
            return Ok(None);
        };
        let data: Vec<u8> = (0..bytes).map(|number| number as u8).collect();
        let begun = Instant::now();
        let ping = ping.with_deadline(begun + Duration::from_millis(milliseconds));
        let result = await_echo(&ping, to, sequence, &data, begun);
        self.ping = Some(ping);
        result
    }

    fn interface(&mut self) -> Result<(InterfaceInfo, Vec<Cidr>), IoError> {
        let config = self.config()?;
        let info = config.interface().map_err(net_error)?;
        let addresses = (0..info.addresses).map_while(|index| config.address(index).ok());
        Ok((info, addresses.collect()))
    }

    fn change(&mut self, change: Change) -> Result<(), IoError> {
        let config = self.config()?;
        match change {
            Change::Add(address) => config.add_address(address),
            Change::Remove(address) => config.remove_address(address),
            Change::Gateway(address) => config.set_gateway(address),
            Change::NameServer(address) => config.set_name_server(address),
            Change::Dhcp(on) => config.set_dhcp(on),
        }
        .map_err(net_error)
    }

    fn sockets(&mut self) -> Result<Vec<SocketLine>, IoError> {
        let config = self.config()?;
        let (mut lines, mut index) = (Vec::new(), 0);
        loop {
            match config.socket(index) {
                Ok(line) => {
                    lines.push(line);
                    index = line.next;
                }
                Err(CallError::Server(NetError::NotFound)) => return Ok(lines),
                Err(error) => return Err(net_error(error)),
            }
            if index == 0 {
                return Ok(lines);
            }
        }
    }
}

/// Asks and waits. Answers to earlier requests are late ones.
fn await_echo(
    ping: &PingClient,
    to: IpAddress,
    sequence: u16,
    data: &[u8],
    begun: Instant,
) -> Result<Option<Answer>, IoError> {
    match ping.request(to, sequence, data) {
        Err(error) if is_late(&error) => return Ok(None),
        result => result.map_err(net_error)?,
    }
    let mut into = vec![0; MAX_DATAGRAM];
    loop {
        let answer = match ping.answer(&mut into) {
            Err(error) if is_late(&error) => return Ok(None),
            answer => answer.map_err(net_error)?,
        };
        let same = into.get(..answer.length as usize) == Some(data);
        if answer.sequence == sequence && same {
            return Ok(Some(Answer {
                source: answer.source,
                bytes: answer.length,
                microseconds: begun.elapsed().as_micros() as u64,
            }));
        }
    }
}

impl Native {
    /// See [`crate::Io::exchange`].
    pub(super) fn exchange_with(
        &mut self,
        peer: Peer,
        patience: Option<Duration>,
    ) -> Result<(), IoError> {
        let net = self.network.net()?;
        let input = self.input.take().ok_or(IoError::Missing(IN))?;
        let to = self.output.as_ref().ok_or(IoError::Missing(output::OUT))?;
        match peer {
            Peer::Connect(address) => {
                let tcp = net.connect(address, 0).map_err(net_error)?;
                tcp.connected().map_err(net_error)?;
                exchange_bytes(input, to, tcp, patience)
            }
            Peer::Listen(port) => {
                let listener = net.listen(port, 1, 0).map_err(net_error)?;
                let listener: ListenerClient = match patience {
                    Some(patience) => listener.with_timeout(patience),
                    None => listener,
                };
                let tcp = listener.accept(0).map_err(net_error)?;
                drop(listener);
                exchange_bytes(input, to, tcp, patience)
            }
            Peer::Send(address) => {
                let udp = net.udp(0, 0).map_err(net_error)?;
                exchange_datagrams(input, to, udp, Some(address), patience)
            }
            Peer::Receive(port) => {
                let udp = net.udp(port, 0).map_err(net_error)?;
                exchange_datagrams(input, to, udp, None, patience)
            }
        }
    }
}

fn failed_thread(_: thread::SpawnError) -> IoError {
    IoError::NoSpace
}

/// Sends all input, and writes what comes, until the other side has said that it sends
/// no more. Input that is no terminal is sent to its end in any case.
fn exchange_bytes(
    input: StreamClient,
    output: &StreamClient,
    tcp: TcpClient,
    patience: Option<Duration>,
) -> Result<(), IoError> {
    let by_hand = matches!(input.kind(), Ok(StreamKind::Terminal));
    let copy = AsRef::<libipc::Capability>::as_ref(&tcp).copy();
    let copy: TcpClient = copy.map_err(other)?.into();
    let tcp = match patience {
        Some(patience) => tcp.with_timeout(patience),
        None => tcp,
    };
    let sender = thread::spawn(move || send_bytes(&input, &copy)).map_err(failed_thread)?;
    let received = receive_bytes(output, &tcp);
    if by_hand || received.is_err() {
        // It waits for somebody to type.
        sender.end();
        return received;
    }
    // A thread that has panicked has ended the program.
    sender.join().unwrap_or(Ok(()))
}

fn receive_bytes(output: &StreamClient, tcp: &TcpClient) -> Result<(), IoError> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = tcp.read(&mut piece).map_err(net_error)?;
        let count = counted(count, piece.len())?;
        if count == 0 {
            return Ok(());
        }
        write_all(output, &piece[..count])?;
    }
}

fn send_bytes(input: &StreamClient, tcp: &TcpClient) -> Result<(), IoError> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = input.read(&mut piece).map_err(stream_error)?;
        let count = counted(count, piece.len())?;
        if count == 0 {
            break;
        }
        let mut left = &piece[..count];
        while !left.is_empty() {
            let count = tcp.write(left).map_err(net_error)?;
            left = &left[counted(count, left.len())?..];
        }
    }
    tcp.shutdown().map_err(net_error)?;
    tcp.drained().map_err(net_error)
}

/// Sends input, as much at a time as it comes, to the address or to whom the last
/// datagram came from, and writes what comes. It ends when nothing has come for as
/// long as is waited; without that, with the input that has an address.
fn exchange_datagrams(
    input: StreamClient,
    output: &StreamClient,
    udp: UdpClient,
    address: Option<SocketAddress>,
    patience: Option<Duration>,
) -> Result<(), IoError> {
    let to = Arc::new(Mutex::new(address));
    let copy = AsRef::<libipc::Capability>::as_ref(&udp).copy();
    let copy: UdpClient = copy.map_err(other)?.into();
    let last = to.clone();
    let sender = move || send_datagrams(&input, &copy, &last);
    if address.is_some() && patience.is_none() {
        return sender();
    }
    let sender = thread::spawn(sender).map_err(failed_thread)?;
    let received = receive_datagrams(output, udp, &to, patience);
    sender.end();
    received
}

fn receive_datagrams(
    output: &StreamClient,
    udp: UdpClient,
    last: &Mutex<Option<SocketAddress>>,
    patience: Option<Duration>,
) -> Result<(), IoError> {
    let udp = match patience {
        Some(patience) => udp.with_timeout(patience),
        None => udp,
    };
    let mut piece = vec![0; PIECE];
    loop {
        match udp.receive(&mut piece) {
            Ok(datagram) => {
                *last.lock() = Some(datagram.source);
                let length = counted(datagram.length, piece.len())?;
                write_all(output, &piece[..length])?;
            }
            Err(error) if patience.is_some() && is_late(&error) => return Ok(()),
            Err(error) => return Err(net_error(error)),
        }
    }
}

fn send_datagrams(
    input: &StreamClient,
    udp: &UdpClient,
    to: &Mutex<Option<SocketAddress>>,
) -> Result<(), IoError> {
    let mut piece = vec![0; MAX_DATAGRAM];
    loop {
        let count = input.read(&mut piece).map_err(stream_error)?;
        let count = counted(count, piece.len())?;
        if count == 0 {
            return Ok(());
        }
        let Some(address) = *to.lock() else { continue };
        let deadline = Instant::after(PATIENCE);
        loop {
            match udp.send(address, &piece[..count]) {
                Err(CallError::Server(NetError::WouldBlock)) if !deadline.passed() => {
                    libipc::time::sleep(Duration::from_millis(1));
                }
                result => break result.map_err(net_error)?,
            }
        }
    }
}
