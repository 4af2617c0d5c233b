//! The world of a running system, behind its servers' interfaces.
//!
//! [`World`] is the shell's [`Host`]: [`seat`] is its place at the terminal,
//! [`files`] walks paths, [`disks`] opens disks, `mounts` has file
//! systems served, [`programs`] starts programs through the supervisor
//! with exactly what their notes ask for, [`streams`] are what leads where, and
//! [`inside`] runs tools that are linked into a small system's shell.

pub mod disks;
mod events;
pub mod files;
pub mod inside;
mod mounts;
mod programs;
mod seat;
mod streams;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use libipc::interfaces::block::BlockAccess;
use libipc::interfaces::supervisor::StartClient;
use libipc::interfaces::{BusClient, FileAccess, LoaderClient};
use libipc::note::DISK;
use libipc::sync::Mutex;
use libipc::{Capability, ExitCode, Start, time};
use tessera_tools::native::{NativeNetwork, NativeSystem};
use tessera_tools::{IoError, tools};

use crate::execute::{Ended, Host, Launch, Mount, Mounted, Shell, StartError, bus};
use crate::session::{self, Terminal};
use disks::Disks;
use events::Events;
use files::Files;
use inside::Inside;
use programs::Process;
use seat::Seat;
use streams::{Input, Output};

/// A running system, as a shell sees it.
pub struct World {
    seat: Seat,
    events: Events,
    start: Option<StartClient>,
    loader: Option<LoaderClient>,
    files: Option<Files>,
    disks: Disks,
    bus: Option<BusClient>,
    inside: Option<Inside>,
}

/// Runs a shell with what its task was given: at the terminal, or the script
/// that its arguments name. `inside` are the tools that are linked into it.
pub fn run(mut start: Start, inside: Option<inside::Run>) -> Result<ExitCode, IoError> {
    let console = start
        .take("console")
        .map_err(|_| IoError::Missing("console"))?;
    let events = Events::new()?;
    let own: Vec<String> = start.names().map(ToString::to_string).collect();
    let world = World {
        seat: Seat::new(console, &events),
        start: start.take("start").ok(),
        loader: start.take("loader").ok(),
        files: start.take("files").ok().map(Files::new),
        disks: Disks::new(&mut start),
        bus: start.take("bus").ok(),
        inside: inside.map(|run| {
            let system = NativeSystem::new(&mut start);
            Inside::new(run, own, system, NativeNetwork::new(&mut start))
        }),
        events,
    };
    let mut shell = Shell::new(world);
    set_aliases(&mut shell);
    let script: Vec<String> = start.arguments()[1..]
        .iter()
        .map(ToString::to_string)
        .collect();
    if let Some(path) = script.first() {
        let bytes = shell.host.read_file(path)?;
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| IoError::Failed("the script is no UTF-8 text".into()))?;
        shell.run_script(&text, script);
        shell.host.unmount_all();
        return Ok(exit_code(shell.status));
    }
    greet(&mut shell);
    let code = session::run(&mut shell);
    shell.host.unmount_all();
    Ok(exit_code(code))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode(code.clamp(0, 255) as u8)
}

/// The tools that only look at the system, and those that stop the machine on
/// request, are granted what they need by their plain names. Killing is not: it
/// is said in full.
fn set_aliases(shell: &mut Shell<World>) {
    let grants = shell.host.grants();
    for about in tools::ABOUTS.iter().filter(|about| about.name != "kill") {
        if let [need] = about.needs
            && grants.iter().any(|grant| grant == need)
            && !shell.host.runs_inside(about.name)
        {
            shell.alias(about.name, &format!("run --grant {need} {}", about.name));
        }
    }
}

fn greet(shell: &mut Shell<World>) {
    let version = env!("CARGO_PKG_VERSION");
    let memory = shell.host.inside.as_mut().and_then(Inside::memory);
    let memory = memory.map_or(String::new(), |memory| format!("{memory}\r\n"));
    shell.host.show(&format!(
        "\r\nTessera {version}, {}. `help` says what there is to do; Ctrl-A X leaves QEMU.\r\n{memory}",
        tools::uname::ARCHITECTURE,
    ));
}

impl Terminal for World {
    fn prepare(&mut self) {
        self.seat.prepare(&self.events);
        // What was pressed before is nothing to the next line.
        self.interrupted();
    }

    fn entered(&mut self) {
        self.seat.cook();
    }

    fn read(&mut self) -> Option<u8> {
        self.seat.read()
    }

    fn show(&mut self, text: &str) {
        // A terminal that is gone shows nothing; reading notices.
        let _ = self.seat.write(text.as_bytes());
    }
}

impl Host for World {
    type Input = Input;
    type Output = Output;
    type Process = Process;

    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>, IoError> {
        self.files()?.list(path)
    }

    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, IoError> {
        self.files()?.read_file(path)
    }

    fn open_input(&mut self, path: &str) -> Result<Input, IoError> {
        self.files()?.open_input(path).map(Input::stream)
    }

    fn open_output(&mut self, path: &str, append: bool) -> Result<Output, IoError> {
        self.files()?.open_output(path, append).map(Output::stream)
    }

    fn pipe(&mut self) -> Result<(Output, Input), IoError> {
        match &mut self.files {
            Some(files) => {
                let (read, write) = files.pipe()?;
                Ok((Output::stream(write), Input::stream(read)))
            }
            None if self.inside.is_some() => Ok(streams::memory()),
            None => Err(IoError::NoFiles),
        }
    }

    fn write(&mut self, to: Option<&Output>, text: &str) -> Result<(), IoError> {
        match to {
            Some(output) => output.write(text.as_bytes()),
            None => self.seat.write(text.as_bytes()),
        }
    }

    fn write_error(&mut self, to: Option<&Output>, text: &str) {
        // There is nowhere else to report that this failed.
        let _ = self.write(to, text);
    }

    fn programs(&mut self) -> Vec<String> {
        let mut names = self.start.as_ref().map_or(Vec::new(), programs::names);
        if self.inside.is_some() {
            names.extend(tools::ABOUTS.iter().map(|about| about.name.to_string()));
        }
        names.sort();
        names.dedup();
        names
    }

    fn grants(&mut self) -> Vec<String> {
        let mut names = self.start.as_ref().map_or(Vec::new(), programs::grants);
        names.extend(self.inside.iter().flat_map(Inside::names));
        names
    }

    fn runs_inside(&self, program: &str) -> bool {
        let known = tools::ABOUTS.iter().any(|about| about.name == program);
        self.inside.is_some() && known
    }

    fn start(&mut self, launch: Launch<'_, Self>) -> Result<Process, StartError> {
        let name = launch.arguments.first().map_or("", String::as_str);
        if self.runs_inside(name)
            && let Some(inside) = &mut self.inside
        {
            self.seat.cook();
            let ended = inside.run(&launch, &self.seat, &mut self.events);
            return Ok(Process::ended(ended));
        }
        self.start_program(launch)
    }

    fn wait(&mut self, processes: &mut [Process]) -> Vec<Ended> {
        self.wait_for(processes)
    }

    fn poll(&mut self, process: &mut Process) -> Option<Ended> {
        self.events.poll();
        process.look(&mut self.events)
    }

    fn kill(&mut self, process: &mut Process) {
        process.kill();
    }

    fn lend(&mut self, path: &str) -> Result<(&'static str, Capability), IoError> {
        if !path.starts_with(DISK) {
            let directory = self.files()?.directory(path, FileAccess::ReadWrite)?;
            return Ok(("Directory", directory.into()));
        }
        let disk = match self.open_disk(path, BlockAccess::ReadWrite) {
            Err(IoError::ReadOnly) => self.open_disk(path, BlockAccess::Read),
            opened => opened,
        };
        Ok(("Block", disk?.into()))
    }

    fn ask_bus<T: Send + 'static>(
        &mut self,
        ask: impl FnOnce(&BusClient) -> Result<T, IoError> + Send + 'static,
    ) -> Result<T, IoError> {
        let answer = Arc::new(Mutex::new(None));
        let into = answer.clone();
        // Little of it is made anew for each question: a small system has little room.
        let asked = self.ask(Box::new(move |bus| *into.lock() = Some(ask(bus))));
        let answer = answer.lock().take();
        match (answer, asked) {
            (Some(Ok(answer)), _) => Ok(answer),
            (Some(Err(_)) | None, Err(error)) | (Some(Err(error)), Ok(())) => Err(error),
            (None, Ok(())) => Err(IoError::Closed),
        }
    }

    fn sleep(&mut self, span: Duration) {
        self.events.wait(time::Instant::after(span));
    }

    fn mount(&mut self, asked: &Mount) -> Result<(), IoError> {
        match bus::remote(&asked.disk) {
            Some((device, service)) if !asked.disk.starts_with('@') => {
                self.mount_remote(asked, device, service)
            }
            _ => self.mount_disk(asked),
        }
    }

    fn unmount(&mut self, directory: &str, force: bool) -> Result<(), IoError> {
        self.unmount_disk(directory, force)
    }

    fn mounted(&mut self) -> Vec<Mounted> {
        let mounts = self.files.iter().flat_map(|files| &files.mounts);
        mounts.map(mounts::Volume::about).collect()
    }

    fn interrupted(&mut self) -> bool {
        self.events.poll();
        self.events.take_interrupt()
    }

    fn microseconds(&mut self) -> u64 {
        time::from_ticks(time::Instant::now().ticks()).as_micros() as u64
    }
}

impl World {
    /// Asks the bus, and says why that could not be, or was interrupted.
    fn ask(&mut self, ask: Box<dyn FnOnce(&BusClient) + Send>) -> Result<(), IoError> {
        let client = self.bus.as_ref().ok_or(IoError::Missing("bus"))?;
        let copy = client.as_ref().copy().map_err(events::failed)?;
        let client = bus::patient(copy.into());
        let work = Box::new(move || ask(&client));
        self.events.until_interrupted(work)
    }

    fn files(&mut self) -> Result<&mut Files, IoError> {
        self.files.as_mut().ok_or(IoError::NoFiles)
    }
}
