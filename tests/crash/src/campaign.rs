//! Workloads, their cuts, and what is found after each.

use crate::{
    cuts::cuts,
    disk::{Image, SimulatedDisk, Step},
    fault::Fault,
    fsck::Judge,
    history::History,
    random::Random,
    workload::{Session, contents, mount},
};
use anyhow::{Context, Result, anyhow};
use std::{collections::HashSet, ops::Range, path::Path};
use tessera_ext4::{
    guard::Guard,
    mounted::{Time, format},
};
use tessera_files::volume::Volume;

/// Sectors of the disk: 24 MiB, little more than a journal needs.
const SECTORS: u64 = 48 << 10;

/// Operations of one workload.
const OPERATIONS: usize = 60;

/// Torn images for each write.
const SPREAD: usize = 12;

/// One of so many recoveries is cut off itself, and one of so many images is
/// replayed by `e2fsck` too.
const SAMPLE: u64 = 64;

/// What a campaign has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Workloads.
    pub workloads: u64,
    /// Cuts, the same image twice included.
    pub cuts: u64,
    /// Different images.
    pub images: u64,
    /// Recoveries that were cut off.
    pub recoveries: u64,
    /// Requests of the disk that were made to fail.
    pub failures: u64,
    /// How often `e2fsck` was asked.
    pub asked: u64,
}

impl core::fmt::Display for Counts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{} workloads, {} cuts, {} distinct images, {} cuts of recoveries, \
             {} failed requests, e2fsck asked {} times",
            self.workloads, self.cuts, self.images, self.recoveries, self.failures, self.asked
        )
    }
}

/// Cuts the power of a simulated disk.
pub struct Campaign {
    base: Image,
    /// The sectors of the journal behind its superblock: of no consequence once
    /// it is empty.
    journal: Range<u64>,
    judge: Judge,
    fault: Option<Fault>,
    seen: HashSet<u64>,
    judged: HashSet<u64>,
    /// What it has done.
    pub counts: Counts,
}

impl Campaign {
    /// `scratch` is a file for `e2fsck` to look at. With a fault it is to end in
    /// an error.
    pub fn new(scratch: &Path, fault: Option<Fault>) -> Result<Self> {
        let mut disk = SimulatedDisk::new(Image::new(SECTORS));
        format(&mut disk, Time::default()).map_err(|error| anyhow!("cannot format: {error}"))?;
        Self::on(disk.image().into_base(), scratch, fault)
    }

    /// The same on a file system that is there, and empty.
    pub fn on(base: Image, scratch: &Path, fault: Option<Fault>) -> Result<Self> {
        let mut judge = Judge::new(scratch, &base)?;
        judge.check(&base).context("a fresh file system")?;
        Ok(Campaign {
            journal: journal(&base)?,
            base,
            judge,
            fault,
            seen: HashSet::new(),
            judged: HashSet::new(),
            counts: Counts::default(),
        })
    }

    /// One workload and all its cuts.
    pub fn workload(&mut self, seed: u64) -> Result<()> {
        let mut random = Random::new(seed);
        let disk = SimulatedDisk::faulty(self.base.clone(), self.fault);
        let mut session = Session::new(&disk, self.fault)?;
        session.run(OPERATIONS, &mut random)?;
        session.check()?;
        self.counts.workloads += 1;
        let history = &session.history;
        self.log(history, &disk.log(), SPREAD, seed, &mut |_, _| Ok(()))
    }

    /// All cuts of a log, and torn images for each write; `look` sees each that is
    /// an image of its own.
    pub fn log(
        &mut self,
        history: &History,
        log: &[Step],
        spread: usize,
        seed: u64,
        look: &mut dyn FnMut(u64, &Image) -> Result<()>,
    ) -> Result<()> {
        let base = self.base.clone();
        let (mut random, mut choices) = (Random::new(seed), Random::new(seed ^ 1 << 63));
        let mut judged = HashSet::new();
        for cut in cuts(&base, log, spread, &mut choices) {
            self.counts.cuts += 1;
            let image = cut.image.hash();
            if self.seen.insert(image) {
                self.counts.images += 1;
                look(self.counts.images, &cut.image)?;
            }
            // The same image is judged again where more has been promised.
            if !judged.insert((image, history.promises(cut.steps))) {
                continue;
            }
            self.cut(history, cut.steps, &cut.image, &mut random)
                .with_context(|| format!("seed {seed}, cut after {} steps", cut.steps))?;
        }
        self.counts.asked = self.judge.asked;
        Ok(())
    }

    /// What a disk holds whose machine is gone, after all that was promised.
    pub fn left(&mut self, history: &History, image: &Image) -> Result<()> {
        self.recover(history, usize::MAX, &SimulatedDisk::new(image.clone()))
    }

    /// Recovers an image and looks what is there.
    fn cut(
        &mut self,
        history: &History,
        steps: usize,
        image: &Image,
        random: &mut Random,
    ) -> Result<()> {
        let disk = SimulatedDisk::new(image.clone());
        let is_torn = Guard::new(disk.clone()).is_torn();
        if random.below(SAMPLE) == 0 && is_torn == Ok(false) {
            self.judge.replay(image)?;
        }
        self.recover(history, steps, &disk)?;
        if random.below(SAMPLE) == 0 {
            // A cut in the middle of what the recovery wrote.
            self.counts.recoveries += 1;
            let log = disk.log();
            let all: Vec<_> = cuts(image, &log, 1, random).collect();
            let cut = &all[random.below(all.len() as u64) as usize];
            let disk = SimulatedDisk::new(cut.image.clone());
            self.recover(history, steps, &disk).context("cut twice")?;
        }
        Ok(())
    }

    fn recover(&mut self, history: &History, steps: usize, disk: &SimulatedDisk) -> Result<()> {
        let mut volume = mount(disk).map_err(|error| anyhow!("no mount: {error}"))?;
        let found = contents(&volume).map_err(|error| anyhow!("cannot be read: {error}"))?;
        history.judge(steps, &found)?;
        volume
            .rest()
            .map_err(|error| anyhow!("no unmount: {error}"))?;
        let recovered = disk.image();
        if self
            .judged
            .insert(recovered.hash_without(self.journal.clone()))
        {
            self.judge.check(&recovered)?;
        }
        Ok(())
    }

    /// A workload whose disk fails at a request, and what is left of it then.
    pub fn failure(&mut self, seed: u64, share: u64) -> Result<()> {
        let mut whole = Random::new(seed);
        let disk = SimulatedDisk::new(self.base.clone());
        Session::new(&disk, None)?.run(OPERATIONS, &mut whole)?;
        let mounting = {
            let disk = SimulatedDisk::new(self.base.clone());
            Session::new(&disk, None)?;
            disk.requests()
        };
        let total = disk.requests();
        let mut request = mounting + seed % share;
        while request < total {
            let mut random = Random::new(seed);
            let disk = SimulatedDisk::new(self.base.clone());
            let mut session = Session::new(&disk, None)?;
            disk.fail(request);
            session.run(OPERATIONS, &mut random)?;
            self.counts.failures += 1;
            // The machine goes down without another word.
            let left = SimulatedDisk::new(disk.image());
            self.recover(&session.history, disk.steps(), &left)
                .with_context(|| format!("seed {seed}, request {request} failed"))?;
            request += share;
        }
        self.counts.asked = self.judge.asked;
        Ok(())
    }
}

/// Where the journal of a fresh file system is: by the magic of its superblock.
fn journal(base: &Image) -> Result<Range<u64>> {
    /// Linux, Documentation/filesystems/ext4/journal.rst: big-endian.
    const MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];
    const BLOCK: u64 = 8;
    let mut all = base.all();
    let found = all.find(|(number, sector)| number % BLOCK == 0 && sector[..4] == MAGIC);
    let (first, superblock) = found.context("there is no journal")?;
    let blocks = u32::from_be_bytes(superblock[16..20].try_into()?);
    Ok(first + BLOCK..first + BLOCK * u64::from(blocks))
}
