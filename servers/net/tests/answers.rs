//! Servers that do not mean well, or whose answers are damaged: of addresses (DHCP) and of
//! names (DNS). Anybody on the segment can be one.

#[path = "support/memory.rs"]
mod memory;

use libipc::interfaces::net::Cidr;
use memory::{Memory, Random};
use smoltcp::{
    phy::ChecksumCapabilities,
    time::{Duration, Instant},
    wire::{
        ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
        EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Address,
        Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
    },
};
use std::net::IpAddr;
use tessera_net::stack::{Identity, Stack};

const OURS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const THEIRS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);
const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const HERE: Ipv4Address = Ipv4Address::new(10, 0, 0, 5);

/// Bytes before what UDP carries.
const HEADERS: usize = 14 + 20 + 8;

fn ethernet(protocol: EthernetProtocol, length: usize, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; 14 + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_dst_addr(OURS);
    frame.set_src_addr(THEIRS);
    frame.set_ethertype(protocol);
    emit(frame.payload_mut());
    bytes
}

/// A packet of IPv4 for this machine.
fn packet(from: Ipv4Address, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: from,
        dst_addr: HERE,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let length = repr.buffer_len() + payload.len();
    ethernet(EthernetProtocol::Ipv4, length, |bytes| {
        let mut packet = Ipv4Packet::new_unchecked(bytes);
        repr.emit(&mut packet, &ChecksumCapabilities::ignored());
        packet.payload_mut().copy_from_slice(payload);
    })
}

fn datagram(from: (Ipv4Address, u16), to: u16, payload: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: from.1,
        dst_port: to,
    };
    let mut bytes = vec![0; udp.header_len() + payload.len()];
    udp.emit(
        &mut UdpPacket::new_unchecked(&mut bytes),
        &from.0.into(),
        &HERE.into(),
        payload.len(),
        |into| into.copy_from_slice(payload),
        &ChecksumCapabilities::ignored(),
    );
    packet(from.0, IpProtocol::Udp, &bytes)
}

/// What was sent to a port of UDP: from which, and what.
fn asked(frame: &[u8], port: u16) -> Option<(u16, Vec<u8>)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let is_ipv4 = frame.ethertype() == EthernetProtocol::Ipv4;
    let is_udp = packet.next_header() == IpProtocol::Udp;
    let udp = UdpPacket::new_checked(packet.payload()).ok()?;
    let is_it = is_ipv4 && is_udp && udp.dst_port() == port;
    is_it.then(|| (udp.src_port(), udp.payload().to_vec()))
}

fn stack(seed: u64, now: Instant) -> Stack<Memory> {
    let mut identity = Identity::random([seed; 4]);
    identity.mac = OURS.0;
    Stack::new(Memory::default(), identity, now)
}

/// Answers whoever asks for an address: `from` is the server's own, `router` what it says.
fn gives(sent: &[u8], from: Ipv4Address, router: Ipv4Address) -> Option<Vec<u8>> {
    let (_, asked) = asked(sent, 67)?;
    let asked = DhcpPacket::new_checked(&asked[..]).unwrap();
    let asked = DhcpRepr::parse(&asked).unwrap();
    let repr = DhcpRepr {
        message_type: match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            _ => DhcpMessageType::Ack,
        },
        your_ip: HERE,
        subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
        router: Some(router),
        server_identifier: Some(from),
        lease_duration: Some(100),
        parameter_request_list: None,
        client_identifier: None,
        requested_ip: None,
        max_size: None,
        ..asked
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes))
        .unwrap();
    Some(datagram((from, 67), 68, &bytes))
}

/// A machine asks for an address and keeps it for some minutes, while somebody far away
/// asks it for echoes. How many addresses it has then.
fn is_served(from: [u8; 4], router: [u8; 4]) -> u64 {
    let mut now = Instant::from_secs(1);
    let mut stack = stack(7, now);
    stack.set_dhcp(true);
    let echo = Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 1,
        data: b"hello",
    };
    let mut request = vec![0; echo.buffer_len()];
    echo.emit(
        &mut Icmpv4Packet::new_unchecked(&mut request),
        &ChecksumCapabilities::ignored(),
    );
    let far = Ipv4Address::new(9, 9, 9, 9);
    for _ in 0..200 {
        stack.poll(now);
        for sent in std::mem::take(&mut stack.port.sent) {
            let answer = gives(&sent, from.into(), router.into());
            stack.port.received.extend(answer);
        }
        let asks = packet(far, IpProtocol::Icmp, &request);
        stack.port.received.push_back(asks);
        stack.poll(now);
        now += Duration::from_secs(1);
    }
    stack.info().addresses
}

#[test]
fn no_server_of_addresses_stops_the_protocols() {
    // One that is IPv6's, and the one that is given.
    assert_eq!(is_served([10, 0, 0, 1], [10, 0, 0, 1]), 2);
    for router in [[224, 0, 0, 1], [0, 0, 0, 0], [255, 255, 255, 255]] {
        assert_eq!(is_served([10, 0, 0, 1], router), 2, "{router:?}");
    }
    for server in [[10, 0, 0, 0], [10, 0, 0, 5]] {
        assert_eq!(is_served(server, [10, 0, 0, 1]), 2, "{server:?}");
    }
    // It could not be asked again.
    for server in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]] {
        assert_eq!(is_served(server, [10, 0, 0, 1]), 1, "{server:?}");
    }
}

/// What is behind the headers of an answer is changed, and the lengths made right again.
fn damaged(random: &mut Random, answer: &[u8]) -> Vec<u8> {
    let mut frame = answer[..HEADERS].to_vec();
    frame.extend(random.change(&answer[HEADERS..]));
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[38..40].copy_from_slice(&(total - 20).to_be_bytes());
    frame
}

#[test]
fn no_damaged_answer_about_addresses_stops_the_protocols() {
    let mut taken = 0;
    for seed in 1..2_000 {
        let mut random = Random(seed);
        let mut now = Instant::from_secs(1);
        let mut stack = stack(seed, now);
        stack.set_dhcp(true);
        for _ in 0..8 {
            stack.poll(now);
            for sent in std::mem::take(&mut stack.port.sent) {
                let answer = gives(&sent, SERVER, SERVER);
                let answer = answer.map(|answer| damaged(&mut random, &answer));
                stack.port.received.extend(answer);
            }
            stack.poll(now);
            now += Duration::from_millis(700);
        }
        taken += u64::from(stack.info().addresses > 1);
    }
    assert!(taken > 200, "{taken} were taken");
}

/// Answers whoever asks for this address on the link.
fn is_there(sent: &[u8]) -> Option<Vec<u8>> {
    let frame = EthernetFrame::new_checked(sent).ok()?;
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    let asked = (frame.ethertype() == EthernetProtocol::Arp).then_some(packet)?;
    let Ok(ArpRepr::EthernetIpv4 {
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    }) = ArpRepr::parse(&asked)
    else {
        return None;
    };
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: THEIRS,
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let length = repr.buffer_len();
    let emit = |bytes: &mut [u8]| repr.emit(&mut ArpPacket::new_unchecked(bytes));
    Some(ethernet(EthernetProtocol::Arp, length, emit))
}

/// Answers a question about a name with some records.
fn names(random: &mut Random, sent: &[u8]) -> Option<Vec<u8>> {
    let (port, mut answer) = asked(sent, 53)?;
    answer[2] |= 0x80;
    let records = random.below(4);
    answer[7] = records as u8;
    for _ in 0..records {
        // Of the name that was asked about.
        answer.extend([0xc0, 12]);
        match random.below(3) {
            0 => answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4]),
            1 => {
                answer.extend([0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
                answer.extend([7; 16]);
            }
            _ => answer.extend([0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'b', 0xc0, 12]),
        }
    }
    Some(datagram((SERVER, 53), port, &answer))
}

#[test]
fn no_damaged_answer_about_names_stops_the_protocols() {
    let mut found = 0;
    for seed in 1..2_000 {
        let mut random = Random(seed);
        let mut now = Instant::from_secs(1);
        let mut stack = stack(seed, now);
        let address = IpAddr::V4(HERE).into();
        let own = Cidr {
            address,
            prefix: 24,
        };
        stack.add_address(own).unwrap();
        stack.set_name_server(IpAddr::V4(SERVER).into()).unwrap();
        let query = stack.look_up("a.example.org", seed % 2 == 0).unwrap();
        let mut result = None;
        for _ in 0..6 {
            stack.poll(now);
            for sent in std::mem::take(&mut stack.port.sent) {
                let answer = names(&mut random, &sent);
                let answer = answer.map(|answer| damaged(&mut random, &answer));
                stack.port.received.extend(is_there(&sent).or(answer));
            }
            stack.poll(now);
            if result.is_none() {
                result = stack.found(query);
            }
            now += Duration::from_millis(700);
        }
        found += u64::from(result.is_some_and(|found| found.is_ok()));
    }
    assert!(found > 200, "{found} were found");
}
