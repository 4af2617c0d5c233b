//! Which tests there are, and which are asked for.

use std::path::PathBuf;

use tessera_test_cases::{SUITES, Selection, Suite};
use xtask::arch::Arch;
use xtask::commands::test::{GUEST_ARCH, GUEST_SMP, GUEST_TESTS};
use xtask::workspace::root;

/// Numbers of cores to test on unless one is asked for.
const CORES: [u32; 2] = [1, 4];

/// Suites of virtio devices, which run with those on the memory bus and on PCI.
const ON_PCI: [&str; 4] = ["disk", "driver", "entropy", "net"];

/// What runs in one boot.
#[derive(Clone, Debug)]
pub enum Work {
    /// A suite of the table, with the cases asked for.
    Suite(&'static Suite, Selection),
    /// The transcript of a session in this file.
    Session(PathBuf),
    /// The same at several machines.
    Nodes(PathBuf),
    /// A server and an app made from the templates.
    Stranger,
    /// Two boots on one disk.
    Persistent,
    /// Two runs that must be the same.
    Determinism,
}

/// One boot and the names of its tests.
#[derive(Clone, Debug)]
pub struct Job {
    /// Architecture.
    pub arch: Arch,
    /// Number of cores.
    pub smp: u32,
    /// Its virtio devices are on PCI.
    pub pci: bool,
    /// What to run.
    pub work: Work,
    /// The tests, and for a suite the place of each case.
    pub tests: Vec<(usize, String)>,
}

/// Everything that can be run on the architectures and cores asked for.
pub fn all() -> Vec<Job> {
    let only = |name: &str| std::env::var(name).ok();
    if only(GUEST_TESTS).is_none() {
        return Vec::new();
    }
    let arches = Arch::ALL
        .into_iter()
        .filter(|arch| only(GUEST_ARCH).is_none_or(|a| a == arch.name()));
    let cores = match only(GUEST_SMP).and_then(|smp| smp.parse().ok()) {
        Some(smp) => vec![smp],
        None => CORES.to_vec(),
    };
    let mut jobs = Vec::new();
    for arch in arches {
        for &smp in &cores {
            let (counted, plain): (Vec<&Suite>, Vec<&Suite>) =
                SUITES.iter().partition(|suite| suite.counted);
            let on_pci = plain.iter().filter(|suite| ON_PCI.contains(&suite.name));
            let on_pci = on_pci.map(|suite| pci_job(arch, smp, suite));
            jobs.extend(on_pci);
            jobs.extend(plain.into_iter().map(|suite| suite_job(arch, smp, suite)));
            jobs.extend(
                sessions("session")
                    .into_iter()
                    .map(|path| session_job(arch, smp, path)),
            );
            // The number of cores is not what these are about.
            if smp == cores[0] {
                jobs.extend(counted.into_iter().map(|suite| suite_job(arch, 1, suite)));
                if arch == Arch::ALL[0] {
                    // Each names the architectures of its machines.
                    jobs.extend(sessions("nodes").into_iter().map(nodes_job));
                }
                jobs.push(single_job(arch, smp, "session/stranger", Work::Stranger));
                let name = "session/persistent";
                jobs.push(single_job(arch, smp, name, Work::Persistent));
                jobs.push(single_job(
                    arch,
                    1,
                    "determinism/two_runs",
                    Work::Determinism,
                ));
            }
        }
    }
    jobs
}

fn suite_job(arch: Arch, smp: u32, suite: &'static Suite) -> Job {
    let name = |case: &&str| format!("{arch}/smp{smp}/{}/{case}", suite.name);
    Job {
        arch,
        smp,
        pci: false,
        work: Work::Suite(suite, Selection::first(suite.cases.len())),
        tests: suite.cases.iter().map(name).enumerate().collect(),
    }
}

fn pci_job(arch: Arch, smp: u32, suite: &'static Suite) -> Job {
    let mut job = suite_job(arch, smp, suite);
    job.pci = true;
    for (_, name) in &mut job.tests {
        *name = name.replacen("/smp", "/pci/smp", 1);
    }
    job
}

fn session_job(arch: Arch, smp: u32, path: PathBuf) -> Job {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let tests = vec![(0, format!("{arch}/smp{smp}/session/{name}"))];
    Job {
        arch,
        smp,
        pci: false,
        work: Work::Session(path),
        tests,
    }
}

fn nodes_job(path: PathBuf) -> Job {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("nodes/{name}");
    single_job(Arch::ALL[0], 1, &name, Work::Nodes(path))
}

fn single_job(arch: Arch, smp: u32, name: &str, work: Work) -> Job {
    let tests = vec![(0, format!("{arch}/smp{smp}/{name}"))];
    Job {
        arch,
        smp,
        pci: false,
        work,
        tests,
    }
}

/// The transcripts of that kind in `tests/sessions`.
fn sessions(kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root().join("tests/sessions")) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == kind))
        .collect();
    found.sort();
    found
}

/// Leaves the tests whose names pass, and the jobs that still have some.
pub fn select(jobs: Vec<Job>, wanted: impl Fn(&str) -> bool) -> Vec<Job> {
    let narrow = |mut job: Job| {
        job.tests.retain(|(_, name)| wanted(name));
        if let Work::Suite(_, selection) = &mut job.work {
            *selection = Selection::none();
            job.tests
                .iter()
                .for_each(|(index, _)| selection.insert(*index));
        }
        (!job.tests.is_empty()).then_some(job)
    };
    jobs.into_iter().filter_map(narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUITE: Suite = Suite {
        name: "ipc",
        system: "suite",
        counted: false,
        cases: &["call", "reply", "signal"],
    };

    #[test]
    fn the_filter_becomes_a_selection() {
        let jobs = vec![
            suite_job(Arch::Aarch64, 1, &SUITE),
            suite_job(Arch::Riscv64, 4, &SUITE),
            session_job(Arch::Riscv64, 1, "tests/sessions/first.session".into()),
        ];
        let left = select(jobs.clone(), |name| {
            name.starts_with("riscv64/smp4/ipc/") && name.ends_with("l")
        });
        assert_eq!(left.len(), 1);
        let names: Vec<_> = left[0]
            .tests
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        assert_eq!(names, ["riscv64/smp4/ipc/call", "riscv64/smp4/ipc/signal"]);
        let Work::Suite(_, selection) = &left[0].work else {
            panic!("a suite")
        };
        assert_eq!(selection.to_string(), "0,2");
        assert_eq!(
            select(jobs, |name| name == "riscv64/smp1/session/first").len(),
            1
        );
    }
}
