//! `cargo xtask sensor`: sets the temperature that a machine measures.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cli::SensorArgs;

/// Most bytes of a socket's path: what the system has room for, with its end.
const MOST: usize = 107;

/// How long a machine may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the command.
pub fn run(options: &SensorArgs) -> Result<()> {
    set(&options.socket, options.celsius)
}

/// Sets the sensor that is behind this socket.
pub fn set(socket: &Path, celsius: f64) -> Result<()> {
    check(socket)?;
    let connected = UnixStream::connect(socket);
    let mut stream = connected.with_context(|| {
        let socket = socket.display();
        format!("no machine is at {socket} (start one by `cargo xtask run --sensor {socket}`)")
    })?;
    // As precise as the sensor is.
    writeln!(stream, "{celsius:.3}").context("the machine takes nothing")?;
    // QEMU forgets what it has not read when the other side is gone. It closes when it has
    // read all, and reads when the machine has room.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let read = stream.read(&mut [0]);
    ensure!(matches!(read, Ok(0)), "the machine does not take it");
    Ok(())
}

/// Whether a socket can have this path.
pub fn check(socket: &Path) -> Result<()> {
    let length = socket.as_os_str().len();
    ensure!(
        length <= MOST,
        "the path of a socket has at most {MOST} bytes"
    );
    Ok(())
}
