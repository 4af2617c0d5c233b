//! Frames that nobody who means well would send: whatever they hold, the protocols go on.
//!
//! Frames that two machines exchange are changed here and there, and given to one of them
//! with all its kinds of sockets.

#[path = "support/memory.rs"]
mod memory;

use libipc::interfaces::net::{IpAddress, SocketAddress};
use memory::{Memory, Random};
use smoltcp::{
    phy::ChecksumCapabilities,
    socket::{icmp, tcp, udp},
    time::{Duration, Instant},
    wire::{Icmpv4Packet, Icmpv4Repr},
};
use std::net::IpAddr;
use tessera_net::{
    sockets,
    stack::{Identity, Stack},
};

fn machine(number: u8, now: Instant) -> Stack<Memory> {
    let mut identity = Identity::random([0, number.into(), number.into(), 0]);
    identity.mac = [2, 0, 0, 0, 0, number];
    let mut stack = Stack::new(Memory::default(), identity, now);
    let text = format!("10.0.0.{number}");
    let address = text.parse::<IpAddr>().unwrap().into();
    let cidr = libipc::interfaces::net::Cidr {
        address,
        prefix: 24,
    };
    stack.add_address(cidr).unwrap();
    stack
}

fn address(text: &str) -> IpAddress {
    text.parse::<IpAddr>().unwrap().into()
}

/// How often frames have reached what they were made for.
#[derive(Debug, Default)]
struct Reached {
    bytes: usize,
    datagrams: usize,
    answers: usize,
    connections: usize,
}

/// One run: two machines talk, and the second one gets all that is sent to it both as it
/// is and changed, in between with what else comes to somebody's mind.
fn run(seed: u64, frames: usize, reached: &mut Reached) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut now = Instant::from_secs(1);
    let (mut left, mut right) = (machine(1, now), machine(2, now));
    right.set_dhcp(seed.is_multiple_of(2));
    right.set_name_server(address("10.0.0.1")).unwrap();
    right.join(address("ff02::7e55")).unwrap();
    let mut queries = vec![right.look_up("a.example", seed.is_multiple_of(3)).unwrap()];

    let target = ["fe80::2", "10.0.0.2"][seed as usize % 2];
    let listening = right.listen(9).unwrap();
    let mut datagrams = sockets::datagrams().unwrap();
    right.bind(&mut datagrams, 5).unwrap();
    let datagrams = right.sockets.add(datagrams);
    let echo = right.sockets.add(sockets::echo(7).unwrap());
    let asking = left.sockets.add(sockets::echo(7).unwrap());
    let connecting = left.sockets.add(sockets::connection().unwrap());
    let to = SocketAddress {
        address: address(target),
        port: 9,
    };
    left.connect(connecting, to).unwrap();
    // And one the other way, to be answered by what is changed.
    let outgoing = right.sockets.add(sockets::connection().unwrap());
    let back = SocketAddress {
        address: address(["fe80::1", "10.0.0.1"][seed as usize % 2]),
        port: 9,
    };
    right.connect(outgoing, back).unwrap();
    let answering = left.listen(9).unwrap();
    let mut sending = sockets::datagrams().unwrap();
    left.bind(&mut sending, 6).unwrap();
    let sending = left.sockets.add(sending);

    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut given = 0;
    while given < frames {
        now += Duration::from_millis(random.below(400) as u64);
        let bytes = vec![given as u8; 1 + random.below(900)];
        let ends = [
            (true, connecting),
            (true, answering),
            (false, outgoing),
            (false, listening),
        ];
        for (is_left, handle) in ends {
            let stack = if is_left { &mut left } else { &mut right };
            let socket = stack.sockets.get_mut::<tcp::Socket>(handle);
            if socket.can_send() {
                socket.send_slice(&bytes).unwrap();
            }
            if socket.can_recv() {
                reached.bytes += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            }
            reached.connections += usize::from(socket.may_send());
            match random.below(40) {
                0 => socket.close(),
                1 if !socket.is_open() => drop(socket.listen(9)),
                _ => {}
            }
        }
        let to = (
            smoltcp::wire::IpAddress::from(IpAddr::from(address(target))),
            5,
        );
        let socket = left.sockets.get_mut::<udp::Socket>(sending);
        // A full queue empties by itself.
        let _ = socket.send_slice(&bytes, to);
        if random.below(8) == 0 {
            // An answer that nobody has asked for.
            let mut answer = vec![0; 16];
            let repr = Icmpv4Repr::EchoReply {
                ident: 7,
                seq_no: 1,
                data: &bytes[..1],
            };
            answer.truncate(repr.buffer_len());
            let mut packet = Icmpv4Packet::new_unchecked(&mut answer);
            repr.emit(&mut packet, &ChecksumCapabilities::default());
            let socket = left.sockets.get_mut::<icmp::Socket>(asking);
            let _ = socket.send_slice(&answer, IpAddr::from([10, 0, 0, 2]).into());
        }
        left.poll(now);
        for frame in std::mem::take(&mut left.port.sent) {
            if seen.len() < 400 {
                seen.push(frame.clone());
            } else {
                let place = random.below(400);
                seen[place] = frame.clone();
            }
            right.port.received.push_back(frame);
        }
        for _ in 0..4 {
            let frame = &seen[random.below(seen.len())];
            right.port.received.push_back(random.change(frame));
            given += 1;
        }
        // Answers of the right one, changed, come back as if somebody else had sent them.
        right.poll(now);
        for frame in std::mem::take(&mut right.port.sent) {
            let mut mirrored = random.change(&frame);
            if mirrored.len() >= 14 {
                mirrored.copy_within(6..12, 0);
                mirrored[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
            }
            right.port.received.push_back(mirrored);
            left.port.received.push_back(frame);
            given += 1;
        }
        right.poll(now);
        right.poll_at(now);
        let socket = right.sockets.get_mut::<udp::Socket>(datagrams);
        while socket.recv().is_ok() {
            reached.datagrams += 1;
        }
        let socket = right.sockets.get_mut::<icmp::Socket>(echo);
        while socket.recv().is_ok() {
            reached.answers += 1;
        }
        queries.retain(|query| right.found(*query).is_none());
        if queries.len() < 4 {
            queries.extend(right.look_up("b.example.", given.is_multiple_of(2)));
        }
        for index in 0..8 {
            // There are fewer now and then.
            let _ = right.address(index);
        }
        right.info();
    }
}

#[test]
fn nothing_that_a_frame_holds_stops_the_protocols() {
    // Each run is another conversation; a longer campaign sets the number.
    let runs = std::env::var("HOSTILE_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    let mut reached = Reached::default();
    (0..runs.unwrap_or(40)).for_each(|seed| run(seed, 2500, &mut reached));
    println!("{reached:?}");
    let Reached {
        bytes,
        datagrams,
        answers,
        connections,
    } = reached;
    assert!(bytes > 1000 && datagrams > 100 && answers > 0 && connections > 100);
}
