//! `cargo xtask run --nodes ..`: several machines on one segment, at one console.
//!
//! What a machine says has its number in front. What is typed goes to the machine that is
//! in front; a line that begins with `:` is for the console itself.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tessera_page::Virtio;

use super::{build_system, sensor};
use crate::arch::Arch;
use crate::cli::Run;
use crate::disk;
use crate::guest::{Guest, Input};
use crate::hub::{Hub, Trouble};
use crate::machine::{Device, Machine, Nic};
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::target;

/// Most machines.
pub const MOST: usize = 32;

/// The architectures of machines: their names, or a number of machines whose
/// architectures alternate.
pub fn parse(text: &str) -> Result<Vec<Arch>, String> {
    let arches: Vec<Arch> = match text.parse::<usize>() {
        Ok(count) => (0..count)
            .map(|index| Arch::ALL[index % Arch::ALL.len()])
            .collect(),
        Err(_) => text.split(',').map(arch).collect::<Result<_, _>>()?,
    };
    match arches.len() {
        1..=MOST => Ok(arches),
        _ => Err(format!("there are 1 to {MOST} machines")),
    }
}

fn arch(name: &str) -> Result<Arch, String> {
    let found = Arch::ALL
        .into_iter()
        .find(|arch| arch.name() == name.trim());
    found.ok_or_else(|| format!("`{name}` is no architecture; there are aarch64 and riscv64"))
}

/// Something that the console shows or does.
enum Event {
    /// Bytes of a machine's console.
    Said(usize, Vec<u8>),
    /// A machine has ended.
    Ended(usize),
    /// A line that was typed.
    Typed(String),
}

/// Runs machines until all have ended.
pub fn run(options: &Run, arches: &[Arch]) -> Result<ExitCode> {
    let trouble = Trouble {
        loss: options.loss,
        duplicate: options.duplicate,
        reorder: options.reorder,
        delay: options.delay,
        seed: options.seed,
        ..Trouble::default()
    };
    let hub = Hub::new(arches.len(), trouble)?;
    let (sender, events) = channel();
    let mut machines = Vec::new();
    for (index, arch) in arches.iter().enumerate() {
        machines.push(Some(start(options, &hub, *arch, index, &sender)?));
    }
    step(
        "Console",
        "this terminal. Lines go to machine 1; `:2` puts another one in front, `:help` tells the rest",
    );
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(Event::Typed(line)).is_err() {
                return;
            }
        }
    });
    let mut console = Console {
        hub,
        machines,
        front: 0,
        lines: vec![Line::default(); arches.len()],
        shown: None,
    };
    console.run(&events)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and starts one machine: its disk, its address, its console.
fn start(
    options: &Run,
    hub: &Hub,
    arch: Arch,
    index: usize,
    events: &Sender<Event>,
) -> Result<Input> {
    let number = index + 1;
    let program = qemu::ensure(arch, options.setup.yes)?;
    let parts = build_system(&options.system.system, arch)?;
    let page = parts.page();
    ensure!(
        page.names(Virtio::Net),
        "the system `{}` has no network",
        page.name
    );
    let mut of_arch = options.machine.clone();
    of_arch.arch = arch;
    let mut machine = Machine::new(&of_arch, page.ram);
    if !options.no_disk && page.names(Virtio::Block) {
        let image = disk_of(number);
        if !image.exists() {
            disk::create(&image, disk::USUAL)?;
        }
        machine.devices.push(Device::Disk {
            image,
            read_only: false,
        });
    }
    if page.names(Virtio::Entropy) {
        machine.devices.push(Device::Entropy);
    }
    machine.devices.push(Device::Net(Nic {
        network: hub.network(index),
        mac: Some(Hub::mac(index)),
        capture: options.capture.as_ref().map(|path| numbered(path, number)),
    }));
    if page.names(Virtio::Console) {
        let socket = hub.sensor(index);
        machine.devices.push(Device::Console { socket });
    }
    let image = parts.write()?;
    machine.check(&image, page)?;
    let mut command = machine.qemu(program, &image);
    command.args(&options.qemu);
    let (guest, input) = Guest::start_shared(command)?;
    let events = events.clone();
    thread::spawn(move || {
        for bytes in guest {
            if events.send(Event::Said(index, bytes)).is_err() {
                return;
            }
        }
        // Nobody is left to be told when the console has ended.
        let _ = events.send(Event::Ended(index));
    });
    step("Running", format!("machine {number}, {arch}"));
    Ok(input)
}

/// The data disk of a machine, kept from run to run.
fn disk_of(number: usize) -> PathBuf {
    let folder = target().join("tessera/nodes");
    // Without a folder making the disk fails, and says so.
    let _ = std::fs::create_dir_all(&folder);
    folder.join(format!("data-{number}.img"))
}

/// `FILE` as `FILE-NUMBER`, before what tells its kind.
fn numbered(path: &std::path::Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(kind) => format!("{stem}-{number}.{}", kind.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

/// One console for several machines.
struct Console {
    hub: Hub,
    machines: Vec<Option<Input>>,
    front: usize,
    /// What each machine has said of a line that is not whole.
    lines: Vec<Line>,
    /// The line that is not whole and stands in the terminal.
    shown: Option<Vec<u8>>,
}

/// A line of a machine's console while it comes.
#[derive(Clone, Debug, Default)]
struct Line {
    begun: Vec<u8>,
    /// The last byte was a carriage return.
    returned: bool,
}

impl Line {
    /// One more byte of it; the line if it is whole.
    fn add(&mut self, byte: u8) -> Option<Vec<u8>> {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match byte {
            b'\n' => return Some(std::mem::take(&mut self.begun)),
            b'\r' => {}
            byte => {
                if returned {
                    // It is written anew.
                    self.begun.clear();
                }
                self.begun.push(byte);
            }
        }
        None
    }
}

/// Takes the line off the terminal that is not whole.
const ERASE: &[u8] = b"\r\x1b[K";

/// What is not whole is shown when nothing more comes for so long.
const IDLE: Duration = Duration::from_millis(50);

const HELP: &str = ":N  puts machine N in front
:c  sends Ctrl-C to the machine in front
Ctrl-] Enter  shows what its owner is asked; `y` and Enter say yes
:kill N  ends machine N as a power cut would
:sensor N CELSIUS  sets what the thermometer of machine N measures
:trouble  shows what the segment does to frames, and has done
:loss 5%  :duplicate 1%  :reorder 2%  :delay 1..20  loses, doubles, overtakes, delays frames
:alter 1%  changes a bit of what frames carry
:replay [altered]  says all again that was heard, as it was or with a bit changed
:partition 1,2 3  cuts machines off from each other
:heal  ends all trouble
:quit  ends all machines
";

/// Begins what is for the console of a machine and not for who is in front there.
const ESCAPE: char = '\x1d';

/// What is typed at a machine for a line here. Behind Ctrl-] any key is an answer, and no
/// line ends.
fn keys(line: &str) -> String {
    match line.starts_with(ESCAPE) {
        true => line.into(),
        false => format!("{line}\r"),
    }
}

impl Console {
    fn run(&mut self, events: &Receiver<Event>) -> Result<()> {
        while self.machines.iter().any(Option::is_some) {
            match events.recv_timeout(IDLE) {
                Ok(Event::Said(index, bytes)) => self.said(index, &bytes)?,
                Ok(Event::Ended(index)) => {
                    self.machines[index] = None;
                    self.own(&format!("machine {} has ended", index + 1))?;
                }
                Ok(Event::Typed(line)) => {
                    if !self.typed(&line)? {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.show_begun()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Shows whole lines of a machine.
    fn said(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        let mut whole = Vec::new();
        for byte in bytes {
            whole.extend(self.lines[index].add(*byte));
        }
        if whole.is_empty() {
            return Ok(());
        }
        let mut out = stdout().lock();
        if self.shown.take().is_some() {
            out.write_all(ERASE)?;
        }
        for line in whole {
            write!(out, "{}| ", index + 1)?;
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
        out.flush().context("the terminal is gone")
    }

    /// Shows the line that the machine in front has begun: its prompt.
    fn show_begun(&mut self) -> Result<()> {
        let line = &self.lines[self.front].begun;
        if line.is_empty() || self.shown.as_ref() == Some(line) {
            return Ok(());
        }
        let mut out = stdout().lock();
        if self.shown.is_some() {
            out.write_all(ERASE)?;
        }
        write!(out, "{}| ", self.front + 1)?;
        out.write_all(line)?;
        self.shown = Some(line.clone());
        out.flush().context("the terminal is gone")
    }

    /// Says something of the console's own.
    fn own(&mut self, text: &str) -> Result<()> {
        if self.shown.take().is_some() {
            println!();
        }
        println!("{text}");
        stdout().flush().context("the terminal is gone")
    }

    /// Does what was typed; `false` if that is the end.
    fn typed(&mut self, line: &str) -> Result<bool> {
        // The terminal has shown it.
        self.shown = None;
        let Some(command) = line.strip_prefix(':') else {
            self.send(&keys(line));
            return Ok(true);
        };
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["quit"] => return Ok(false),
            ["help"] => self.own(HELP)?,
            ["c"] => self.send("\x03"),
            ["trouble"] => {
                let text = format!("{}\n{}", self.hub.trouble(), self.hub.counters());
                self.own(&text)?;
            }
            ["kill", number] => match self.machine(number) {
                Some(index) => self.machines[index] = None,
                None => self.own("there is no such machine")?,
            },
            ["sensor", number, celsius] => match (self.machine(number), celsius.parse()) {
                (Some(index), Ok(celsius)) => {
                    if let Err(error) = sensor::set(&self.hub.sensor(index), celsius) {
                        self.own(&format!("{error:#}"))?;
                    }
                }
                _ => self.own("there is no such machine, or it is no number of degrees")?,
            },
            ["replay"] | ["replay", "altered"] => {
                let count = self.hub.replay(words.len() == 2)?;
                self.own(&format!("{count} frames were said again"))?;
            }
            [number] if number.parse::<usize>().is_ok() => match self.machine(number) {
                Some(index) => self.front = index,
                None => self.own("there is no such machine")?,
            },
            _ => {
                let mut trouble = self.hub.trouble();
                match trouble.change(&words) {
                    Ok(()) if !trouble.is_of(self.machines.len()) => {
                        self.own("there is no such machine")?;
                    }
                    Ok(()) => {
                        self.hub.set_trouble(trouble);
                        let text = self.hub.trouble().to_string();
                        self.own(&text)?;
                    }
                    Err(problem) => self.own(&format!("{problem}; `:help` tells more"))?,
                }
            }
        }
        Ok(true)
    }

    fn machine(&self, number: &str) -> Option<usize> {
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        self.machines.get(index)?.as_ref()?;
        Some(index)
    }

    fn send(&mut self, text: &str) {
        if let Some(input) = &mut self.machines[self.front] {
            // One that takes no input has ended, which its console tells.
            let _ = input.send(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_the_console_ends_no_line() {
        assert_eq!(keys("ls"), "ls\r");
        assert_eq!(keys("\x1d"), "\x1d");
        assert_eq!(keys("\x1dy"), "\x1dy");
    }

    #[test]
    fn machines_by_name_or_number() {
        let names = "aarch64,riscv64,riscv64";
        let (arm, risc) = (Arch::Aarch64, Arch::Riscv64);
        assert_eq!(parse(names), Ok(vec![arm, risc, risc]));
        assert_eq!(parse("3"), Ok(vec![arm, risc, arm]));
        for wrong in ["0", "33", "", "aarch64,x86"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_written_anew_after_a_return() {
        let mut line = Line::default();
        let mut whole = Vec::new();
        for byte in b"\r$ \r$ l\r$ ls\r\nbin\r\n\r$ " {
            whole.extend(line.add(*byte));
        }
        assert_eq!(whole, [b"$ ls".to_vec(), b"bin".to_vec()]);
        assert_eq!(line.begun, b"$ ");
    }

    #[test]
    fn a_capture_for_each_machine() {
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(
            numbered(&path("/tmp/wire.pcap"), 2),
            path("/tmp/wire-2.pcap")
        );
        assert_eq!(numbered(&path("wire"), 1), path("wire-1"));
    }
}
