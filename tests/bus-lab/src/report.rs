//! What is printed.

use std::fmt;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::random::mix;
use crate::truth::{Check, Truth};

/// What happened in all simulations.
pub struct Report {
    options: Options,
    /// What happened.
    pub truth: Truth,
    /// Digest of all events of all simulations.
    pub digest: u64,
    /// Simulations.
    pub seeds: u64,
    /// The first seed that broke something.
    pub first_broken: Option<u64>,
    started: Instant,
}

impl Report {
    /// An empty one.
    pub fn new(options: &Options) -> Report {
        Report {
            options: options.clone(),
            truth: Truth::default(),
            digest: 0,
            seeds: 0,
            first_broken: None,
            started: Instant::now(),
        }
    }

    /// Adds a simulation.
    pub fn add(&mut self, seed: u64, truth: Truth, digest: u64) {
        if !truth.broken.is_empty() && self.first_broken.is_none() {
            self.first_broken = Some(seed);
        }
        self.truth.add(truth);
        self.digest = mix(self.digest ^ digest);
        self.seeds += 1;
    }

    /// How long it took so far.
    pub fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Invariants that had no occasion: they prove nothing.
    pub fn unproved(&self) -> Vec<Check> {
        let options = &self.options;
        let expected = |check: &Check| match check {
            Check::Ghost | Check::FalseGone | Check::Silence | Check::Memory => !options.peaceful,
            Check::LossNoticed | Check::EndAfterLoss => options.partitions + options.crashes() > 0,
            Check::Epoch | Check::Lives => options.crashes() > 0,
            Check::TakenBack | Check::Home | Check::Direct => options.nodes > 2,
            _ => true,
        };
        let none = |check: &Check| !self.truth.occasions.contains_key(check);
        Check::ALL
            .into_iter()
            .filter(expected)
            .filter(none)
            .collect()
    }

    /// Nothing was broken, and everything could have been.
    pub fn is_good(&self) -> bool {
        let (eligible, succeeded) = self.truth.healed;
        let heals = succeeded * 100 >= eligible * 99;
        heals && self.truth.broken.is_empty() && self.unproved().is_empty()
    }

    fn hours(&self) -> f64 {
        (self.seeds * u64::from(self.options.nodes) * self.options.minutes) as f64 / 60.0
    }
}

/// The value below which so many per cent of these are.
fn share(sorted: &[u64], per_cent: usize) -> u64 {
    let place = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truth = &self.truth;
        writeln!(
            f,
            "{} simulations of {} devices and {} minutes: {} events, digest {:016x}",
            self.seeds, self.options.nodes, self.options.minutes, truth.steps, self.digest
        )?;
        writeln!(f, "\n{:>10} occasions  invariant", "")?;
        for check in Check::ALL {
            let occasions = truth.occasions.get(&check).copied().unwrap_or(0);
            let broken = truth.broken.iter().filter(|(its, _)| *its == check).count();
            let verdict = if broken > 0 { "  BROKEN" } else { "" };
            writeln!(f, "{occasions:>20}  {check:?}{verdict}")?;
        }
        let mut listed = truth.listed.clone();
        listed.sort_unstable();
        let within = listed.partition_point(|time| *time <= 1_000);
        writeln!(
            f,
            "\nneighbours listed: {} of {} within 1 s (median {} ms, 99 % {} ms, all {} ms), {} not in 5 s",
            within,
            listed.len(),
            share(&listed, 50),
            share(&listed, 99),
            share(&listed, 100),
            truth.unlisted
        )?;
        let mut noticed = truth.noticed.clone();
        noticed.sort_unstable();
        writeln!(
            f,
            "losses noticed: {} (median {} ms, 99 % {} ms, all {} ms); calls to them ended at once",
            noticed.len(),
            share(&noticed, 50),
            share(&noticed, 99),
            share(&noticed, 100)
        )?;
        writeln!(
            f,
            "false losses: {} in {:.0} device-hours ({:.1} in 1000)",
            truth.false_losses,
            self.hours(),
            truth.false_losses as f64 * 1_000.0 / self.hours().max(0.001)
        )?;
        writeln!(
            f,
            "announcements heard in a second: {} at most",
            truth.most_hellos
        )?;
        let (eligible, succeeded) = truth.healed;
        writeln!(
            f,
            "calls after healing: {succeeded} of {eligible} succeeded"
        )?;
        writeln!(
            f,
            "streams that broke or were replaced: {}",
            truth.reconnects
        )?;
        let endings = truth
            .endings
            .iter()
            .map(|(ending, count)| format!("{ending} {count}"));
        writeln!(f, "endings: {}", endings.collect::<Vec<_>>().join("; "))?;
        for (check, why) in truth.broken.iter().take(20) {
            writeln!(f, "broken {check:?}: {why}")?;
        }
        if let Some(seed) = self.first_broken {
            writeln!(f, "first broken by seed {seed}")?;
        }
        for check in self.unproved() {
            writeln!(f, "no occasion to break {check:?}")?;
        }
        Ok(())
    }
}
