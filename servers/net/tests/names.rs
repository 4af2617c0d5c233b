//! Names are looked up at a server whose answers another implementation writes.

#[allow(dead_code, reason = "of what all tests share this one needs a part")]
mod support;

use libipc::{
    CallError, Text,
    interfaces::net::{IpAddress, NetError},
};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE,
    rdata::{A, AAAA, CNAME, RData},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use support::{Machine, SHELL, Trouble, machines_set_up};

const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

/// The second machine is asked for names, and answers when it was asked so often.
fn machines(times: usize) -> [Machine; 2] {
    let set_up = |stack: &mut tessera_net::stack::Stack<_>| {
        let server: IpAddr = "fe80::2".parse().unwrap();
        stack.set_name_server(server.into()).unwrap();
    };
    let [left, right] = machines_set_up(Trouble::default(), 1, set_up);
    let net = right.net(7);
    // It ends with the test.
    drop(libipc::fake::current().spawn(move || {
        let udp = net.udp(53, 0).unwrap();
        let (mut bytes, mut asked) = ([0; 512], 0);
        while let Ok(query) = udp.receive(&mut bytes) {
            asked += 1;
            let answer = answer(&bytes[..query.length as usize]);
            if let Some(answer) = answer.filter(|_| asked % times == 0) {
                udp.send(query.source, &answer).unwrap();
            }
        }
    }));
    [left, right]
}

/// What a server answers that knows `host.example`, an alias of it, one with many
/// addresses, one of which it says nothing, and nothing else.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let query = Packet::parse(query).unwrap();
    let [question] = &query.questions[..] else {
        panic!("one question at a time")
    };
    let asked = question.qname.clone();
    let record =
        |name: &Name<'static>, data| ResourceRecord::new(name.clone(), CLASS::IN, 60, data);
    let host = Name::new_unchecked("host.example");
    let address = |last: u8| match question.qtype {
        QTYPE::TYPE(TYPE::A) => {
            let [a, b, c, d] = V4.octets();
            RData::A(A::from(Ipv4Addr::new(a, b, c, d + last)))
        }
        _ => RData::AAAA(AAAA::from(V6)),
    };
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    match asked.to_string().as_str() {
        "host.example" => reply.answers.push(record(&host, address(0))),
        "alias.example" => {
            let alias = asked.clone().into_owned();
            reply
                .answers
                .push(record(&alias, RData::CNAME(CNAME(host.clone()))));
            reply.answers.push(record(&host, address(0)));
        }
        "many.example" => {
            let many = asked.clone().into_owned();
            reply
                .answers
                .extend((0..6).map(|last| record(&many, address(last))));
        }
        "silent.example" => return None,
        _ => *reply.rcode_mut() = RCODE::NameError,
    }
    reply.questions.push(question.clone());
    Some(reply.build_bytes_vec_compressed().unwrap())
}

fn look_up(machine: &Machine, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, NetError> {
    let found = machine.net(SHELL).lookup(Text::new(name).unwrap(), ipv6);
    match found {
        Ok(found) => Ok(found
            .iter()
            .map(|address: IpAddress| address.into())
            .collect()),
        Err(CallError::Server(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn names_have_addresses() {
    let [left, _right] = machines(1);
    assert_eq!(look_up(&left, "host.example", false), Ok(vec![V4.into()]));
    assert_eq!(look_up(&left, "host.example", true), Ok(vec![V6.into()]));
    assert_eq!(look_up(&left, "alias.example", false), Ok(vec![V4.into()]));
    assert_eq!(
        look_up(&left, "nobody.example", false),
        Err(NetError::NoName)
    );
    let many = look_up(&left, "many.example", false).unwrap();
    assert_eq!(many.first(), Some(&V4.into()));
    assert!(!many.is_empty() && many.len() <= 4, "{many:?}");
}

#[test]
fn a_question_that_is_lost_is_asked_again() {
    let [left, _right] = machines(3);
    assert_eq!(look_up(&left, "host.example", true), Ok(vec![V6.into()]));
    // Nobody answers as often as it is asked.
    let [left, _right] = machines(usize::MAX);
    assert_eq!(look_up(&left, "host.example", true), Err(NetError::NoName));
}

#[test]
fn questions_of_one_client_leave_room_for_those_of_others() {
    let [left, _right] = machines(1);
    let (tell, told) = std::sync::mpsc::channel();
    // One client asks as often at once as it may, and once more, again and again.
    for _ in 0..20 {
        let (net, tell) = (left.net(8), tell.clone());
        // They end with the test.
        drop(libipc::fake::current().spawn(move || {
            let name = Text::new("silent.example").unwrap();
            while net.lookup(name, false) == Err(CallError::Server(NetError::NoName)) {}
            let _ = tell.send(());
        }));
    }
    told.recv().unwrap();
    assert_eq!(look_up(&left, "host.example", false), Ok(vec![V4.into()]));
}
