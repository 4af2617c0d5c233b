//! A session on a file system that a disk's log is made of, and a look at what is
//! left after a cut.
//!
//! `play SEED COUNT marks` does the operations of a script and writes marks on the
//! disk; without `marks` it goes on after an error and tells which files can still
//! be synced. `show` reads everything.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use core::time::Duration;
use libipc::{
    Start, Text,
    interfaces::{
        DirectoryClient, FileAccess, FileClient, FileKind,
        block::BlockClient,
        directory::{Name, entries},
    },
    objects::{Shutdown, SystemClient},
    start::AnyError,
    time,
};
use tessera_test_cases::script::{Operation, Progress, Script, pattern};

libipc::program!(run);

/// How often the file system is looked for: it may be restarted at first.
const ATTEMPTS: usize = 2000;

struct Session {
    data: DirectoryClient,
    disk: BlockClient,
    log: SystemClient,
    /// Where marks go, if there are to be any.
    marks: Option<u64>,
}

fn run(mut start: Start) -> Result<(), AnyError> {
    let mut session = Session {
        data: start.take("data")?,
        disk: start.take("disk")?,
        log: start.take("kernel-log")?,
        marks: None,
    };
    let shutdown: SystemClient = start.take("shutdown")?;
    let done = match *start.arguments() {
        [_, "play", seed, count, ref marks @ ..] => {
            if marks.first() == Some(&"marks") {
                session.marks = Some(session.disk.geometry()?.sectors - 1);
            }
            session.play(seed.parse()?, count.parse()?)
        }
        [_, "show", ..] => session.show(),
        _ => Err(AnyError::new("nothing that can be done")),
    };
    let how = match done {
        Ok(()) => {
            session.say("done")?;
            Shutdown::PowerOff
        }
        Err(error) => {
            session.say(&format!("failed: {error}"))?;
            Shutdown::Fail
        }
    };
    Ok(shutdown.shutdown(how)?)
}

impl Session {
    fn say(&self, text: &str) -> Result<(), AnyError> {
        Ok(self.log.log(&format!("[session] {text}\n"))?)
    }

    fn wait(&self) -> Result<(), AnyError> {
        for _ in 0..ATTEMPTS {
            if self.data.stat().is_ok() {
                return Ok(());
            }
            time::sleep(Duration::from_millis(5));
        }
        Err(AnyError::new("there is no file system"))
    }

    fn play(&self, seed: u64, count: u64) -> Result<(), AnyError> {
        self.wait()?;
        let mut script = Script::new(seed);
        for number in 0..count {
            let Some(operation) = script.next() else {
                break;
            };
            self.mark(number, false)?;
            match self.operate(&operation, number) {
                Ok(()) => self.mark(number, true)?,
                Err(error) if self.marks.is_some() => return Err(error),
                Err(error) => {
                    self.say(&format!("{number} error: {error}"))?;
                    return self.sync_all(&script);
                }
            }
            self.say(&format!("{number} ok"))?;
        }
        Ok(())
    }

    fn mark(&self, operation: u64, is_done: bool) -> Result<(), AnyError> {
        if let Some(sector) = self.marks {
            let mark = Progress { operation, is_done }.mark();
            self.disk.write(sector, &mark)?;
        }
        Ok(())
    }

    /// Whether each file can still be made durable.
    fn sync_all(&self, script: &Script) -> Result<(), AnyError> {
        for path in script.files() {
            let synced = self.open(&path).and_then(|file| Ok(file.sync()?));
            self.say(&match synced {
                Ok(()) => format!("synced {path}"),
                Err(error) => format!("lost {path}: {error}"),
            })?;
        }
        Ok(())
    }

    fn operate(&self, operation: &Operation, number: u64) -> Result<(), AnyError> {
        match operation {
            Operation::Create(path) => {
                let (above, called) = self.split(path)?;
                above.create(called)?;
            }
            Operation::CreateDirectory(path) => {
                let (above, called) = self.split(path)?;
                above.create_directory(called)?;
            }
            Operation::Write { path, at, length } => {
                let written = self
                    .open(path)?
                    .write_at(*at as u64, &pattern(number, *length))?;
                if written != *length as u64 {
                    return Err(AnyError::new("a short write"));
                }
            }
            Operation::SetSize(path, size) => self.open(path)?.set_size(*size as u64)?,
            Operation::Rename(from, to) => {
                let (source, old) = self.split(from)?;
                let (target, new) = self.split(to)?;
                source.rename(old, &target, new)?;
            }
            Operation::Remove(path) => {
                let (above, called) = self.split(path)?;
                above.remove(called)?;
            }
            Operation::Sync(path) => self.open(path)?.sync()?,
            Operation::SyncAll => self.data.sync()?,
        }
        Ok(())
    }

    /// The directory that a path leads to.
    fn directory(&self, path: &str) -> Result<DirectoryClient, AnyError> {
        let mut directory = self.data.as_ref().copy()?.into();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            directory =
                DirectoryClient::open_directory(&directory, name(part)?, FileAccess::ReadWrite)?;
        }
        Ok(directory)
    }

    fn split(&self, path: &str) -> Result<(DirectoryClient, Name), AnyError> {
        let (above, called) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(above)?, name(called)?))
    }

    fn open(&self, path: &str) -> Result<FileClient, AnyError> {
        let (above, called) = self.split(path)?;
        Ok(above.open(called, FileAccess::ReadWrite)?)
    }

    /// Tells each path, and the size and sum of each file.
    fn show(&self) -> Result<(), AnyError> {
        self.wait()?;
        let mut open = vec![String::new()];
        while let Some(above) = open.pop() {
            for (called, kind) in self.list(&above)? {
                let path = match above.as_str() {
                    "" => called,
                    above => format!("{above}/{called}"),
                };
                match kind {
                    FileKind::Directory => {
                        self.say(&format!("shows {path}/"))?;
                        open.push(path);
                    }
                    FileKind::File => {
                        let (size, sum) = self.read(&path)?;
                        self.say(&format!("shows {path} {size} {sum:016x}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<(String, FileKind)>, AnyError> {
        let directory = self.directory(path)?;
        let (mut all, mut cursor, mut page) = (Vec::new(), 0, vec![0; 4096]);
        loop {
            let listing = directory.list(cursor, &mut page)?;
            let shown = entries(&page[..listing.bytes as usize]);
            all.extend(shown.map(|entry| (entry.name.to_owned(), entry.kind)));
            cursor = listing.next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    /// Size and FNV-1a.
    fn read(&self, path: &str) -> Result<(u64, u64), AnyError> {
        let file = self.open(path)?;
        let (mut position, mut sum, mut bytes) = (0, 0_u64, vec![0; 16 << 10]);
        loop {
            let read = file.read_at(position, &mut bytes)?;
            if read == 0 {
                return Ok((position, sum));
            }
            for byte in &bytes[..read as usize] {
                sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
            position += read;
        }
    }
}

fn name(text: &str) -> Result<Name, AnyError> {
    Text::new(text).ok_or_else(|| AnyError::new("a name is too long"))
}
