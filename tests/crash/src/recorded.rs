//! Sessions in a guest, by what QEMU has written down of its disk.
//!
//! The log is that of QEMU's `blklogwrites`, whose format is dm-log-writes': Linux,
//! Documentation/admin-guide/device-mapper/log-writes.rst.

use crate::{
    disk::{Image, Sector, Step},
    history::{History, Node, Scope, Tree},
};
use anyhow::{Context, Result, bail, ensure};
use std::rc::Rc;
use tessera_disk::SECTOR;
use tessera_test_cases::script::{Operation, Progress, Script, pattern};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What a log holds, in order.
pub fn parse(log: &[u8]) -> Result<Vec<Step>> {
    let number = |at: usize| -> Option<u64> {
        let bytes = log.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    ensure!(number(0) == Some(MAGIC), "no log of writes");
    let size = number(24).context("a short log")? as u32 as usize;
    ensure!(size == SECTOR, "sectors of {size} bytes");
    let mut steps = Vec::new();
    let mut at = SECTOR;
    while let (Some(sector), Some(count), Some(flags)) =
        (number(at), number(at + 8), number(at + 16))
    {
        at += SECTOR;
        if flags & DISCARD != 0 {
            bail!("a discard");
        }
        if count > 0 {
            let Some(bytes) = log.get(at..at + count as usize * SECTOR) else {
                // The machine ended while this was written.
                break;
            };
            at += bytes.len();
            let sectors = bytes.chunks_exact(SECTOR).map(|bytes| {
                let sector: Sector = bytes.try_into().expect("a whole sector");
                Rc::new(sector)
            });
            steps.push(Step::Write(sector, sectors.collect()));
        }
        if flags & FLUSH != 0 {
            steps.push(Step::Flush);
        }
        if count == 0 && flags == 0 {
            break;
        }
    }
    Ok(steps)
}

/// The first sector of the partition with the file system; before it is a table. All else
/// counts sectors from there.
pub const FIRST: u64 = 8;

/// The partition of a disk, and what is behind it.
pub fn partition(disk: &[u8]) -> Result<&[u8]> {
    let bytes = disk.get(FIRST as usize * SECTOR..);
    bytes.context("the disk is too small")
}

/// What is done to it of what is done to the disk.
pub fn inside(mut steps: Vec<Step>) -> Result<Vec<Step>> {
    for step in &mut steps {
        if let Step::Write(sector, _) = step {
            let inside = sector.checked_sub(FIRST);
            *sector = inside.context("the table was written")?;
        }
    }
    Ok(steps)
}

/// The contents of a disk.
pub fn image(bytes: &[u8]) -> Result<Image> {
    let empty = Image::new((bytes.len() / SECTOR) as u64);
    Ok(later(&empty, bytes)?.into_base())
}

/// The contents of the same disk later.
pub fn later(base: &Image, bytes: &[u8]) -> Result<Image> {
    let mut image = base.clone();
    for (number, bytes) in (0..).zip(bytes.chunks_exact(SECTOR)) {
        image.write(number, &Rc::new(bytes.try_into()?));
    }
    Ok(image)
}

/// The operations of a session, as they are done.
#[derive(Debug)]
pub struct Account {
    script: Script,
    number: u64,
    /// What was done.
    pub history: History,
}

impl Account {
    /// Of the session with this seed, on an empty file system.
    pub fn new(seed: u64) -> Self {
        let empty = Tree::from([("lost+found".into(), Node::Directory)]);
        Account {
            script: Script::new(seed),
            number: 0,
            history: History::new(empty),
        }
    }

    /// The next operation has begun; what it promises if it ends well.
    pub fn begin(&mut self, step: usize) -> Result<Option<Scope>> {
        let operation = self.script.next().context("the script has ended")?;
        let history = &mut self.history;
        let mut tree = history.tree().clone();
        let number = self.number;
        self.number += 1;
        let file = |tree: &Tree, path: &String| match tree.get(path) {
            Some(Node::File(file)) => Ok(*file),
            _ => bail!("{path} is no file"),
        };
        let mut scope = None;
        match operation {
            Operation::Create(path) => {
                tree.insert(path, Node::File(history.new_file()));
            }
            Operation::CreateDirectory(path) => _ = tree.insert(path, Node::Directory),
            Operation::Write { path, at, length } => {
                let file = file(&tree, &path)?;
                let mut bytes = history.bytes(file).to_vec();
                bytes.resize(bytes.len().max(at + length), 0);
                bytes[at..at + length].copy_from_slice(&pattern(number, length));
                history.write(file, bytes);
            }
            Operation::SetSize(path, size) => {
                let file = file(&tree, &path)?;
                let mut bytes = history.bytes(file).to_vec();
                bytes.resize(size, 0);
                history.write(file, bytes);
            }
            Operation::Rename(from, to) => {
                let node = tree.remove(&from).context("nothing to rename")?;
                tree.insert(to, node);
            }
            Operation::Remove(path) => _ = tree.remove(&path),
            Operation::Sync(path) => scope = Some(Scope::File(file(&tree, &path)?)),
            Operation::SyncAll => scope = Some(Scope::All),
        }
        history.done(step, Some(tree));
        Ok(scope)
    }
}

/// A session by its marks: what was done, and the steps without the marks.
pub fn account(steps: Vec<Step>, marks: u64, seed: u64) -> Result<(History, Vec<Step>)> {
    let mut account = Account::new(seed);
    let (mut kept, mut scope) = (Vec::new(), None);
    for step in steps {
        let mark = match &step {
            Step::Write(sector, sectors) if *sector == marks => {
                Some(Progress::of(&sectors[0][..]).context("a mark that is none")?)
            }
            _ => None,
        };
        match mark {
            None => kept.push(step),
            Some(progress) if progress.is_done => {
                if let Some(scope) = scope.take() {
                    account.history.promise(kept.len(), scope);
                }
            }
            Some(progress) => {
                ensure!(progress.operation == account.number, "marks are missing");
                scope = account.begin(kept.len())?;
            }
        }
    }
    ensure!(account.number > 0, "the log has no marks");
    Ok((account.history, kept))
}

/// A session by what its console said; a disk that failed is judged as it is at
/// the end.
pub fn told(console: &str, seed: u64) -> Result<History> {
    let mut account = Account::new(seed);
    let said = console
        .lines()
        .filter_map(|line| line.split_once("[session] "));
    let mut synced = Vec::new();
    let mut failed = false;
    for (_, said) in said {
        if let Some(number) = said.trim_end().strip_suffix(" ok") {
            ensure!(number.parse() == Ok(account.number), "lines are missing");
            let scope = account.begin(0)?;
            if let Some(scope) = scope {
                account.history.promise(0, scope);
            }
        } else if let Some(path) = said.trim_end().strip_prefix("synced ") {
            synced.push(path.to_owned());
        } else if said.contains(" error: ") {
            failed = true;
        }
    }
    // Who syncs after an error is promised what was acknowledged before it. What
    // the path leads to that the error was about is not known.
    let unknown = account.script.clone().next();
    let unknown = match &unknown {
        Some(Operation::Create(path) | Operation::Remove(path)) => vec![path],
        Some(Operation::Rename(from, to)) => vec![from, to],
        _ => Vec::new(),
    };
    for path in synced.iter().filter(|path| !unknown.contains(path)) {
        if let Some(Node::File(file)) = account.history.tree().get(path) {
            let file = *file;
            account.history.promise(0, Scope::File(file));
        }
    }
    if failed {
        account.begin(0)?;
    }
    Ok(account.history)
}
