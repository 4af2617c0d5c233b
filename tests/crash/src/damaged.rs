//! Damaged file systems: what the server's code does with them.
//!
//! Whatever is on the disk, an operation ends with what it was asked for or with
//! a typed error. It does not panic, asks for no sector that the disk does not
//! have, does not go on for ever and does not take memory without end. What a
//! checksum gives away is never shown as good.

use crate::{
    client::{Client, Mistake, Shown, shown},
    damage::{Damage, damage},
    disk::SimulatedDisk,
    layout::{Kind, Layout},
    originals::{Original, originals},
    random::Random,
};
use anyhow::Result;
use peak_alloc::PeakAlloc;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Requests of the disk that one image may cost.
const REQUESTS: u64 = 200_000;

/// Bytes of memory that an image may cost, what was written to it included: the
/// server has as many besides its page cache.
const MEMORY: usize = 6 << 20;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// How long an image may take before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What has been done to images.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Images.
    pub images: u64,
    /// Those that were refused when they were mounted.
    pub refused: u64,
    /// Those of which something could not be done.
    pub limited: u64,
    /// How often a structure of each kind was damaged.
    pub kinds: BTreeMap<Kind, u64>,
    /// Bytes of memory that the most expensive one took.
    pub memory: usize,
    /// What must not be, how often, and where it was first seen.
    pub violations: BTreeMap<String, (u64, String)>,
}

impl core::fmt::Display for Counts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let whole = self.images - self.refused - self.limited;
        write!(
            f,
            "{} damaged images: {} refused, {} limited, {whole} unharmed, at most {} KiB \
             of memory; structures:",
            self.images,
            self.refused,
            self.limited,
            self.memory >> 10
        )?;
        for (kind, count) in &self.kinds {
            write!(f, " {kind:?} {count}")?;
        }
        Ok(())
    }
}

/// What is damaged.
struct Subject {
    original: Original,
    layout: Layout,
    /// What the original shows.
    contents: BTreeMap<String, Shown>,
}

/// Damages images and tries to use them.
pub struct Campaign {
    originals: Vec<Subject>,
    /// The image that is tried, for who looks after hangs.
    current: Arc<AtomicU64>,
    mistake: Option<Mistake>,
    /// What it has done.
    pub counts: Counts,
}

impl Campaign {
    /// `scratch` is a folder that is not there. With a mistake it is to find
    /// violations.
    pub fn new(scratch: &Path, mistake: Option<Mistake>) -> Result<Self> {
        let originals = originals(scratch)?.into_iter().map(|original| Subject {
            layout: Layout::of(&original.image),
            contents: shown(&original.contents),
            original,
        });
        let current = Arc::new(AtomicU64::new(0));
        watch(current.clone());
        remember_panics();
        Ok(Campaign {
            originals: originals.collect(),
            current,
            mistake,
            counts: Counts::default(),
        })
    }

    /// Tries the image of this seed.
    pub fn image(&mut self, seed: u64) {
        self.current.store(seed, Ordering::Relaxed);
        let mut random = Random::new(seed);
        let subject = random.pick(&self.originals);
        let (original, layout) = (&subject.original, &subject.layout);
        let mut image = original.image.clone();
        let damage = damage(&mut image, layout, &mut random);
        let disk = SimulatedDisk::new(image);
        disk.end(REQUESTS);
        PANIC.set(Some(String::new()));
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let used = panic::catch_unwind(AssertUnwindSafe(|| {
            Client::new(&disk, self.mistake).use_up(&mut random)
        }));
        let memory = HEAP.peak_usage().saturating_sub(before);
        self.counts.memory = self.counts.memory.max(memory);
        let panicked = PANIC.take();
        let mut violations = Vec::new();
        self.counts.images += 1;
        match &used {
            Err(_) => violations.extend(panicked),
            Ok(None) => self.counts.refused += 1,
            Ok(Some(seen)) => {
                self.counts.limited += u64::from(seen.is_limited());
                if can_tell(&damage, layout) {
                    violations.extend(seen.wrong(&subject.contents).map(Into::into));
                }
            }
        }
        if disk.strays() > 0 {
            violations.push("sectors that the disk does not have".into());
        }
        if disk.requests() > REQUESTS {
            violations.push("requests without end".into());
        }
        if memory > MEMORY {
            violations.push("memory without end".into());
        }
        for kind in &damage.kinds {
            *self.counts.kinds.entry(*kind).or_default() += 1;
        }
        for violation in violations {
            let at = || format!("seed {seed}, {}, {damage}", original.name);
            let known = self.counts.violations.entry(violation);
            known.or_insert_with(|| (0, at())).0 += 1;
        }
    }
}

/// Whether checksums tell everything that was done.
fn can_tell(damage: &Damage, layout: &Layout) -> bool {
    let has_one = |kind: &Kind| match kind {
        Kind::Indirect => false,
        // A transaction whose end is not right counts as one that was cut off.
        kind if kind.is_journal() => {
            *kind == Kind::JournalSuperblock && layout.has_journal_checksums
        }
        _ => true,
    };
    !damage.is_sealed && damage.kinds.iter().all(has_one)
}

thread_local! {
    /// While an image is tried: where a panic was, and what it said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets panics of images be counted and not be printed.
fn remember_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string);
        let said = info.payload_as_str().unwrap_or_default();
        // Numbers differ from image to image.
        let said = said.replace(|letter: char| letter.is_ascii_digit(), "");
        let told = format!("panic at {}: {said}", place.unwrap_or_default());
        match PANIC.take() {
            Some(_) => PANIC.set(Some(told)),
            None => before(info),
        }
    }));
}

/// Ends the process when an image takes for ever.
fn watch(current: Arc<AtomicU64>) {
    thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            let now = current.load(Ordering::Relaxed);
            if now == last && Arc::strong_count(&current) > 1 {
                eprintln!("seed {now} takes for ever");
                std::process::exit(2);
            }
            last = now;
            thread::sleep(PATIENCE);
        }
    });
}
