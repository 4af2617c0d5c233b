//! The host's side of what is measured of the network: it echoes datagrams, and takes and
//! sends bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Bytes that are sent for each byte that asks for them.
const ANSWER: usize = 64 << 10;

/// How often the threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(200);

/// Servers on this machine, until it is dropped.
pub(super) struct Host {
    /// The port at which datagrams come back.
    pub(super) udp: u16,
    /// The port at which bytes are taken, and sent for.
    pub(super) tcp: u16,
    running: std::sync::Arc<()>,
}

impl Host {
    /// Starts them, at ports that are free.
    pub(super) fn start() -> Result<Host> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_read_timeout(Some(LOOK))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let host = Host {
            udp: udp.local_addr()?.port(),
            tcp: listener.local_addr()?.port(),
            running: std::sync::Arc::new(()),
        };
        let running = std::sync::Arc::downgrade(&host.running);
        thread::spawn(move || {
            let mut bytes = [0; 2048];
            while running.strong_count() > 0 {
                if let Ok((count, from)) = udp.recv_from(&mut bytes) {
                    // One that is lost is missed by the guest.
                    let _ = udp.send_to(&bytes[..count], from);
                }
            }
        });
        thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                // It ends with the machine's.
                let _ = serve(stream);
            }
        });
        Ok(host)
    }
}

/// Takes zeros, and answers any other byte with 64 KiB.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = vec![0; ANSWER];
    let answer = vec![0; ANSWER];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        for _ in bytes[..count].iter().filter(|byte| **byte != 0) {
            stream.write_all(&answer)?;
        }
    }
}
