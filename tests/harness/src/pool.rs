//! Boots in the background; each test waits for its outcome.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::Outcome;
use crate::images::Images;
use crate::plan::{Job, Work};
use crate::{determinism, nodes, persistent, session, stranger, suite};

/// Runs jobs and keeps the outcomes of their tests by name.
pub struct Pool {
    queue: Mutex<VecDeque<Job>>,
    outcomes: Mutex<BTreeMap<String, Outcome>>,
    /// Lines of the outcome matrix, by machine.
    matrix: Mutex<BTreeMap<String, Vec<String>>>,
    news: Condvar,
    images: Images,
}

impl Pool {
    /// Starts to work on the jobs, `workers` at a time.
    pub fn start(jobs: Vec<Job>, workers: usize) -> Arc<Self> {
        let pool = Arc::new(Self {
            queue: Mutex::new(jobs.into()),
            outcomes: Mutex::default(),
            matrix: Mutex::default(),
            news: Condvar::new(),
            images: Images::default(),
        });
        for _ in 0..workers {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                while let Some(job) = pool.next() {
                    pool.work(&job);
                }
            });
        }
        pool
    }

    /// Waits for the outcome of that test, which must be of one of the jobs.
    pub fn outcome(&self, test: &str) -> Outcome {
        let mut outcomes = self.outcomes();
        loop {
            match outcomes.remove(test) {
                Some(outcome) => return outcome,
                None => {
                    outcomes = self
                        .news
                        .wait(outcomes)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The outcome matrix, as far as its cases have run.
    pub fn matrix(&self) -> String {
        let matrix = self.matrix.lock().unwrap_or_else(PoisonError::into_inner);
        let machines = matrix.iter();
        let tables =
            machines.map(|(machine, lines)| format!("\n{machine}\n{}\n", lines.join("\n")));
        tables.collect()
    }

    fn next(&self) -> Option<Job> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<String, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, job: &Job) {
        let mut settled = |index: usize, outcome: Outcome| {
            if let Some((_, name)) = job.tests.iter().find(|(place, _)| *place == index) {
                self.outcomes().insert(name.clone(), outcome);
                self.news.notify_all();
            }
        };
        let images = &self.images;
        let outcome = match &job.work {
            Work::Suite(suite, cases) => {
                let machine = format!("{}/smp{}", job.arch, job.smp);
                let mut matrix = |row: &str| {
                    let mut matrix = self.matrix.lock().unwrap_or_else(PoisonError::into_inner);
                    matrix.entry(machine.clone()).or_default().push(row.into());
                };
                return suite::run(job, suite, *cases, images, &mut settled, &mut matrix);
            }
            Work::Session(path) => session::run(job, path, images),
            Work::Nodes(path) => nodes::run(path, images),
            Work::Stranger => stranger::run(job, images),
            Work::Persistent => persistent::run(job, images),
            Work::Determinism => determinism::run(job, images),
        };
        settled(0, outcome.map_err(|error| format!("{error:#}")));
    }
}
