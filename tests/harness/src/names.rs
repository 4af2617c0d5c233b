//! A name server on a segment, as another machine would be one: `smoltcp` receives and sends,
//! `simple-dns` reads and writes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as HostInstant};

use anyhow::{Context, Result, bail};
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::udp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use xtask::machine::Network;

/// Where names are asked for.
const PORT: u16 = 53;

/// Most bytes of a frame.
const FRAME: usize = 1514;

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// What it knows: the addresses of each name.
type Names = Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>;

/// A name server. It ends when it is dropped.
pub struct NameServer {
    names: Names,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// One that has these addresses, in the place of a machine on the segment.
    pub fn start(network: &Network, addresses: &[IpAddr]) -> Result<NameServer> {
        let Network::Segment { own, hub } = network else {
            bail!("it is on a segment");
        };
        let socket = UnixDatagram::bind(own).context("the name server has no socket")?;
        socket.set_read_timeout(Some(LOOK))?;
        let wire = Wire {
            socket,
            hub: hub.clone(),
            came: None,
        };
        let (names, ends) = (Names::default(), Arc::new(AtomicBool::new(false)));
        let (known, told) = (names.clone(), ends.clone());
        let addresses = addresses.to_vec();
        let thread = thread::spawn(move || serve(wire, &addresses, &known, &told));
        Ok(NameServer {
            names,
            ends,
            thread: Some(thread),
        })
    }

    /// It gives this address too for that name.
    pub fn give(&self, name: &str, address: IpAddr) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.entry(name.into()).or_default().push(address);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

fn serve(mut wire: Wire, addresses: &[IpAddr], names: &Names, ends: &AtomicBool) {
    let mac = EthernetAddress([2, 0, 0, 0, 0, 0x53]);
    let begin = HostInstant::now();
    let now = || Instant::from_millis(begin.elapsed().as_millis() as i64);
    let mut interface = Interface::new(Config::new(mac.into()), &mut wire, now());
    interface.update_ip_addrs(|own| {
        for address in addresses {
            let prefix = if address.is_ipv4() { 24 } else { 64 };
            // As many as there is room for.
            let _ = own.push(IpCidr::new(IpAddress::from(*address), prefix));
        }
    });
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    if socket.bind(PORT).is_err() {
        return;
    }
    let mut sockets = SocketSet::new(Vec::new());
    let handle = sockets.add(socket);
    while !ends.load(Ordering::SeqCst) {
        wire.wait();
        interface.poll(now(), &mut wire, &mut sockets);
        let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
        while let Ok((query, from)) = socket.recv() {
            if let Some(answer) = answer(query, names) {
                // One that is lost is asked for again.
                let _ = socket.send_slice(&answer, from);
            }
        }
        interface.poll(now(), &mut wire, &mut sockets);
    }
}

/// The answer to a question of one name.
fn answer(query: &[u8], names: &Names) -> Option<Vec<u8>> {
    let query = Packet::parse(query).ok()?;
    let [question] = &query.questions[..] else {
        return None;
    };
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    match names.get(&question.qname.to_string()) {
        Some(addresses) => {
            let wanted = addresses
                .iter()
                .filter_map(|address| match (address, question.qtype) {
                    (IpAddr::V4(ip), QTYPE::TYPE(TYPE::A)) => Some(RData::A(A::from(*ip))),
                    (IpAddr::V6(ip), QTYPE::TYPE(TYPE::AAAA)) => Some(RData::AAAA(AAAA::from(*ip))),
                    _ => None,
                });
            let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, data);
            reply.answers.extend(wanted.map(record));
        }
        None => *reply.rcode_mut() = RCODE::NameError,
    }
    reply.questions.push(question.clone());
    reply.build_bytes_vec_compressed().ok()
}

/// The segment as `smoltcp` wants a device.
struct Wire {
    socket: UnixDatagram,
    hub: PathBuf,
    /// A frame that came.
    came: Option<Vec<u8>>,
}

impl Wire {
    /// Waits for a frame, but not for ever.
    fn wait(&mut self) {
        let mut frame = vec![0; FRAME];
        if let Ok(length) = self.socket.recv(&mut frame) {
            frame.truncate(length);
            self.came = Some(frame);
        }
    }
}

impl phy::Device for Wire {
    type RxToken<'a> = Came;
    type TxToken<'a> = Goes<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Came, Goes<'_>)> {
        let came = Came(self.came.take()?);
        Some((came, Goes(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Goes<'_>> {
        Some(Goes(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.medium = Medium::Ethernet;
        capabilities
    }
}

/// A frame that came.
struct Came(Vec<u8>);

impl phy::RxToken for Came {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for a frame that goes.
struct Goes<'w>(&'w Wire);

impl phy::TxToken for Goes<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let written = write(&mut frame);
        // One that is lost is sent again by whoever waits for an answer.
        let _ = self.0.socket.send_to(&frame, &self.0.hub);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(names: &Names, name: &str, kind: TYPE) -> (RCODE, Vec<RData<'static>>) {
        let mut query = Packet::new_query(7);
        query.questions.push(simple_dns::Question::new(
            simple_dns::Name::new_unchecked(name),
            QTYPE::TYPE(kind),
            simple_dns::QCLASS::CLASS(CLASS::IN),
            false,
        ));
        let bytes = answer(&query.build_bytes_vec().unwrap(), names).unwrap();
        let reply = Packet::parse(&bytes).unwrap();
        let answers = reply.answers.iter();
        let data = answers.map(|answer| answer.rdata.clone().into_owned());
        (reply.rcode(), data.collect())
    }

    #[test]
    fn each_name_has_its_addresses() {
        let names = Names::default();
        let v6: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
        names.lock().unwrap().insert(
            "host.test".into(),
            vec!["10.0.0.1".parse().unwrap(), v6.into()],
        );
        let (code, found) = ask(&names, "host.test", TYPE::AAAA);
        assert_eq!(code, RCODE::NoError);
        assert_eq!(found, [RData::AAAA(AAAA::from(v6))]);
        assert_eq!(ask(&names, "host.test", TYPE::A).1.len(), 1);
        assert_eq!(ask(&names, "nobody.test", TYPE::A).0, RCODE::NameError);
        assert_eq!(answer(b"no question", &names), None);
    }
}
