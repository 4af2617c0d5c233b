//! The system's numbers and powers, each behind a capability of its own.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use libipc::handle::{ObjectType, Rights};
use libipc::interfaces::entropy::MAX_FILL;
use libipc::interfaces::sensor::Quantity;
use libipc::interfaces::supervisor::{
    CapsClient, InspectClient, KillAnyClient, Name, TaskLine, TaskState, ThreadLine,
    rights_in_words,
};
use libipc::interfaces::supervisor::{Machine as MachineNumbers, SupervisorError};
use libipc::interfaces::{ClockClient, EntropyClient, LogClient, ScreenClient, SensorClient};
use libipc::objects::{Counters, Shutdown, SystemClient, ThreadState};
use libipc::{CallError, PAGE, Start, Text, time};

use super::errors::{counted, other, supervisor_error};
use crate::error::IoError;
use crate::io::{Machine, Stop, System, TaskRow};

/// Bytes of the log that are asked for at once.
const LOG_PAGE: usize = 2048;

/// What of the system a program was given.
pub struct NativeSystem {
    inspect: Option<InspectClient>,
    caps: Option<CapsClient>,
    kill_any: Option<KillAnyClient>,
    counters: Option<SystemClient>,
    shutdown: Option<SystemClient>,
    kernel_log: Option<SystemClient>,
    log: Option<LogClient>,
    clock: Option<ClockClient>,
    entropy: Option<EntropyClient>,
    sensor: Option<SensorClient>,
    screen: Option<ScreenClient>,
}

impl NativeSystem {
    /// Takes all of it from what the program was given.
    pub fn new(start: &mut Start) -> Self {
        NativeSystem {
            inspect: start.take("inspect").ok(),
            caps: start.take("caps").ok(),
            kill_any: start.take("kill-any").ok(),
            counters: start.take("counters").ok(),
            shutdown: start.take("shutdown").ok(),
            kernel_log: start.take("kernel-log").ok(),
            log: start.take("log").ok(),
            clock: start.take("clock").ok(),
            entropy: start.take("entropy").ok(),
            sensor: start.take("sensor").ok(),
            screen: start.take("screen").ok(),
        }
    }

    fn inspect(&self) -> Result<&InspectClient, IoError> {
        self.inspect.as_ref().ok_or(IoError::Missing("inspect"))
    }

    fn task_lines(&self) -> Result<Vec<TaskLine>, IoError> {
        let inspect = self.inspect()?;
        by_index(|index| inspect.task(index))
    }

    /// The state of a task in a word: what its first thread does, if it runs.
    fn state(&self, line: &TaskLine) -> String {
        let word = match line.state {
            TaskState::Running => {
                let number = Name::new(&line.info.id.to_string()).unwrap_or_default();
                let thread = self
                    .inspect()
                    .and_then(|inspect| inspect.thread(number, 0).map_err(supervisor_error));
                thread.map_or("running", |thread| state_in_words(thread.info.state))
            }
            TaskState::Restarting => "restarting",
            TaskState::Down => "down",
            TaskState::Loaded => "loaded",
        };
        word.into()
    }
}

fn state_in_words(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Stopped => "stopped",
        ThreadState::Ready => "ready",
        ThreadState::Sending => "sending",
        ThreadState::Waiting => "waiting",
        ThreadState::Receiving => "receiving",
        ThreadState::Faulted => "faulted",
        ThreadState::Dead => "dead",
        ThreadState::Throttled => "throttled",
    }
}

/// Asks for index after index until there is no more.
fn by_index<T>(
    ask: impl Fn(u64) -> Result<T, CallError<SupervisorError>>,
) -> Result<Vec<T>, IoError> {
    let mut found = Vec::new();
    loop {
        match ask(found.len() as u64) {
            Ok(one) => found.push(one),
            Err(CallError::Server(SupervisorError::NotFound)) => return Ok(found),
            Err(error) => return Err(supervisor_error(error)),
        }
    }
}

/// The threads of a task. One that ends meanwhile cuts the list off.
fn threads(inspect: &InspectClient, task: Name) -> Result<Vec<ThreadLine>, IoError> {
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        match inspect.thread(task, cursor) {
            Ok(thread) => {
                cursor = thread.info.next;
                found.push(thread);
            }
            Err(CallError::Server(SupervisorError::NotFound)) => return Ok(found),
            Err(error) => return Err(supervisor_error(error)),
        }
        if cursor == 0 {
            return Ok(found);
        }
    }
}

fn microseconds(ticks: u64) -> u64 {
    time::from_ticks(ticks).as_micros() as u64
}

fn task_name(task: &str) -> Result<Name, IoError> {
    Name::new(task).ok_or(IoError::NoTask)
}

impl System for NativeSystem {
    fn tasks(&mut self) -> Result<Vec<TaskRow>, IoError> {
        let lines = self.task_lines()?;
        let row = |line: &TaskLine| TaskRow {
            id: line.info.id,
            name: line.name.as_str().into(),
            state: self.state(line),
            time: microseconds(line.info.time),
            used: line.info.used * PAGE as u64,
            quota: line.info.quota * PAGE as u64,
            calls: line.info.calls,
            received: line.info.received,
            restarts: line.restarts,
            core: line.core,
        };
        Ok(lines.iter().map(row).collect())
    }

    fn waits(&mut self, task: &str) -> Result<Vec<String>, IoError> {
        let (inspect, name) = (self.inspect()?, task_name(task)?);
        let threads = threads(inspect, name)?;
        if threads.is_empty() {
            // A task without threads, or none at all: asking for it tells.
            let known = self.task_lines()?;
            let names = |line: &TaskLine| line.name == name || line.info.id.to_string() == task;
            known
                .iter()
                .find(|line| names(line))
                .ok_or(IoError::NoTask)?;
            return Ok(vec!["no thread runs".into()]);
        }
        Ok(threads
            .iter()
            .enumerate()
            .map(|(number, thread)| in_words(number, thread))
            .collect())
    }

    fn authority(&mut self, task: &str) -> Result<Vec<String>, IoError> {
        let caps = self.caps.as_ref().ok_or(IoError::Missing("caps"))?;
        let name = task_name(task)?;
        let mut lines = Vec::new();
        let mut index = 0;
        loop {
            let holding = match caps.capability(name, index) {
                Ok(holding) => holding,
                // Past the last; before the first, there is no such task.
                Err(CallError::Server(SupervisorError::NotFound)) if index > 0 => break,
                Err(error) => return Err(supervisor_error(error)),
            };
            let rights = Rights::from_bits_retain(holding.rights);
            let may = match ObjectType::from_bits(holding.kind) {
                Some(kind) => rights_in_words(kind, rights).to_string(),
                None => "nothing".into(),
            };
            let known_as = match holding.name.as_str() {
                "" => String::new(),
                name => format!(" (as `{name}`)"),
            };
            let badge = match holding.badge {
                0 => String::new(),
                badge => format!(", badge {badge}"),
            };
            lines.push(format!("{}{badge}{known_as}: {may}", holding.what.as_str()));
            index = holding.next;
            if index == 0 {
                break;
            }
        }
        Ok(lines)
    }

    fn kill(&mut self, task: &str) -> Result<(), IoError> {
        let kill_any = self.kill_any.as_ref().ok_or(IoError::Missing("kill-any"))?;
        kill_any.kill(task_name(task)?).map_err(supervisor_error)
    }

    fn machine(&mut self) -> Result<Machine, IoError> {
        if let Some(system) = &self.counters {
            return Ok(machine(system.counters().map_err(other)?, None));
        }
        let inspect = self.inspect.as_ref().ok_or(IoError::Missing("counters"))?;
        let MachineNumbers { counters, started } = inspect.machine().map_err(supervisor_error)?;
        Ok(machine(counters, Some(started)))
    }

    fn log(&mut self, from: u64) -> Result<(u64, Vec<u8>), IoError> {
        let mut page = vec![0; LOG_PAGE];
        let (start, count) = if let Some(log) = &self.log {
            let read = log.read(from, &mut page).map_err(other)?;
            (read.start, read.bytes)
        } else {
            let kernel_log = self.kernel_log.as_ref().ok_or(IoError::Missing("log"))?;
            kernel_log.read_log_into(from, &mut page).map_err(other)?
        };
        page.truncate(counted(count, LOG_PAGE)?);
        Ok((start.saturating_add(count), page))
    }

    fn wall_time(&mut self) -> Result<u64, IoError> {
        let clock = self.clock.as_ref().ok_or(IoError::Missing("clock"))?;
        Ok(clock.now().map_err(other)?.nanoseconds)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<(), IoError> {
        let entropy = self.entropy.as_ref().ok_or(IoError::Missing("entropy"))?;
        let mut pieces = into.chunks_mut(MAX_FILL);
        pieces.try_for_each(|piece| entropy.fill(piece).map_err(other))
    }

    fn temperature(&mut self) -> Result<i64, IoError> {
        let sensor = self.sensor.as_ref().ok_or(IoError::Missing("sensor"))?;
        let reading = sensor.read().map_err(other)?;
        match reading.quantity {
            Quantity::Temperature => Ok(reading.value),
        }
    }

    fn say(&mut self, line: &str) -> Result<(), IoError> {
        let screen = self.screen.as_ref().ok_or(IoError::Missing("screen"))?;
        let long = || IoError::Failed("the line is too long".into());
        screen.say(Text::new(line).ok_or_else(long)?).map_err(other)
    }

    fn stop(&mut self, how: Stop) -> Result<(), IoError> {
        let system = self.shutdown.as_ref().ok_or(IoError::Missing("shutdown"))?;
        let how = match how {
            Stop::PowerOff => Shutdown::PowerOff,
            Stop::Reboot => Shutdown::Reset,
        };
        system.shutdown(how).map_err(other)
    }
}

/// The counters as people read them; boot is when the counter began unless it
/// is known better.
fn machine(counters: Counters, started: Option<u64>) -> Machine {
    Machine {
        uptime: microseconds(counters.now.saturating_sub(started.unwrap_or(0))),
        idle: microseconds(counters.idle),
        memory: counters.frames * PAGE as u64,
        free: counters.free * PAGE as u64,
        cores: counters.cores,
        calls: counters.calls,
        switches: counters.switches,
        interrupts: counters.interrupts,
    }
}

/// What a thread waits for.
fn in_words(number: usize, line: &ThreadLine) -> String {
    let or = |name: &Name, other: &str| match name.as_str() {
        "" => String::from(other),
        name => name.into(),
    };
    let operation = format!("{}.{}", or(&line.interface, "?"), or(&line.operation, "?"));
    let server = or(&line.server, "a server");
    let endpoint = or(&line.endpoint, "its endpoint");
    let what = match line.info.state {
        ThreadState::Stopped => "is stopped".into(),
        ThreadState::Ready => "runs, or waits for the processor".into(),
        ThreadState::Sending => format!("waits until {server} receives {operation}"),
        ThreadState::Waiting => format!("waits for {server} to answer {operation}"),
        ThreadState::Receiving if line.info.endpoint == 0 => "sleeps".into(),
        ThreadState::Receiving => format!("waits for messages at {endpoint}"),
        ThreadState::Faulted => format!(
            "faulted at {:#x} and waits for the supervisor",
            line.info.pc
        ),
        ThreadState::Dead => "has ended".into(),
        ThreadState::Throttled => {
            "has used its reservation up and waits for the next period".into()
        }
    };
    format!("thread {number}: {what}")
}
