//! Programs on two machines, each behind a network server, over a wire with and without
//! trouble.

#[allow(dead_code, reason = "of what all tests share this one needs a part")]
mod support;

use libipc::{
    CallError, Capability, fake,
    handle::Rights,
    interfaces::net::{
        Allowed, Events, NetClient, NetError, Ready, SocketAddress, TcpClient, TcpState,
    },
    objects::EndpointClient,
    server::{Event, Receiver},
    time::Instant,
};
use std::{collections::BTreeMap, thread, time::Duration};
use support::{Machine, SHELL, Trouble, machines};

const LOSSY: Trouble = Trouble {
    lost: 50,
    doubled: 30,
    late: 50,
};

fn server<T>(error: NetError) -> Result<T, CallError<NetError>> {
    Err(CallError::Server(error))
}

fn at(machine: &Machine, port: u16) -> SocketAddress {
    SocketAddress {
        address: machine.address.into(),
        port,
    }
}

fn write_all(tcp: &TcpClient, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = tcp.write(bytes).unwrap() as usize;
        bytes = &bytes[count..];
    }
}

fn read_to_end(tcp: &TcpClient) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 5000]);
    loop {
        match tcp.read(&mut piece).unwrap() as usize {
            0 => return all,
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

/// Bytes that tell where they belong.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|index| (index / 251 + index) as u8)
        .collect()
}

#[test]
fn bytes_arrive_in_order_whatever_the_wire_does() {
    for seed in 1..4 {
        let [left, right] = machines(LOSSY, seed);
        let listener = right.net(7).listen(9, 2, 0).unwrap();
        let sent = bytes(100_000);
        let expected = sent.clone();
        let tcp = left.net(SHELL).connect(at(&right, 9), 0).unwrap();
        let writer = fake::current().spawn(move || {
            tcp.connected().unwrap();
            write_all(&tcp, &sent);
            tcp.shutdown().unwrap();
            tcp.drained().unwrap();
            read_to_end(&tcp)
        });
        let tcp = listener.accept(0).unwrap();
        let received = read_to_end(&tcp);
        assert_eq!(received.len(), expected.len());
        assert!(received == expected, "bytes differ, seed {seed}");
        write_all(&tcp, b"thanks");
        drop(tcp);
        assert_eq!(writer.join().unwrap(), b"thanks");
    }
}

#[test]
fn nobody_listens_and_nobody_is_there() {
    let [left, right] = machines(Trouble::default(), 1);
    let net = left.net(SHELL);
    let tcp = net.connect(at(&right, 9), 0).unwrap();
    assert_eq!(tcp.connected(), server(NetError::Refused));
    assert_eq!(tcp.read(&mut [0; 8]), server(NetError::Refused));
    assert_eq!(tcp.try_write(b"x"), server(NetError::Refused));
    assert_eq!(tcp.info().unwrap().state, TcpState::Closed);
    let nowhere = |text: &str| SocketAddress {
        address: text.parse::<std::net::IpAddr>().unwrap().into(),
        port: 9,
    };
    for (text, error) in [
        ("10.0.0.1", NetError::Unreachable),
        ("2001:db8::1", NetError::Unreachable),
        ("::", NetError::BadAddress),
        ("0.0.0.0", NetError::BadAddress),
    ] {
        assert_eq!(
            net.connect(nowhere(text), 0).map(drop),
            server(error),
            "{text}"
        );
    }
    assert_eq!(
        net.connect(at(&right, 0), 0).map(drop),
        server(NetError::BadAddress)
    );
    // Whoever waits for somebody who is not there has a deadline of his own.
    let gone = nowhere("fe80::99");
    let tcp = net.connect(gone, 0).unwrap();
    let tcp = tcp.with_timeout(Duration::from_millis(50));
    assert!(matches!(tcp.connected(), Err(CallError::Transport(_))));
    assert_eq!(tcp.info().unwrap().state, TcpState::Connecting);
}

#[test]
fn datagrams_go_to_one_and_to_a_group() {
    let [left, right] = machines(Trouble::default(), 1);
    let (here, there) = (
        left.net(SHELL).udp(0, 0).unwrap(),
        right.net(7).udp(5, 0).unwrap(),
    );
    here.send(at(&right, 5), b"to you").unwrap();
    let mut into = [0; 16];
    let datagram = there.receive(&mut into).unwrap();
    assert_eq!(&into[..datagram.length as usize], b"to you");
    assert_eq!(datagram.source, at(&left, here.port().unwrap()));
    assert_eq!(datagram.target, right.address.into());
    there.send(datagram.source, b"and back").unwrap();
    assert_eq!(here.receive(&mut into).unwrap().length, 8);

    let group: std::net::IpAddr = "ff02::7e55".parse().unwrap();
    let to = SocketAddress {
        address: group.into(),
        port: 5,
    };
    here.send(to, b"not yet").unwrap();
    there.join(group.into()).unwrap();
    there.join(group.into()).unwrap();
    here.send(to, b"to all").unwrap();
    let datagram = there.receive(&mut into).unwrap();
    assert_eq!(
        (&into[..6], datagram.target),
        (&b"to all"[..], group.into())
    );
    there.leave(group.into()).unwrap();
    here.send(to, b"no more").unwrap();
    here.send(at(&right, 5), b"last").unwrap();
    assert_eq!(there.receive(&mut into).unwrap().length, 4);
    assert_eq!(
        there.join(left.address.into()),
        server(NetError::BadAddress)
    );
}

#[test]
fn what_is_too_large_or_not_there_is_refused() {
    let [left, right] = machines(Trouble::default(), 1);
    let net = left.net(SHELL);
    let (udp, other) = (net.udp(5, 0).unwrap(), right.net(7).udp(5, 0).unwrap());
    assert_eq!(net.udp(5, 0).map(drop), server(NetError::InUse));
    assert_eq!(
        udp.send(at(&right, 5), &[0; 1453]),
        server(NetError::TooLarge)
    );
    udp.send(at(&right, 5), &[7; 1452]).unwrap();
    let mut small = [0; 1451];
    assert_eq!(other.receive(&mut small), server(NetError::TooLarge));
    assert_eq!(other.try_receive(&mut small), server(NetError::WouldBlock));
    // A capability for a socket is for no other kind, and none of it for the network.
    let copy = AsRef::<Capability>::as_ref(&udp).copy().unwrap();
    assert_eq!(TcpClient::from(copy).info(), server(NetError::Stale));
    let copy = AsRef::<Capability>::as_ref(&udp).copy().unwrap();
    assert_eq!(
        NetClient::from(copy).udp(0, 0).map(drop),
        server(NetError::Stale)
    );
    assert_eq!(udp.set_hop_limit(0), server(NetError::BadAddress));
}

#[test]
fn echo_is_answered() {
    let [left, right] = machines(Trouble::default(), 1);
    let ping = left.net(SHELL).ping(0).unwrap();
    for sequence in 1..4 {
        let data = bytes(usize::from(sequence) * 100);
        ping.request(right.address.into(), sequence, &data).unwrap();
        let mut into = [0; 400];
        let answer = ping.answer(&mut into).unwrap();
        assert_eq!(
            (answer.sequence, answer.source),
            (sequence, right.address.into())
        );
        assert_eq!(&into[..answer.length as usize], &data[..]);
    }
    assert_eq!(ping.try_answer(&mut [0; 8]), server(NetError::WouldBlock));
    let nobody: std::net::IpAddr = "fe80::99".parse().unwrap();
    ping.request(nobody.into(), 1, b"x").unwrap();
    let ping = ping.with_timeout(Duration::from_millis(30));
    assert!(matches!(
        ping.answer(&mut [0; 8]),
        Err(CallError::Transport(_))
    ));
}

#[test]
fn what_was_opened_is_limited_and_comes_back() {
    let [left, _right] = machines(Trouble::default(), 1);
    let net = left.net(SHELL);
    let mut opened: Vec<_> = (0..32).map(|tag| net.udp(0, tag).unwrap()).collect();
    assert_eq!(net.udp(0, 0).map(drop), server(NetError::TooManySockets));
    assert_eq!(
        net.listen(1, 1, 0).map(drop),
        server(NetError::TooManySockets)
    );
    // Others have their own share.
    left.net(8).udp(0, 0).unwrap();
    opened.pop();
    until(|| net.udp(0, 0).is_ok());
}

/// A closed capability is noticed soon.
fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::yield_now();
    }
}

#[test]
fn a_restricted_capability_does_no_more() {
    let [left, right] = machines(Trouble::default(), 1);
    let net = left.net(SHELL);
    let only = net.restrict(Allowed::DATAGRAMS.bits()).unwrap();
    only.udp(0, 0).unwrap();
    assert_eq!(
        only.listen(9, 1, 0).map(drop),
        server(NetError::NotPermitted)
    );
    assert_eq!(
        only.connect(at(&right, 9), 0).map(drop),
        server(NetError::NotPermitted)
    );
    assert_eq!(only.ping(0).map(drop), server(NetError::NotPermitted));
    let more = only.restrict(Allowed::all().bits()).unwrap();
    assert_eq!(
        more.listen(9, 1, 0).map(drop),
        server(NetError::NotPermitted)
    );
    let named = net
        .lookup(libipc::Text::new("fe80::1").unwrap(), true)
        .unwrap();
    assert_eq!(
        named.iter().map(|a| a.to_string()).collect::<Vec<_>>(),
        ["fe80::1"]
    );
    let name = libipc::Text::new("nobody.example").unwrap();
    assert_eq!(net.lookup(name, false), server(NetError::NoServer));
    assert_eq!(only.lookup(name, false), server(NetError::NotPermitted));
}

/// A thread that waits for sockets by one signal.
struct Loop {
    net: NetClient,
    endpoint: EndpointClient,
    ready: BTreeMap<u32, Events>,
}

impl Loop {
    fn new(machine: &Machine, badge: u64) -> Loop {
        let endpoint = fake::endpoint();
        let net = machine.net(badge);
        let rights = Rights::SIGNAL | Rights::GRANT;
        let told = endpoint.as_ref().derive(rights).unwrap();
        net.notify(told.into(), 1).unwrap();
        Loop {
            net,
            endpoint,
            ready: BTreeMap::new(),
        }
    }

    /// Waits until this has become so at the socket with this tag.
    fn wait(&mut self, tag: u32, wanted: Events) {
        loop {
            if let Some(events) = self.ready.get_mut(&tag)
                && events.contains(wanted)
            {
                *events -= wanted;
                return;
            }
            let mut receiver = Receiver::new(&self.endpoint);
            let deadline = Instant::after(Duration::from_secs(20));
            let event = receiver.wait(deadline).unwrap();
            assert!(matches!(event, Event::Signals(1)));
            loop {
                let ready: Ready = self.net.collect().unwrap();
                for (tag, events) in ready.iter() {
                    *self.ready.entry(tag).or_default() |= events;
                }
                if !ready.is_full() {
                    break;
                }
            }
        }
    }
}

#[test]
fn one_thread_waits_for_all_by_a_signal() {
    let [left, right] = machines(LOSSY, 5);
    let (mut here, mut there) = (Loop::new(&left, SHELL), Loop::new(&right, 7));
    let listener = there.net.listen(9, 2, 1).unwrap();
    let datagrams = there.net.udp(9, 2).unwrap();
    assert_eq!(
        listener.try_accept(3).map(drop),
        server(NetError::WouldBlock)
    );
    let tcp = here.net.connect(at(&right, 9), 10).unwrap();
    here.wait(10, Events::WRITABLE);
    tcp.connected().unwrap();
    there.wait(1, Events::READABLE);
    let accepted = listener.try_accept(3).unwrap();

    // As much as goes, then more as there is room.
    let sent = bytes(100_000);
    let (mut done, mut received) = (0, Vec::new());
    let mut piece = vec![0; 8000];
    while received.len() < sent.len() {
        while done < sent.len() {
            match tcp.try_write(&sent[done..]) {
                Ok(count) => done += count as usize,
                Err(error) => {
                    assert_eq!(error, CallError::Server(NetError::WouldBlock));
                    break;
                }
            }
        }
        match accepted.try_read(&mut piece) {
            Ok(count) => received.extend_from_slice(&piece[..count as usize]),
            Err(error) => {
                assert_eq!(error, CallError::Server(NetError::WouldBlock));
                there.wait(3, Events::READABLE);
            }
        }
    }
    assert!(received == sent);
    // The end is something to read, on either side.
    tcp.shutdown().unwrap();
    let end = loop {
        match accepted.try_read(&mut piece) {
            Err(CallError::Server(NetError::WouldBlock)) => there.wait(3, Events::READABLE),
            end => break end,
        }
    };
    assert_eq!(end, Ok(0));
    // What is lost tells nobody: datagrams are sent until one has come.
    let udp = here.net.udp(0, 11).unwrap();
    let mut tries = 0;
    while datagrams.try_receive(&mut piece).is_err() {
        udp.send(at(&right, 9), b"now").unwrap();
        tries += 1;
        assert!(tries < 1_000_000);
    }
    accepted.abort().unwrap();
    here.wait(10, Events::ENDED);
}

#[test]
fn who_goes_at_once_has_confirmed_what_came() {
    for seed in 0..20 {
        let [left, right] = machines(Trouble::default(), seed);
        let listener = right.net(7).listen(9, 1, 0).unwrap();
        let tcp = left.net(SHELL).connect(at(&right, 9), 0).unwrap();
        let other = fake::current().spawn(move || {
            let tcp = listener.accept(0).unwrap();
            tcp.write(b"from here").unwrap();
            tcp.shutdown().unwrap();
            let received = read_to_end(&tcp);
            // Without the confirmation this would wait for long, and then fail.
            tcp.drained().unwrap();
            received
        });
        tcp.connected().unwrap();
        write_all(&tcp, b"from there");
        tcp.shutdown().unwrap();
        assert_eq!(read_to_end(&tcp), b"from here");
        drop(tcp);
        assert_eq!(other.join().unwrap(), b"from there");
    }
}

#[test]
fn connections_that_are_over_keep_nobody_out() {
    let [left, right] = machines(Trouble::default(), 1);
    let (net, there) = (left.net(SHELL), right.net(SHELL));
    let listener = there.listen(9, 1, 0).unwrap();
    // More than an account may have, sooner than any of them is forgotten.
    for _ in 0..40 {
        let tcp = net.connect(at(&right, 9), 0).unwrap();
        // Who ends it first remembers it for a while.
        drop(listener.accept(0).unwrap());
        assert_eq!(read_to_end(&tcp), b"");
    }
}

#[test]
fn who_goes_is_told_no_more() {
    let [left, right] = machines(Trouble::default(), 3);
    let mut here = Loop::new(&left, SHELL);
    let listener = right.net(7).listen(9, 1, 0).unwrap();
    let tcp = here.net.connect(at(&right, 9), 10).unwrap();
    let accepted = listener.accept(0).unwrap();
    here.wait(10, Events::WRITABLE);
    here.ready.clear();
    // The connection goes on until both sides have ended it.
    drop(tcp);
    assert_eq!(accepted.read(&mut [0; 8]), Ok(0));
    accepted.write(b"to nobody").unwrap();
    accepted.shutdown().unwrap();
    accepted.drained().unwrap();
    let udp = here.net.udp(9, 11).unwrap();
    right
        .net(7)
        .udp(0, 0)
        .unwrap()
        .send(at(&left, 9), b"now")
        .unwrap();
    here.wait(11, Events::READABLE);
    assert!(!here.ready.contains_key(&10), "of {:?}", here.ready);
    drop(udp);
}

#[test]
fn a_peer_that_resets_is_told_apart() {
    let [left, right] = machines(Trouble::default(), 1);
    let listener = right.net(7).listen(9, 1, 0).unwrap();
    let tcp = left.net(SHELL).connect(at(&right, 9), 0).unwrap();
    let accepted = listener.accept(0).unwrap();
    tcp.connected().unwrap();
    accepted.abort().unwrap();
    assert_eq!(tcp.read(&mut [0; 8]), server(NetError::Reset));
    assert_eq!(accepted.read(&mut [0; 8]), server(NetError::Closed));
    // The port can be connected to again.
    let again = left.net(SHELL).connect(at(&right, 9), 0).unwrap();
    again.connected().unwrap();
    let accepted = listener.accept(0).unwrap();
    again.write(b"hello").unwrap();
    drop(again);
    assert_eq!(read_to_end(&accepted), b"hello");
}
