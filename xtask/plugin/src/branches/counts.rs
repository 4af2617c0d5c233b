//! The branches, and how often each went which way.

use std::collections::HashSet;
use std::fmt::Write;
use std::io::{Error, Result};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Most cores of a machine.
const CORES: usize = 8;
/// For a core that does not branch.
const NONE: usize = usize::MAX;

struct Branch {
    address: u64,
    /// Where it goes to when it is taken, and when not.
    leads_to: [u64; 2],
    went: [AtomicU64; 2],
}

/// The branches, by address.
pub(crate) struct Counts {
    branches: Vec<Branch>,
    targets: HashSet<u64>,
    /// The branch that each core is executing.
    pending: [AtomicUsize; CORES],
    /// The file to write.
    path: String,
}

impl Counts {
    /// Reads the list of branches; the counts are for the file at `path`.
    pub(crate) fn read(list: &str, path: &str) -> Result<Counts> {
        let mut branches = Vec::new();
        for line in std::fs::read_to_string(list)?.lines() {
            let mut numbers = line.split(' ').map(|word| u64::from_str_radix(word, 16));
            let mut number = || match numbers.next() {
                Some(Ok(number)) => Ok(number),
                _ => Err(Error::other(format!("`{line}` is no branch"))),
            };
            branches.push(Branch {
                address: number()?,
                leads_to: [number()?, number()?],
                went: [AtomicU64::new(0), AtomicU64::new(0)],
            });
        }
        branches.sort_by_key(|branch| branch.address);
        Ok(Counts {
            targets: branches.iter().flat_map(|branch| branch.leads_to).collect(),
            branches,
            pending: [const { AtomicUsize::new(NONE) }; CORES],
            path: path.into(),
        })
    }

    /// The branch at this address.
    pub(crate) fn find(&self, address: u64) -> Option<usize> {
        let found = self
            .branches
            .binary_search_by_key(&address, |at| at.address);
        found.ok()
    }

    /// Whether a branch leads to this address.
    pub(crate) fn is_target(&self, address: u64) -> bool {
        self.targets.contains(&address)
    }

    /// The core executes this branch.
    pub(crate) fn branches(&self, core: usize, branch: usize) {
        self.pending[core % CORES].store(branch, Relaxed);
    }

    /// The core begins a block to which branches lead.
    pub(crate) fn came_to(&self, core: usize, address: u64) {
        let pending = &self.pending[core % CORES];
        if let Some(branch) = self.branches.get(pending.load(Relaxed))
            && let Some(way) = branch.leads_to.iter().position(|to| *to == address)
        {
            branch.went[way].fetch_add(1, Relaxed);
        }
        pending.store(NONE, Relaxed);
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Result<()> {
        let mut text = String::new();
        for Branch { address, went, .. } in &self.branches {
            let [taken, passed] = went.each_ref().map(|count| count.load(Relaxed));
            // Formatting into a string does not fail.
            let _ = writeln!(text, "{address:x} {taken} {passed}");
        }
        std::fs::write(&self.path, text)
    }
}
