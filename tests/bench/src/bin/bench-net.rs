//! Measures what a client pays for datagrams and bytes of a connection, all tasks between
//! it and the device included. The other side is the host: it echoes datagrams, takes
//! bytes, and sends as many as a number asks for.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec, vec::Vec};
use core::{net::IpAddr, time::Duration};
use libipc::{
    Start,
    interfaces::net::{NetClient, NetError, SocketAddress, TcpClient, UdpClient},
    objects::{Shutdown, SystemClient},
    start::AnyError,
    time,
};
use tessera_bench::meter::{Cost, Meter};

libipc::program!(run);

/// How often each is done: the device takes its time.
const TIMES: u64 = 256;
const DATAGRAM: usize = 64;
const BYTES: usize = 64 << 10;

/// The host, as it is known on QEMU's own network.
const HOST: [u8; 4] = [10, 0, 2, 2];

/// Sockets with the host behind them.
struct Sockets {
    udp: UdpClient,
    echo: SocketAddress,
    tcp: TcpClient,
    memory: Vec<u8>,
}

/// What is done once.
type Case = fn(&mut Sockets) -> Result<(), AnyError>;

const CASES: [(&str, Case); 3] = [
    ("net_udp_64", |sockets| {
        sockets
            .udp
            .send(sockets.echo, &sockets.memory[..DATAGRAM])?;
        let datagram = sockets.udp.receive(&mut sockets.memory)?;
        if datagram.length != DATAGRAM as u64 {
            return Err(AnyError::new("another datagram came"));
        }
        Ok(())
    }),
    ("net_tcp_send_64k", |sockets| {
        let mut left = BYTES;
        while left > 0 {
            left -= sockets.tcp.write(&sockets.memory[..left])? as usize;
        }
        Ok(sockets.tcp.drained()?)
    }),
    ("net_tcp_receive_64k", |sockets| {
        // A byte that is not zero asks for so many times 64 KiB.
        sockets.tcp.write(&[1])?;
        let mut left = BYTES;
        while left > 0 {
            left -= sockets.tcp.read(&mut sockets.memory[..left])? as usize;
        }
        Ok(())
    }),
];

fn run(mut start: Start) -> Result<(), AnyError> {
    let net: NetClient = start.take("net")?;
    let meter = Meter::new(start.take("counters")?, start.take("inspect")?)?;
    let log: SystemClient = start.take("kernel-log")?;
    let shutdown: SystemClient = start.take("shutdown")?;
    let host = |port: &&str| -> Result<SocketAddress, AnyError> {
        let address = IpAddr::from(HOST).into();
        let port = port.parse().map_err(AnyError::new)?;
        Ok(SocketAddress { address, port })
    };
    let none = || AnyError::new("this program needs two ports");
    let (echo, bytes) = match start.arguments() {
        [_, _, echo, bytes, ..] => (host(echo)?, host(bytes)?),
        _ => return Err(none()),
    };
    let tcp = net.connect(bytes, 0)?;
    tcp.connected()?;
    let mut sockets = Sockets {
        udp: net.udp(0, 0)?.with_timeout(Duration::from_secs(5)),
        echo,
        tcp: tcp.with_timeout(Duration::from_secs(20)),
        memory: vec![0; BYTES],
    };
    // All others have come to rest.
    time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("");
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.split(',').any(|one| one == name) {
            let text = match measure(&meter, &net, &mut sockets, case) {
                Ok(cost) => cost.line(name, TIMES),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            log.log(&text)?;
        }
    }
    log.log("[bench] done\n")?;
    Ok(shutdown.shutdown(Shutdown::PowerOff)?)
}

fn measure(
    meter: &Meter,
    net: &NetClient,
    sockets: &mut Sockets,
    case: Case,
) -> Result<Cost, AnyError> {
    for _ in 0..16 {
        case(sockets)?;
    }
    let before = frames(net)?;
    let mut cost = meter.measure(TIMES, |_| case(sockets))?;
    cost.frames = Some(frames(net)? - before);
    Ok(cost)
}

/// Frames that were received and sent so far.
fn frames(net: &NetClient) -> Result<u64, libipc::CallError<NetError>> {
    let info = net.interface()?;
    Ok(info.received[0] + info.sent[0])
}
