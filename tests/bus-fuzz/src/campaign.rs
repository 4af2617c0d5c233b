//! How often, which target, and what came of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tessera_bus_lab::random::Rng;

use crate::targets::all;

/// What came of a campaign.
#[derive(Debug, Default)]
pub struct Counts {
    /// Executions and different things that inputs led to, by target.
    pub targets: BTreeMap<&'static str, (u64, BTreeSet<u64>)>,
}

/// An input that broke something.
#[derive(Debug)]
pub struct Found {
    /// Of which target.
    pub target: &'static str,
    /// Which execution of it.
    pub execution: u64,
    /// The bytes.
    pub input: Vec<u8>,
}

/// Executes each target so often that it is `executions` in all, or until something
/// breaks.
pub fn run(
    executions: u64,
    seed: u64,
    only: Option<&str>,
    mut progress: impl FnMut(&'static str, u64),
) -> Result<Counts, Found> {
    let mut counts = Counts::default();
    let mut targets = all();
    targets.retain(|target| only.is_none_or(|only| target.name() == only));
    let each = executions.div_ceil(targets.len().max(1) as u64);
    for mut target in targets {
        let (name, mut rng) = (target.name(), Rng::new(seed));
        let (_, features) = counts
            .targets
            .entry(name)
            .or_insert((each, BTreeSet::new()));
        let mut input = Vec::new();
        for execution in 0..each {
            input.clear();
            let executed = catch_unwind(AssertUnwindSafe(|| target.execute(&mut rng, &mut input)));
            let Ok(feature) = executed else {
                return Err(Found {
                    target: name,
                    execution,
                    input,
                });
            };
            if !features.contains(&feature) {
                features.insert(feature);
            }
            if execution % (1 << 16) == 0 {
                progress(name, execution);
            }
        }
    }
    Ok(counts)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (executions, features)) in &self.targets {
            let different = features.len();
            writeln!(
                f,
                "{name:>10}: {executions} executions, {different} different outcomes"
            )?;
        }
        let all: u64 = self
            .targets
            .values()
            .map(|(executions, _)| executions)
            .sum();
        write!(f, "{all} executions, no panic, nothing broken")
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} broke in execution {} with ",
            self.target, self.execution
        )?;
        self.input
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
