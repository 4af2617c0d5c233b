//! Who wants nothing but to keep others out: strangers on the network, and programs here.

#[allow(dead_code, reason = "of what all tests share this one needs a part")]
mod support;

use libipc::{
    CallError,
    interfaces::net::{Allowed, NetError, SocketAddress, TcpClient},
};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv6Address,
        Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    },
};
use std::net::IpAddr;
use support::{Machine, RESERVED, SHELL, Trouble, machines};

const PORT: u16 = 9;

fn at(machine: &Machine) -> SocketAddress {
    SocketAddress {
        address: machine.address.into(),
        port: PORT,
    }
}

/// The second machine is asked for a connection by somebody who is not there.
fn request(number: u16) -> Vec<u8> {
    let text = format!("fe80::bad:{number:x}");
    let from: Ipv6Address = text.parse().unwrap();
    let to: Ipv6Address = "fe80::2".parse().unwrap();
    let request = TcpRepr {
        src_port: 1024 + number,
        dst_port: PORT,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(i32::from(number)),
        ack_number: None,
        window_len: 4096,
        window_scale: None,
        max_seg_size: Some(1220),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let packet = Ipv6Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: request.buffer_len(),
        hop_limit: 64,
    };
    let link = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 0, 9]),
        dst_addr: EthernetAddress([2, 0, 0, 0, 0, 2]),
        ethertype: EthernetProtocol::Ipv6,
    };
    let length = link.buffer_len() + packet.buffer_len() + request.buffer_len();
    let mut frame = EthernetFrame::new_unchecked(vec![0; length]);
    link.emit(&mut frame);
    let mut inner = Ipv6Packet::new_unchecked(frame.payload_mut());
    packet.emit(&mut inner);
    let mut segment = TcpPacket::new_unchecked(inner.payload_mut());
    let checksums = ChecksumCapabilities::default();
    request.emit(&mut segment, &from.into(), &to.into(), &checksums);
    frame.into_inner()
}

#[test]
fn requests_of_nobody_keep_nobody_out() {
    let [left, right] = machines(Trouble::default(), 1);
    for backlog in [2, 4] {
        let listener = right.net(SHELL).listen(PORT, backlog, 0).unwrap();
        for number in 0..40 {
            right.inject([request(number)]);
        }
        // All of a batch.
        right.inject((40..80).map(request));
        let tcp = left.net(SHELL).connect(at(&right), 0).unwrap();
        tcp.connected().unwrap();
        let accepted = listener.accept(0).unwrap();
        assert_eq!(
            IpAddr::from(accepted.info().unwrap().remote.address),
            left.address
        );
    }
}

#[test]
fn connections_that_strangers_hold_keep_nobody_out() {
    let [left, right] = machines(Trouble::default(), 1);
    let there = right.net(SHELL);
    let listener = there.listen(PORT, 4, 0).unwrap();
    // Also those of another capability that the same client pays for.
    let derived = there.restrict(Allowed::all().bits()).unwrap();
    let other = derived.listen(PORT + 1, 1, 0).unwrap();
    // A stranger ends nothing of what the other side has ended, from several programs so
    // that its own machine lets it.
    let mut held = Vec::new();
    for number in 0..30 {
        let to = SocketAddress {
            port: PORT + number % 2,
            ..at(&right)
        };
        let tcp = left.net(10 + u64::from(number / 8)).connect(to, 0).unwrap();
        let listener = [&listener, &other][usize::from(number % 2)];
        drop(listener.accept(0).unwrap());
        assert_eq!(tcp.read(&mut [0; 8]), Ok(0));
        held.push(tcp);
    }
    let tcp = left.net(SHELL).connect(at(&right), 0).unwrap();
    tcp.connected().unwrap();
    let mut opened = vec![listener.accept(0).unwrap()];
    // Nor from others: as many as there is room for without any of these.
    let back = left.net(SHELL).listen(PORT, 1, 0).unwrap();
    for _ in 0..8 {
        opened.push(there.connect(at(&left), 0).unwrap());
        back.accept(0).unwrap().abort().unwrap();
    }
}

#[test]
fn what_is_still_sent_goes_last() {
    let [left, right] = machines(Trouble::default(), 1);
    let listener = right.net(SHELL).listen(PORT, 1, 0).unwrap();
    let slow = left.net(SHELL).connect(at(&right), 0).unwrap();
    let sent = vec![7; 30_000];
    let accepted = listener.accept(0).unwrap();
    // More than the window of the other side has room for while nobody reads.
    let write_all = |tcp: &TcpClient, mut bytes: &[u8]| {
        while !bytes.is_empty() {
            bytes = &bytes[tcp.write(bytes).unwrap() as usize..];
        }
    };
    write_all(&accepted, &sent);
    write_all(&accepted, &sent);
    drop(accepted);
    let mut held = Vec::new();
    for number in 0..12 {
        let tcp = left.net(10 + number / 8).connect(at(&right), 0).unwrap();
        drop(listener.accept(0).unwrap());
        assert_eq!(tcp.read(&mut [0; 8]), Ok(0));
        held.push(tcp);
    }
    let (mut received, mut piece) = (0, [0; 5000]);
    loop {
        match slow.read(&mut piece).unwrap() {
            0 => break,
            count => received += count,
        }
    }
    assert_eq!(received, 60_000);
}

#[test]
fn a_task_of_the_page_has_its_share_and_its_port() {
    let [left, _right] = machines(Trouble::default(), 1);
    // Others open what they can.
    let mut opened = Vec::new();
    for badge in 10..20 {
        let net = left.net(badge);
        while let Ok(udp) = net.udp(0, 0) {
            opened.push(udp);
        }
        assert_eq!(
            net.udp(RESERVED, 0).map(drop),
            refused(NetError::NotPermitted)
        );
        assert_eq!(
            net.listen(RESERVED, 1, 0).map(drop),
            refused(NetError::NotPermitted)
        );
    }
    assert!(opened.len() >= 32);
    let net = left.net(SHELL);
    let own: Vec<_> = (0..26).map(|_| net.udp(0, 0).unwrap()).collect();
    let derived = net.restrict(Allowed::all().bits()).unwrap();
    derived.udp(RESERVED, 0).unwrap();
    net.listen(RESERVED, 1, 0).unwrap();
    drop(own);
}

fn refused<T>(error: NetError) -> Result<T, CallError<NetError>> {
    Err(CallError::Server(error))
}
