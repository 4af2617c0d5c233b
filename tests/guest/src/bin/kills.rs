//! Kills servers while others use them, and says what each was doing.
//!
//! `work` writes files, syncs them and reads them back, whatever happens to the
//! servers; `kill COUNT SEED TASK...` kills the tasks by turns, above all others, so
//! that nothing moves between the look and the kill.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};
use core::{convert::Infallible, time::Duration};
use libipc::{
    CallError, Start, Text,
    interfaces::{
        DirectoryClient, FileAccess, FileClient, FileError,
        directory::Name,
        supervisor::{self, InspectClient, KillAnyClient, ThreadLine},
    },
    objects::{SystemClient, ThreadState},
    start::AnyError,
    time,
};
use tessera_test_cases::{random::Random, script::pattern};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let log: SystemClient = start.take("kernel-log")?;
    let data = start.take::<DirectoryClient>("data").ok();
    let inspect = start.take::<InspectClient>("inspect").ok();
    let kill = start.take::<KillAnyClient>("kill-any").ok();
    match (start.arguments(), data, inspect.zip(kill)) {
        ([_, "work", ..], Some(data), _) => {
            let mut work = Work {
                data,
                log,
                files: Vec::new(),
                number: 0,
                again: 0,
            };
            let Err(error) = work.run();
            work.log.log(&format!("[work] WRONG: {error}\n"))?;
            Err(error)
        }
        ([_, "kill", count, seed, victims @ ..], _, Some((inspect, kill))) => {
            let killer = Killer { inspect, kill, log };
            killer.run(count.parse()?, Random::new(seed.parse()?), victims)
        }
        _ => Err(AnyError::new("nothing that can be done")),
    }
}

/// Files that are written over and over.
const FILES: usize = 4;

/// Most bytes of a file.
const SIZE: u64 = 200_000;

/// How often something is tried until it is wrong: servers come back.
const ATTEMPTS: usize = 4000;

/// A file as it was when it was synced, and as each write left it since: a server
/// that dies keeps what was synced, and of the rest any.
struct Known {
    versions: Vec<Vec<u8>>,
}

struct Work {
    data: DirectoryClient,
    log: SystemClient,
    files: Vec<Known>,
    number: u64,
    /// Calls that were made again.
    again: u64,
}

impl Work {
    fn run(&mut self) -> Result<Infallible, AnyError> {
        for index in 0..FILES {
            let called: Name = name(&format!("work{index}"))?;
            // Its name is to stay, whatever is killed.
            self.insist(|work| {
                let made = match work.data.create(called) {
                    Err(CallError::Server(FileError::Exists)) => work.open(index),
                    made => made,
                };
                made?.sync()
            })?;
            self.files.push(Known {
                versions: vec![Vec::new()],
            });
        }
        let mut random = Random::new(1);
        for round in 0_u64.. {
            self.round(&mut random)?;
            if round % 16 == 0 {
                let again = self.again;
                self.log
                    .log(&format!("[work] round {round}, {again} calls made again\n"))?;
            }
        }
        Err(AnyError::new("the rounds have ended"))
    }

    /// Writes a file some times, looks whether it is there, and syncs it.
    fn round(&mut self, random: &mut Random) -> Result<(), AnyError> {
        let index = random.below(FILES as u64) as usize;
        for _ in 0..1 + random.below(3) {
            let (at, length) = (random.below(SIZE), 1 + random.below(20_000));
            self.number += 1;
            let bytes = pattern(self.number, length as usize);
            let known = &mut self.files[index].versions;
            let mut next = known.last().cloned().unwrap_or_default();
            next.resize(next.len().max((at + length) as usize), 0);
            next[at as usize..][..bytes.len()].copy_from_slice(&bytes);
            known.push(next);
            self.insist(|work| work.open(index)?.write_at(at, &bytes).map(drop))?;
        }
        let read = self.read(index)?;
        self.files[index].check(&read)?;
        // What a server that died has lost is written once more, and kept.
        self.number += 1;
        let bytes = pattern(self.number, read.len());
        self.files[index].versions.push(bytes.clone());
        self.insist(|work| {
            // Both by one handle, for that is what a sync is for.
            let file = work.open(index)?;
            for (place, piece) in bytes.chunks(64 << 10).enumerate() {
                file.write_at((place as u64) << 16, piece)?;
            }
            file.sync()
        })?;
        self.files[index].versions = vec![bytes];
        let read = self.read(index)?;
        self.files[index].check(&read)
    }

    fn open(&self, index: usize) -> Result<FileClient, CallError<FileError>> {
        let called = Text::new(&format!("work{index}")).unwrap_or_default();
        self.data.open(called, FileAccess::ReadWrite)
    }

    fn read(&mut self, index: usize) -> Result<Vec<u8>, AnyError> {
        let mut all = Vec::new();
        self.insist(|work| {
            all.clear();
            let (file, mut piece) = (work.open(index)?, vec![0; 64 << 10]);
            loop {
                match file.read_at(all.len() as u64, &mut piece)? as usize {
                    0 => return Ok(()),
                    read => all.extend_from_slice(&piece[..read]),
                }
            }
        })?;
        Ok(all)
    }

    /// Does something until no server dies of it.
    fn insist(
        &mut self,
        mut what: impl FnMut(&Self) -> Result<(), CallError<FileError>>,
    ) -> Result<(), AnyError> {
        for _ in 0..ATTEMPTS {
            match what(self) {
                Ok(()) => return Ok(()),
                Err(CallError::Transport(_))
                | Err(CallError::Server(FileError::Stale | FileError::DeviceFailed)) => {}
                Err(error) => return Err(error.into()),
            }
            self.again += 1;
            time::sleep(Duration::from_millis(2));
        }
        Err(AnyError::new("no server comes back"))
    }
}

impl Known {
    /// Whether each byte is of some version; zero where one had none.
    fn check(&self, read: &[u8]) -> Result<(), AnyError> {
        let sizes = || self.versions.iter().map(Vec::len);
        let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        if !(least..=most).contains(&read.len()) {
            let length = read.len();
            return Err(AnyError::new(format!(
                "{length} bytes, not {least} to {most}"
            )));
        }
        for (at, byte) in read.iter().enumerate() {
            let is_known = self.versions.iter().any(|v| v.get(at) == Some(byte));
            let is_hole = *byte == 0 && at >= least;
            if !is_known && !is_hole {
                return Err(AnyError::new(format!("byte {at} is {byte:#x}")));
            }
        }
        Ok(())
    }
}

struct Killer {
    inspect: InspectClient,
    kill: KillAnyClient,
    log: SystemClient,
}

impl Killer {
    fn run(&self, count: u64, mut random: Random, victims: &[&str]) -> Result<(), AnyError> {
        // The shell comes up.
        time::sleep(Duration::from_secs(1));
        let (mut executing, mut number) = (0, 0);
        while number < count {
            let victim = victims[number as usize % victims.len()];
            // Not before it is back and at work, and then at any moment.
            while !self.step(victim).1 {
                time::sleep(Duration::from_micros(200));
            }
            time::sleep(Duration::from_micros(random.below(40_000)));
            let (step, is_executing) = self.step(victim);
            if self.kill.kill(name(victim)?).is_err() {
                // It has ended by itself.
                continue;
            }
            executing += u64::from(is_executing);
            self.log
                .log(&format!("[kill] {number} {victim}: {step}\n"))?;
            number += 1;
        }
        self.log.log(&format!(
            "[kill] done {count}, {executing} with a request executing\n"
        ))?;
        // Its end would be told as that of a task that failed.
        loop {
            time::sleep(Duration::from_secs(1000));
        }
    }

    /// What the task does and what others want of it, and whether it has received a
    /// request and not answered it.
    fn step(&self, victim: &str) -> (String, bool) {
        let (mut parts, mut is_executing) = (Vec::new(), false);
        let tasks = (0..).map_while(|index| self.inspect.task(index).ok());
        for task in tasks {
            for thread in self.threads(&task.name) {
                let (server, call) = (thread.server.as_str(), call(&thread));
                let own = task.name.as_str() == victim;
                match thread.info.state {
                    ThreadState::Sending if server == victim => {
                        parts.push(format!("{call} is queued"));
                    }
                    ThreadState::Waiting if server == victim => {
                        parts.push(format!("{call} was received"));
                        is_executing = true;
                    }
                    ThreadState::Sending if own => {
                        parts.push(format!("it submits {call} to {server}"));
                    }
                    ThreadState::Waiting if own => {
                        parts.push(format!("it waits for {server}: {call}"));
                    }
                    ThreadState::Ready if own => parts.push("it computes".into()),
                    ThreadState::Receiving if own => parts.push("it receives".into()),
                    _ => {}
                }
            }
        }
        (parts.join(", "), is_executing)
    }

    fn threads(&self, task: &supervisor::Name) -> Vec<ThreadLine> {
        let (mut all, mut cursor) = (Vec::new(), 0);
        while let Ok(thread) = self.inspect.thread(*task, cursor) {
            cursor = thread.info.next;
            all.push(thread);
            if cursor == 0 {
                break;
            }
        }
        all
    }
}

fn call(thread: &ThreadLine) -> String {
    format!(
        "{}.{}",
        thread.interface.as_str(),
        thread.operation.as_str()
    )
}

fn name<const N: usize>(text: &str) -> Result<Text<N>, AnyError> {
    Text::new(text).ok_or_else(|| AnyError::new("a name is too long"))
}
