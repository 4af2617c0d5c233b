//! Sockets of two network servers on one Ethernet, as a client of both sees them.

use super::driver::holds_no_device;
use crate::{
    check::{Failure, Verdict},
    run::{Case, World, cases},
    wait,
};
use alloc::{vec, vec::Vec};
use core::{net::IpAddr, time::Duration};
use libipc::{
    CallError, Capability, Text,
    handle::Rights,
    interfaces::{
        net::{
            Cidr, Events, IpAddress, NetClient, NetConfigClient, NetError, SocketAddress,
            TcpClient, UdpClient,
        },
        supervisor::KillAnyClient,
    },
    server::{Event, Receiver},
    status::Cause,
    thread,
    time::Instant,
};

pub(crate) const CASES: &[Case] = cases![
    datagrams_reach_one_and_a_group,
    bytes_of_a_connection_come_in_order,
    one_thread_waits_for_many_sockets_by_a_signal,
    a_call_that_waits_ends_with_its_deadline,
    sockets_end_with_their_capabilities,
    configuration_has_an_endpoint_of_its_own,
    connections_outlive_driver_and_proxy,
    a_server_that_was_killed_has_forgotten_its_sockets,
    a_network_server_holds_no_device,
];

const LEFT: &str = "fe80::1";
const RIGHT: &str = "fe80::2";

fn address(text: &str) -> Result<IpAddress, Failure> {
    let address = text.parse::<IpAddr>();
    Ok(address.map_err(|_| Failure::new("an address"))?.into())
}

fn at(text: &str, port: u16) -> Result<SocketAddress, Failure> {
    let address = address(text)?;
    Ok(SocketAddress { address, port })
}

/// Both servers, each of which answers.
fn both(world: &mut World) -> Result<(NetClient, NetClient), Failure> {
    Ok((world.power("left")?, world.power("right")?))
}

fn would_block<T>(result: &Result<T, CallError<NetError>>) -> bool {
    matches!(result, Err(CallError::Server(NetError::WouldBlock)))
}

/// Bytes that tell where they belong.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|index| (index / 251 + index) as u8)
        .collect()
}

fn write_all(tcp: &TcpClient, mut bytes: &[u8]) -> Result<(), CallError<NetError>> {
    while !bytes.is_empty() {
        let count = tcp.write(bytes)? as usize;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

fn read_to_end(tcp: &TcpClient) -> Result<Vec<u8>, CallError<NetError>> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 8192]);
    loop {
        match tcp.read(&mut piece)? as usize {
            0 => return Ok(all),
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

/// A connection from the left to the right.
fn connected(world: &mut World, port: u16) -> Result<(TcpClient, TcpClient), Failure> {
    let (left, right) = both(world)?;
    let listener = right.listen(port, 1, 0)?;
    let tcp = left.connect(at(RIGHT, port)?, 0)?;
    let accepted = listener.accept(0)?;
    tcp.connected()?;
    Ok((tcp, accepted))
}

/// Sends until it was received: what is lost tells nobody.
fn send_until(udp: &UdpClient, to: SocketAddress, there: &UdpClient) -> Result<usize, Failure> {
    let mut into = [0; 64];
    let mut length = None;
    wait::until(|| {
        match udp.send(to, b"hello") {
            Err(CallError::Server(NetError::WouldBlock)) => {}
            sent => sent?,
        }
        match there.try_receive(&mut into) {
            Ok(datagram) => length = Some(datagram.length as usize),
            received if would_block(&received) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(length.is_some())
    })?;
    length.ok_or_else(|| Failure::new("nothing came"))
}

fn datagrams_reach_one_and_a_group(world: &mut World) -> Verdict {
    let (left, right) = both(world)?;
    let (here, there) = (left.udp(0, 0)?, right.udp(5, 0)?);
    check_eq!(send_until(&here, at(RIGHT, 5)?, &there)?, 5);
    let group = address("ff02::7e55")?;
    there.join(group)?;
    let to = SocketAddress {
        address: group,
        port: 5,
    };
    here.send(to, b"to all")?;
    let mut into = [0; 64];
    loop {
        let datagram = there.receive(&mut into)?;
        // What was sent before is not there twice, but may be there late.
        if datagram.target == group {
            check_eq!(&into[..datagram.length as usize], b"to all");
            check_eq!(datagram.source, at(LEFT, here.port()?)?);
            break;
        }
    }
    let too_large = here.send(at(RIGHT, 5)?, &[0; 1453]);
    check_eq!(too_large, Err(CallError::Server(NetError::TooLarge)));
    Ok(())
}

fn bytes_of_a_connection_come_in_order(world: &mut World) -> Verdict {
    let (tcp, accepted) = connected(world, 9)?;
    let writer = thread::spawn(move || {
        write_all(&tcp, &bytes(300_000))?;
        tcp.shutdown()?;
        tcp.drained()?;
        read_to_end(&tcp)
    })?;
    check!(read_to_end(&accepted)? == bytes(300_000));
    write_all(&accepted, &bytes(100_000))?;
    drop(accepted);
    let back = writer.join().ok_or_else(|| Failure::new("no result"))??;
    check!(back == bytes(100_000));
    Ok(())
}

fn one_thread_waits_for_many_sockets_by_a_signal(world: &mut World) -> Verdict {
    let (left, right) = both(world)?;
    let endpoint = libipc::task().create_endpoint()?;
    let told = endpoint.as_ref().derive(Rights::SIGNAL | Rights::GRANT)?;
    right.notify(told.into(), 1)?;
    // A listener has the tag 0, datagrams from 1 on, the connection the last one.
    let listener = right.listen(9, 1, 0)?;
    let sockets: Vec<UdpClient> = (1..9)
        .map(|tag| right.udp(100 + tag, tag.into()))
        .collect::<Result<_, _>>()?;
    let sender = left.udp(0, 0)?;
    let tcp = left.connect(at(RIGHT, 9)?, 0)?;
    let (mut seen, mut accepted) = ([false; 10], None);
    let mut receiver = Receiver::new(&endpoint);
    let mut into = [0; 64];
    while seen.contains(&false) {
        for tag in (1..9).filter(|tag| !seen[*tag as usize]) {
            match sender.send(at(RIGHT, 100 + tag)?, b"x") {
                Err(CallError::Server(NetError::WouldBlock)) => {}
                sent => sent?,
            }
        }
        match receiver.wait(Instant::after(Duration::from_secs(20)))? {
            Event::Signals(1) => {}
            _ => return Err(Failure::new("another event")),
        }
        loop {
            let ready = right.collect()?;
            for (tag, events) in ready.iter() {
                check!(events.contains(Events::READABLE));
                seen[tag as usize] = true;
                match tag {
                    0 => {
                        let connection = listener.try_accept(9)?;
                        check!(would_block(&connection.try_read(&mut into)));
                        accepted = Some(connection);
                        write_all(&tcp, b"y")?;
                    }
                    1..9 => while sockets[tag as usize - 1].try_receive(&mut into).is_ok() {},
                    _ => {
                        let read = accepted.as_ref().map(|tcp| tcp.try_read(&mut into));
                        check_eq!(read, Some(Ok(1)));
                    }
                }
            }
            if !ready.is_full() {
                break;
            }
        }
    }
    Ok(())
}

fn a_call_that_waits_ends_with_its_deadline(world: &mut World) -> Verdict {
    let (left, right) = both(world)?;
    let udp = left.udp(0, 0)?.with_timeout(Duration::from_millis(5));
    let listener = left.listen(0, 1, 0)?.with_timeout(Duration::from_millis(5));
    // More often than calls can wait at a socket at once.
    for _ in 0..20 {
        let late = |cause: Option<Cause>| cause == Some(Cause::TimedOut);
        check!(late(transport(udp.receive(&mut [0; 8]))));
        check!(late(transport(listener.accept(0))));
    }
    drop((udp, listener));
    // Nobody is there: the caller's patience ends before the protocol's.
    let tcp = right.connect(at("fe80::99", 9)?, 0)?;
    let tcp = tcp.with_timeout(Duration::from_millis(5));
    check_eq!(transport(tcp.connected()), Some(Cause::TimedOut));
    Ok(())
}

fn transport<T>(result: Result<T, CallError<NetError>>) -> Option<Cause> {
    match result {
        Err(CallError::Transport(error)) => Some(error.cause),
        _ => None,
    }
}

fn sockets_end_with_their_capabilities(world: &mut World) -> Verdict {
    let (left, _) = both(world)?;
    let full = || -> Result<Vec<UdpClient>, Failure> {
        let mut all = Vec::new();
        loop {
            match left.udp(0, 0) {
                Ok(udp) => all.push(udp),
                Err(CallError::Server(NetError::TooManySockets)) => return Ok(all),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let first = full()?;
    check!(first.len() > 20 && first.len() < 100);
    let count = first.len();
    drop(first);
    // Their ends are on their way.
    wait::until(|| Ok(full()?.len() == count))
}

fn configuration_has_an_endpoint_of_its_own(world: &mut World) -> Verdict {
    let (left, _) = both(world)?;
    let config: NetConfigClient = world.power("left-config")?;
    let copy = AsRef::<Capability>::as_ref(&left).copy()?;
    let wrong = NetConfigClient::from(copy).set_dhcp(true);
    check_eq!(transport(wrong), Some(Cause::VersionMismatch));
    let own = address("10.9.9.1")?;
    let cidr = Cidr {
        address: own,
        prefix: 24,
    };
    config.add_address(cidr)?;
    check_eq!(left.address(1)?, cidr);
    check!(!left.interface()?.dhcp);
    for (text, prefix) in [
        ("224.0.0.1", 24),
        ("10.9.9.1", 33),
        ("::1", 64),
        ("10.9.9.1", 0),
    ] {
        let address = address(text)?;
        let wrong = config.add_address(Cidr { address, prefix });
        check_eq!(wrong, Err(CallError::Server(NetError::BadAddress)));
    }
    config.remove_address(own)?;
    let gone = config.remove_address(own);
    check_eq!(gone, Err(CallError::Server(NetError::BadAddress)));
    check_eq!(left.address(1), Err(CallError::Server(NetError::NotFound)));
    Ok(())
}

fn kill(world: &mut World, victim: &str) -> Verdict {
    let kill: KillAnyClient = world.power("kill-any")?;
    let name = Text::new(victim).ok_or_else(|| Failure::new("a long name"))?;
    Ok(kill.kill(name)?)
}

fn connections_outlive_driver_and_proxy(world: &mut World) -> Verdict {
    let (tcp, accepted) = connected(world, 9)?;
    let mut piece = vec![0; 2000];
    for victim in ["left-link", "right-queue", "right-link", "left-queue"] {
        kill(world, victim)?;
        // What was lost with them is sent again.
        write_all(&tcp, victim.as_bytes())?;
        let mut received = Vec::new();
        while received.len() < victim.len() {
            let count = accepted.read(&mut piece)? as usize;
            check!(count > 0);
            received.extend_from_slice(&piece[..count]);
        }
        check_eq!(received, victim.as_bytes());
    }
    Ok(())
}

fn a_server_that_was_killed_has_forgotten_its_sockets(world: &mut World) -> Verdict {
    let (left, right) = both(world)?;
    let (old, there) = (left.udp(0, 0)?, right.udp(5, 0)?);
    send_until(&old, at(RIGHT, 5)?, &there)?;
    kill(world, "left")?;
    wait::until(|| match old.port() {
        Err(CallError::Server(NetError::Stale)) => Ok(true),
        Err(CallError::Transport(_)) => Ok(false),
        _ => Err(Failure::new("it has not forgotten")),
    })?;
    let mut new = None;
    wait::until(|| {
        new = left.udp(0, 0).ok();
        Ok(new.is_some())
    })?;
    let new = new.ok_or_else(|| Failure::new("no socket"))?;
    check_eq!(send_until(&new, at(RIGHT, 5)?, &there)?, 5);
    Ok(())
}

fn a_network_server_holds_no_device(world: &mut World) -> Verdict {
    holds_no_device(
        world,
        &["left", "left-link", "right", "right-link"],
        &["left-queue", "right-queue"],
    )
}
