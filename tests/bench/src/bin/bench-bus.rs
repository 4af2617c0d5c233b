//! Measures what it costs to call another device, and to send the same bytes over a plain
//! connection to it. Both devices are in this machine, so that a figure is what both have
//! spent, from the client to the server and back.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec, vec::Vec};
use core::{net::IpAddr, time::Duration};
use libipc::{
    CallError, Capability, Start, Text,
    interfaces::{
        BusClient, Directory, DirectoryClient, FileAccess, FileClient,
        bus::{Device, Standing},
        net::{NetClient, NetError, SocketAddress, TcpClient},
    },
    objects::{Shutdown, SystemClient},
    operation::Interface,
    server::Dispatch,
    start::AnyError,
    thread, time,
};
use tessera_bench::{
    Target, TargetClient,
    meter::{Cost, Meter},
};

libipc::program!(run);

/// How often something short is done, and something long.
const TIMES: u64 = 256;
const FEW: u64 = 4;

/// Bytes of a short message.
const SHORT: usize = 64;

/// Bytes of what is read.
const LONG: usize = 1 << 20;

/// Bytes of it that a file server reads at once.
const PIECE: usize = 64 << 10;

/// The right device.
const RIGHT: &str = "fe80::2";
const PORT: u16 = 9;

/// What is asked of the right device over the plain connection.
const ECHO: u8 = 1;
const SEND: u8 = 2;

/// The right device, as the left one reaches it.
struct Right {
    tcp: TcpClient,
    target: TargetClient,
    file: FileClient,
    memory: Vec<u8>,
}

/// What is done so often.
type Case = (&'static str, u64, fn(&mut Right) -> Result<(), AnyError>);

const CASES: [Case; 4] = [
    ("net_tcp_ping", TIMES, |right| {
        let mut message = [ECHO; SHORT];
        right.tcp.write(&message)?;
        read_all(&right.tcp, &mut message)
    }),
    ("bus_ping", TIMES, |right| match right.target.add(1, 2)? {
        3 => Ok(()),
        _ => Err(AnyError::new("a wrong sum")),
    }),
    ("net_tcp_read_1m", FEW, |right| {
        right.tcp.write(&[SEND; SHORT])?;
        read_all(&right.tcp, &mut right.memory)
    }),
    ("bus_read_1m", FEW, |right| {
        let mut done = 0;
        while done < LONG {
            let piece = &mut right.memory[done..LONG.min(done + PIECE)];
            done += match right.file.read_at(done as u64, piece)? as usize {
                0 => return Err(AnyError::new("the file has come in part")),
                count => count,
            };
        }
        Ok(())
    }),
];

fn run(mut start: Start) -> Result<(), AnyError> {
    let log: SystemClient = start.take("kernel-log")?;
    let shutdown: SystemClient = start.take("shutdown")?;
    match measure_all(&mut start, &log) {
        Ok(()) => log.log("[bench] done\n")?,
        Err(error) => log.log(&format!("[bench] the devices did not meet: {error}\n"))?,
    }
    Ok(shutdown.shutdown(Shutdown::PowerOff)?)
}

fn measure_all(start: &mut Start, log: &SystemClient) -> Result<(), AnyError> {
    let meter = Meter::new(start.take("counters")?, start.take("inspect")?)?;
    let nets: [NetClient; 2] = [start.take("left-net")?, start.take("right-net")?];
    let buses: [BusClient; 2] = [start.take("left-bus")?, start.take("right-bus")?];
    let files: DirectoryClient = start.take("files")?;
    let device = pair(&buses)?;
    publish(
        &buses[1],
        "target",
        &<dyn Target>::INTERFACE,
        start.take("target")?,
    )?;
    publish(
        &buses[1],
        "files",
        &<dyn Directory>::INTERFACE,
        shared(&files)?,
    )?;
    let there: DirectoryClient = buses[0].open_as::<dyn Directory, _>(device, name("files"))?;
    let mut right = Right {
        tcp: connect(&nets)?,
        target: buses[0].open_as::<dyn Target, _>(device, name("target"))?,
        file: there.open(name("long"), FileAccess::Read)?,
        memory: vec![0; LONG],
    };
    // All others have come to rest.
    time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("");
    for (name, times, case) in CASES {
        if wanted.is_empty() || wanted.split(',').any(|one| one == name) {
            let text = match measure(&meter, &nets[0], &mut right, times, case) {
                Ok(cost) => cost.line(name, times),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            log.log(&text)?;
        }
    }
    Ok(())
}

fn name<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).unwrap_or_default()
}

/// Pairs the left device with the right one, and returns its number there.
fn pair([left, right]: &[BusClient; 2]) -> Result<u64, AnyError> {
    let pin = retry(|| right.open_pairing())?;
    let open = |device: &Device| device.standing == Standing::Open;
    let device = retry(|| {
        let all = left.devices()?;
        let found = all.into_iter().find(open);
        found.ok_or(CallError::Server(
            libipc::interfaces::bus::BusError::NoDevice,
        ))
    })?;
    Ok(left.pair(device.id, pin)?)
}

/// Tries for some seconds: a bus is ready when its network is.
fn retry<T, E: core::fmt::Display>(mut what: impl FnMut() -> Result<T, E>) -> Result<T, AnyError> {
    let late = time::Instant::after(Duration::from_secs(20));
    loop {
        match what() {
            Ok(done) => return Ok(done),
            Err(error) if time::Instant::now() > late => return Err(AnyError::new(error)),
            Err(_) => time::sleep(Duration::from_millis(10)),
        }
    }
}

fn publish(
    bus: &BusClient,
    service: &str,
    interface: &Interface,
    server: Capability,
) -> Result<(), AnyError> {
    let (hash, interface) = (interface.hash, name(interface.name));
    Ok(bus.publish(name(service), interface, hash, false, server)?)
}

/// A directory with a long file.
fn shared(files: &DirectoryClient) -> Result<Capability, AnyError> {
    let memory = files.open_directory(name("tmp"), FileAccess::ReadWrite)?;
    let shared = memory.create_directory(name("shared"))?;
    let file = shared.create(name("long"))?;
    let bytes: Vec<u8> = (0..LONG).map(|index| (index / 251 + index) as u8).collect();
    let mut written = 0;
    while written < bytes.len() {
        written += file.write_at(written as u64, &bytes[written..])? as usize;
    }
    Ok(shared.into())
}

/// A connection to the right device, where a thread answers.
fn connect([left, right]: &[NetClient; 2]) -> Result<TcpClient, AnyError> {
    let listener = right.listen(PORT, 1, 0)?;
    let address = RIGHT.parse::<IpAddr>().map_err(AnyError::new)?.into();
    let tcp = left.connect(
        SocketAddress {
            address,
            port: PORT,
        },
        0,
    )?;
    let accepted = listener.accept(0)?;
    // It ends with the machine.
    drop(thread::spawn(move || answer(&accepted))?);
    tcp.connected()?;
    Ok(tcp.with_timeout(Duration::from_secs(20)))
}

/// Answers what is asked over the connection until that ends.
fn answer(tcp: &TcpClient) -> Result<(), AnyError> {
    let long = vec![7; LONG];
    let mut message = [0; SHORT];
    loop {
        read_all(tcp, &mut message)?;
        let answer = match message[0] {
            ECHO => &message[..],
            _ => &long,
        };
        let mut sent = 0;
        while sent < answer.len() {
            sent += tcp.write(&answer[sent..])? as usize;
        }
    }
}

fn read_all(tcp: &TcpClient, into: &mut [u8]) -> Result<(), AnyError> {
    let mut done = 0;
    while done < into.len() {
        done += match tcp.read(&mut into[done..])? as usize {
            0 => return Err(AnyError::new("the connection has ended")),
            count => count,
        };
    }
    Ok(())
}

fn measure(
    meter: &Meter,
    net: &NetClient,
    right: &mut Right,
    times: u64,
    case: fn(&mut Right) -> Result<(), AnyError>,
) -> Result<Cost, AnyError> {
    for _ in 0..4 {
        case(right)?;
    }
    let before = frames(net)?;
    let mut cost = meter.measure(times, |_| case(right))?;
    cost.frames = Some(frames(net)? - before);
    Ok(cost)
}

/// Frames that the left device has received and sent so far.
fn frames(net: &NetClient) -> Result<u64, CallError<NetError>> {
    let info = net.interface()?;
    Ok(info.received[0] + info.sent[0])
}
