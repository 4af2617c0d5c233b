//! `cargo xtask run`: builds a system and boots it with its console here.

use std::io::{Cursor, IsTerminal, Read, Result as IoResult, copy, stdin};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use tessera_page::Virtio;

use super::{build_system, nodes, sensor};
use crate::cli::Run;
use crate::disk;
use crate::machine::{Device, Machine, Nic};
use crate::page::units::Size;
use crate::process::{shown, step};
use crate::setup::qemu;

/// Runs the command; ends with the machine's exit code.
pub fn run(options: Run) -> Result<ExitCode> {
    if let Some(nodes) = &options.nodes {
        let arches = nodes::parse(nodes).map_err(anyhow::Error::msg)?;
        return nodes::run(&options, &arches);
    }
    let qemu = qemu::ensure(options.machine.arch, options.setup.yes)?;
    let parts = build_system(&options.system.system, options.machine.arch)?;
    let mut machine = Machine::new(&options.machine, parts.page().ram);
    if !options.no_disk && parts.page().names(Virtio::Block) {
        let mut images = options.disk.clone();
        if images.is_empty() {
            images.push(disk::usual());
        }
        for (index, image) in images.into_iter().enumerate() {
            if !image.exists() {
                ensure!(index == 0, "there is no disk image {}", image.display());
                step("Making", format!("the data disk {}", image.display()));
                disk::create(&image, disk::USUAL)?;
            }
            machine.devices.push(Device::Disk {
                image,
                read_only: false,
            });
        }
    }
    if parts.page().names(Virtio::Entropy) {
        machine.devices.push(Device::Entropy);
    }
    if parts.page().names(Virtio::Net) && !options.no_net {
        let capture = options.capture.clone();
        machine.devices.push(Device::Net(Nic {
            capture,
            ..Nic::user()
        }));
    }
    if let Some(socket) = &options.sensor {
        let named = parts.page().names(Virtio::Console);
        ensure!(named, "the system `{}` has no sensor", parts.page().name);
        sensor::check(socket)?;
        machine.devices.push(Device::Console {
            socket: socket.clone(),
        });
    }
    ensure!(
        machine.memory >= parts.page().ram,
        "the system `{}` is made for at least {} of RAM, not for {}",
        parts.page().name,
        Size(parts.page().ram),
        Size(machine.memory)
    );
    let image = parts.write()?;
    machine.check(&image, parts.page())?;

    let mut command = machine.qemu(qemu, &image);
    command.args(&options.qemu);
    step("Running", shown(&command));
    step(
        "Console",
        "this terminal. Ctrl-A X leaves, Ctrl-A C switches to QEMU's monitor",
    );
    let status = if stdin().is_terminal() {
        command.status()
    } else {
        run_fed(&mut command)
    };
    let status = status.context("cannot start QEMU")?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => {
            eprintln!("error: the machine ended with exit code {code}");
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        None => {
            eprintln!("error: QEMU was killed ({status})");
            ExitCode::FAILURE
        }
    })
}

/// Runs QEMU with what is piped into us. QEMU forgets what it has not yet read
/// when its input ends, and the machine reads slower than a file, so the end is
/// kept from it: a script ends with `poweroff`.
fn run_fed(command: &mut Command) -> IoResult<ExitStatus> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        thread::spawn(move || {
            // OpenSBI empties the UART when it starts: the empty line is for it.
            let mut script = Cursor::new(b"\n").chain(stdin().lock());
            // An error means that QEMU has ended, which `wait` tells.
            let _ = copy(&mut script, &mut input);
            loop {
                thread::park();
            }
        });
    }
    child.wait()
}
