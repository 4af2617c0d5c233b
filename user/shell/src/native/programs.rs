//! Programs: started through the supervisor, with what their notes ask for.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::interfaces::StreamClient;
use libipc::interfaces::loader::{ElfError, NOTE, Plan};
use libipc::interfaces::supervisor::{
    CapabilityName, Ended as How, Limits, ProgramClient, ProgramName, StartClient, SupervisorError,
};
use libipc::note::{Note, Use, capability_name, is_disk};
use libipc::time::Instant;
use libipc::{Bytes, CallError, Capability, output};
use tessera_tools::IoError;
use tessera_tools::input::last_name;
use tessera_tools::native::IN;

use super::World;
use super::events::{Events, INTERRUPT, failed};
use super::files::Files;
use super::mounts::open_remote;
use super::streams::{copy, is_last};
use crate::execute::{Ended, Host, Launch, StartError, absolute, bus};

/// A program that was started.
pub struct Process {
    state: State,
}

enum State {
    Running {
        program: ProgramClient,
        /// The signal of its end.
        bit: u64,
        interrupted: bool,
    },
    Ended(Ended),
}

impl Process {
    /// One that ran inside the shell.
    pub(super) fn ended(how: Ended) -> Self {
        Process {
            state: State::Ended(how),
        }
    }

    pub(super) fn kill(&mut self) {
        if let State::Running { program, .. } = &self.state {
            // One that has just ended needs no end.
            let _ = program.kill();
        }
    }

    fn interrupt(&mut self) {
        self.kill();
        if let State::Running { interrupted, .. } = &mut self.state {
            *interrupted = true;
        }
    }

    /// How it ended, if its signal has arrived.
    pub(super) fn look(&mut self, events: &mut Events) -> Option<Ended> {
        let (program, bit, interrupted) = match &self.state {
            State::Ended(ended) => return Some(*ended),
            State::Running {
                program,
                bit,
                interrupted,
            } => (program, *bit, *interrupted),
        };
        if !events.take(bit) {
            return None;
        }
        let ended = match program.wait() {
            _ if interrupted => Ended::Interrupted,
            Ok(outcome) => match outcome.ended {
                How::Exited => Ended::Exit(outcome.code as i32),
                How::Faulted => Ended::Fault,
                How::Killed => Ended::Killed,
            },
            Err(_) => Ended::Killed,
        };
        events.free(bit);
        self.state = State::Ended(ended);
        Some(ended)
    }
}

/// Names of the programs that the page lets shells start.
pub(super) fn names(start: &StartClient) -> Vec<String> {
    by_index(|index| start.program(index).map(|name| name.as_str().to_string()))
}

/// Names that the page lets this shell grant.
pub(super) fn grants(start: &StartClient) -> Vec<String> {
    by_index(|index| start.grantable(index).map(|name| name.as_str().to_string()))
}

fn by_index(ask: impl Fn(u64) -> Result<String, CallError<SupervisorError>>) -> Vec<String> {
    (0..).map_while(|index| ask(index).ok()).collect()
}

fn in_words(error: IoError) -> StartError {
    StartError::Failed(error.to_string())
}

fn refused(error: CallError<SupervisorError>) -> StartError {
    if is_last(&error, SupervisorError::NotFound) {
        return StartError::Unknown;
    }
    StartError::Failed(format!("{error}"))
}

/// What a file is not that the loader cannot read at all.
const NO_PROGRAM: &str = "is no program (`sh FILE` runs a script)";

/// A program that was found.
struct Image {
    name: ProgramName,
    note: Bytes<NOTE>,
    /// Its file and how to load it, unless it is in the boot archive.
    file: Option<(Plan, Vec<u8>)>,
}

impl World {
    pub(super) fn start_program(
        &mut self,
        launch: Launch<'_, Self>,
    ) -> Result<Process, StartError> {
        // All that can fail without a program is done before there is one.
        let image = self.image(&launch)?;
        let paths = self.open_paths(&image.note, &launch)?;
        let remote = self.open_grants(launch.grants)?;
        let (seat, terminal) = self.seat.open(image.name.as_str()).map_err(in_words)?;
        let program = self.load(&image)?;
        let text: String = launch.arguments[1..]
            .iter()
            .flat_map(|text| [text, "\0"])
            .collect();
        program.arguments(text.as_bytes()).map_err(refused)?;
        for (name, capability) in paths {
            program.give(short(&name), capability).map_err(refused)?;
        }
        give_streams(&program, &launch, terminal).map_err(|error| match error {
            StreamsError::Refused(error) => refused(error),
            StreamsError::Copy(error) => in_words(error),
        })?;
        for (name, capability) in remote {
            program.give(short(&name), capability).map_err(refused)?;
        }
        for grant in launch.grants.iter().filter(|grant| !grant.contains('=')) {
            program.grant(short(grant)).map_err(refused)?;
        }
        self.run_program(program, launch.in_front.then_some(seat))
    }

    /// Finds a program: in the boot archive by its name, elsewhere by its path.
    /// A file that did not come with the archive is read by the loader, which
    /// holds nothing; the supervisor checks what it says.
    fn image(&mut self, launch: &Launch<'_, Self>) -> Result<Image, StartError> {
        let written = launch.arguments.first().map_or("", String::as_str);
        if !written.contains('/') {
            let name = ProgramName::new(written).ok_or(StartError::Unknown)?;
            let note = self.start_power()?.note(name).map_err(refused)?;
            let file = None;
            return Ok(Image { name, note, file });
        }
        let path = absolute(launch.directory, written);
        let at = |error| StartError::Path(written.into(), error);
        let bytes = self.read_file(&path).map_err(at)?;
        let loader = self.loader.as_ref();
        let loader = loader.ok_or_else(|| at(IoError::Missing("loader")))?;
        let plan = loader.plan(&bytes).map_err(|error| match error {
            CallError::Server(ElfError::NotElf) => at(IoError::Failed(NO_PROGRAM.into())),
            error => at(failed(error)),
        })?;
        let name = ProgramName::new(&last_name(&path)).ok_or(StartError::Unknown)?;
        let note = plan.note;
        let file = Some((plan, bytes));
        Ok(Image { name, note, file })
    }

    fn load(&mut self, image: &Image) -> Result<ProgramClient, StartError> {
        let (start, limits) = (self.start_power()?, Limits::default());
        let loaded = match &image.file {
            None => start.load(image.name, limits),
            Some((plan, bytes)) => start.load_file(image.name, limits, *plan, bytes),
        };
        loaded.map_err(refused)
    }

    fn start_power(&self) -> Result<&StartClient, StartError> {
        self.start.as_ref().ok_or(StartError::Unknown)
    }

    /// Starts a program that was given everything.
    fn run_program(
        &mut self,
        program: ProgramClient,
        seat: Option<u64>,
    ) -> Result<Process, StartError> {
        let signaller = self.events.signaller().map_err(in_words)?;
        let too_many = || StartError::Failed("too many programs run".into());
        let bit = self.events.allot().ok_or_else(too_many)?;
        let started = program.notify(signaller, bit).and_then(|()| {
            if let Some(seat) = seat {
                // Behind another one that is in front already, it only writes.
                let _ = self.seat.put_in_front(seat);
            }
            program.run()
        });
        if let Err(error) = started {
            self.events.free(bit);
            return Err(refused(error));
        }
        Ok(Process {
            state: State::Running {
                program,
                bit,
                interrupted: false,
            },
        })
    }

    /// Opens what is to be granted of other devices, as `NAME=DEVICE/SERVICE`.
    fn open_grants(&mut self, grants: &[String]) -> Result<Vec<(String, Capability)>, StartError> {
        let written = grants.iter().filter_map(|grant| grant.split_once('='));
        let open = |(name, written): (&str, &str)| {
            let missing = || StartError::Failed(format!("{written}: write DEVICE/SERVICE"));
            let (device, service) = bus::remote(written).ok_or_else(missing)?;
            let device = device.to_string();
            let opened = self.ask_bus(move |bus| open_remote(bus, &device, service));
            let opened = opened.map_err(|error| StartError::Path(written.into(), error))?;
            Ok((name.to_string(), opened))
        };
        written.map(open).collect()
    }

    /// Opens what the program's note asks for.
    fn open_paths(
        &mut self,
        note: &Bytes<NOTE>,
        launch: &Launch<'_, Self>,
    ) -> Result<Vec<(String, Capability)>, StartError> {
        let mut opened = Vec::new();
        let arguments = &launch.arguments[1..];
        let Some(note) = Note::parse(note.as_slice()) else {
            return Ok(opened);
        };
        for (number, used, path) in note.files(arguments) {
            if number == 0 && used.contains(Use::DISK) {
                opened.extend(self.disks.open_all());
                continue;
            }
            if number == 0 && used.contains(Use::ROOT) {
                opened.extend(self.files.iter().flat_map(Files::open_mounts));
            }
            match self.open_path(launch.directory, path, used) {
                Ok(capability) => {
                    let name = capability_name(number);
                    opened.push((name.as_str().into(), capability));
                }
                // The program finds nothing under this name and says so, or
                // does not mind, as `rm -f`.
                Err(IoError::NotFound) => {}
                Err(error) => return Err(StartError::Path(path.into(), error)),
            }
        }
        Ok(opened)
    }

    fn open_path(
        &mut self,
        directory: &str,
        written: &str,
        used: Use,
    ) -> Result<Capability, IoError> {
        if is_disk(written, used) {
            return self.open_disk_for(written, used);
        }
        let path = absolute(directory, written);
        self.files()?.open_for(&path, used)
    }

    /// Waits until all have ended. Ctrl-C ends them.
    pub(super) fn wait_for(&mut self, processes: &mut [Process]) -> Vec<Ended> {
        loop {
            let ended: Vec<Option<Ended>> = processes
                .iter_mut()
                .map(|process| process.look(&mut self.events))
                .collect();
            if let Some(ended) = ended.into_iter().collect() {
                return ended;
            }
            self.events.wait(Instant::FOREVER);
            if self.events.take(INTERRUPT) {
                processes.iter_mut().for_each(Process::interrupt);
            }
        }
    }
}

/// Why a program did not get its streams.
enum StreamsError {
    Copy(IoError),
    Refused(CallError<SupervisorError>),
}

/// Gives a program its streams: the terminal, where nothing else was said.
fn give_streams(
    program: &ProgramClient,
    launch: &Launch<'_, World>,
    terminal: StreamClient,
) -> Result<(), StreamsError> {
    let streams = &launch.streams;
    let own = || copy(&terminal);
    let given = [
        (
            IN,
            streams
                .input
                .as_ref()
                .map_or_else(own, |input| input.capability()),
        ),
        (
            output::OUT,
            streams
                .output
                .as_ref()
                .map_or_else(own, |output| output.capability()),
        ),
        (
            output::ERR,
            streams
                .error
                .as_ref()
                .map_or_else(own, |error| error.capability()),
        ),
    ];
    for (name, capability) in given {
        let capability = capability.map_err(StreamsError::Copy)?;
        program
            .give(short(name), capability)
            .map_err(StreamsError::Refused)?;
    }
    Ok(())
}

/// A capability's name; one that is too long is none that anybody knows.
fn short(name: &str) -> CapabilityName {
    CapabilityName::new(name).unwrap_or_default()
}
