//! Pipelines that nobody waits for.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Ended, Host, Shell};

/// A pipeline in the background.
pub struct Job<P> {
    /// What people call it, `%1` being the first.
    pub number: usize,
    /// What was typed.
    pub text: String,
    /// Its programs, and how each ended, if it has.
    pub processes: Vec<(P, Option<Ended>)>,
}

impl<P> Job<P> {
    /// How it ended, which is how its last program did, once all have.
    fn ended(&self) -> Option<Ended> {
        if self.processes.iter().any(|(_, ended)| ended.is_none()) {
            return None;
        }
        self.processes.last().and_then(|(_, ended)| *ended)
    }
}

impl<H: Host> Shell<H> {
    /// Keeps a pipeline as a job and says its number.
    pub(super) fn add_job(&mut self, text: &str, processes: Vec<H::Process>) {
        let used = self.jobs.iter().map(|job| job.number).max();
        let number = used.unwrap_or(0) + 1;
        self.jobs.push(Job {
            number,
            text: text.into(),
            processes: processes
                .into_iter()
                .map(|process| (process, None))
                .collect(),
        });
        self.host.write_error(None, &format!("[{number}] {text}\n"));
    }

    fn look_at_jobs(&mut self) {
        for job in &mut self.jobs {
            for (process, ended) in &mut job.processes {
                if ended.is_none() {
                    *ended = self.host.poll(process);
                }
            }
        }
    }

    /// Tells of jobs that have ended, and forgets them.
    pub fn report_jobs(&mut self) {
        self.look_at_jobs();
        let mut lines = String::new();
        self.jobs.retain(|job| {
            let Some(ended) = job.ended() else {
                return true;
            };
            lines += &format!("[{}] {}: {}\n", job.number, in_words(ended), job.text);
            false
        });
        if !lines.is_empty() {
            self.host.write_error(None, &lines);
        }
    }

    /// A line a job. Those that have ended are then forgotten.
    pub(super) fn job_lines(&mut self) -> String {
        self.look_at_jobs();
        let mut lines = String::new();
        self.jobs.retain(|job| {
            let ended = job.ended();
            let state = ended.map_or("runs".into(), in_words);
            lines += &format!("[{}] {state}: {}\n", job.number, job.text);
            ended.is_none()
        });
        lines
    }

    /// Waits for all jobs. Ctrl-C ends them.
    pub(super) fn wait_for_jobs(&mut self) -> bool {
        let mut interrupted = false;
        for job in core::mem::take(&mut self.jobs) {
            let running = job
                .processes
                .into_iter()
                .filter(|(_, ended)| ended.is_none());
            let mut running: Vec<H::Process> = running.map(|(process, _)| process).collect();
            let ended = self.host.wait(&mut running);
            interrupted |= ended.contains(&Ended::Interrupted);
        }
        interrupted
    }

    /// Ends a job, named as `%1`. `false` if there is none of that number.
    pub(super) fn kill_job(&mut self, name: &str) -> bool {
        let number = name
            .strip_prefix('%')
            .and_then(|number| number.parse::<usize>().ok());
        let Some(job) = self.jobs.iter_mut().find(|job| Some(job.number) == number) else {
            return false;
        };
        for (process, ended) in &mut job.processes {
            if ended.is_none() {
                self.host.kill(process);
            }
        }
        true
    }

    /// Ends all jobs.
    pub fn kill_jobs(&mut self) {
        let names: Vec<String> = self
            .jobs
            .iter()
            .map(|job| format!("%{}", job.number))
            .collect();
        for name in names {
            self.kill_job(&name);
        }
    }
}

fn in_words(ended: Ended) -> String {
    match ended {
        Ended::Exit(0) => "done".to_string(),
        Ended::Exit(code) => format!("exit code {code}"),
        Ended::Fault => "stopped by a fault".to_string(),
        Ended::Killed => "killed".to_string(),
        Ended::Interrupted => "interrupted".to_string(),
    }
}
