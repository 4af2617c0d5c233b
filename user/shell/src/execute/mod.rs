//! Carries a script out.
//!
//! [`Shell`] holds what lives from line to line: variables, aliases, jobs, the
//! working directory. What it needs of the world comes through [`Host`], so that
//! all of this runs under test without a system. A line goes through
//! [`Shell::run`] to [`pipeline`], which makes a plan of each command, and from
//! there to a program or to [`builtins`].

mod builtins;
pub mod bus;
mod host;
mod jobs;
mod mounts;
mod path;
mod pipeline;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::language::{self, Names, Script, SyntaxError, Variables, When};
pub use builtins::{BUILTINS, Builtin};
pub use host::{Ended, Host, Launch, StartError, Streams};
pub use jobs::Job;
pub use mounts::{Mount, Mounted};
pub use path::absolute;

/// Exit codes that the shell itself gives.
pub mod code {
    /// The command line made no sense.
    pub const USAGE: i32 = 2;
    /// The program was found and did not start.
    pub const NOT_STARTED: i32 = 126;
    /// There is no such command.
    pub const NOT_FOUND: i32 = 127;
    /// Ctrl-C.
    pub const INTERRUPTED: i32 = 130;
    /// Killed by somebody.
    pub const KILLED: i32 = 137;
    /// Stopped by a fault.
    pub const FAULT: i32 = 139;
}

/// Most scripts that may run one inside another.
const DEPTH: usize = 8;

/// What a line led to, besides its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next line.
    Next,
    /// The rest of the line is not to run: Ctrl-C.
    Abandon,
    /// The shell, or the script, is to end with this code.
    Exit(i32),
}

/// What lives from line to line.
pub struct Shell<H: Host> {
    /// The world.
    pub host: H,
    /// Exit code of the last pipeline.
    pub status: i32,
    /// The working directory.
    pub directory: String,
    /// Lines entered so far, for `history`.
    pub history: Vec<String>,
    variables: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
    jobs: Vec<Job<H::Process>>,
    /// Name and arguments of the script that runs.
    arguments: Vec<String>,
    /// Where streams lead that a command does not redirect.
    streams: Streams<H>,
    depth: usize,
}

impl<H: Host> Shell<H> {
    /// A shell in the directory `/`.
    pub fn new(host: H) -> Self {
        Shell {
            host,
            status: 0,
            directory: "/".into(),
            history: Vec::new(),
            variables: BTreeMap::new(),
            aliases: BTreeMap::new(),
            jobs: Vec::new(),
            arguments: ["shell".to_string()].into(),
            streams: Streams::inherited(),
            depth: 0,
        }
    }

    /// Makes `name`, as a command, stand for `text`.
    pub fn alias(&mut self, name: &str, text: &str) {
        self.aliases.insert(name.into(), text.into());
    }

    /// Names of all aliases.
    pub fn alias_names(&self) -> impl Iterator<Item = &str> {
        self.aliases.keys().map(String::as_str)
    }

    /// Names of all variables.
    pub fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// Runs a line that a person entered. `Err` if more lines are needed.
    pub fn run_line(&mut self, text: &str) -> Result<Flow, SyntaxError> {
        match language::parse(text) {
            Ok(script) => Ok(self.run(&script)),
            Err(error @ SyntaxError::Incomplete(_)) => Err(error),
            Err(error) => {
                self.complain(&format!("{error}"));
                self.status = code::USAGE;
                Ok(Flow::Next)
            }
        }
    }

    /// Runs a whole script with its name and arguments.
    pub fn run_script(&mut self, text: &str, arguments: Vec<String>) -> Flow {
        let name = arguments.first().cloned().unwrap_or_default();
        let script = match language::parse(text) {
            Ok(script) => script,
            Err(error) => {
                self.complain(&format!("{name}: {error}"));
                self.status = code::USAGE;
                return Flow::Next;
            }
        };
        if self.depth == DEPTH {
            self.complain(&format!(
                "{name}: more than {DEPTH} scripts inside one another"
            ));
            self.status = code::USAGE;
            return Flow::Abandon;
        }
        self.depth += 1;
        let outer = core::mem::replace(&mut self.arguments, arguments);
        let flow = self.run(&script);
        self.arguments = outer;
        self.depth -= 1;
        match flow {
            Flow::Exit(code) => {
                self.status = code;
                Flow::Next
            }
            flow => flow,
        }
    }

    /// Runs a script, step by step.
    pub fn run(&mut self, script: &Script) -> Flow {
        for step in &script.steps {
            let due = match step.when {
                When::Always => true,
                When::Success => self.status == 0,
                When::Failure => self.status != 0,
            };
            if !due {
                continue;
            }
            if self.host.interrupted() {
                self.status = code::INTERRUPTED;
                return Flow::Abandon;
            }
            match self.run_pipeline(&step.pipeline, step.background) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Next
    }

    /// Says on standard error what is wrong.
    fn complain(&mut self, text: &str) {
        let script = match self.depth {
            0 => String::new(),
            _ => format!("{}: ", self.arguments.first().map_or("", String::as_str)),
        };
        let error = self.streams.error.clone();
        self.host
            .write_error(error.as_ref(), &format!("{script}{text}\n"));
    }

    /// All commands that can be run here.
    pub fn commands(&mut self) -> Vec<String> {
        let mut names = self.host.programs();
        names.extend(BUILTINS.iter().map(|builtin| builtin.name.to_string()));
        names.extend(self.aliases.keys().cloned());
        names.sort();
        names.dedup();
        names
    }
}

impl<H: Host> Variables for Shell<H> {
    fn value(&self, name: &str) -> String {
        match name {
            "?" => self.status.to_string(),
            "#" => (self.arguments.len().saturating_sub(1)).to_string(),
            _ => match name.parse::<usize>() {
                Ok(number) => self.arguments.get(number).cloned().unwrap_or_default(),
                Err(_) => self.variables.get(name).cloned().unwrap_or_default(),
            },
        }
    }

    fn arguments(&self) -> &[String] {
        self.arguments.get(1..).unwrap_or_default()
    }
}

/// Names as seen from the shell's working directory.
struct NamesHere<'a, H: Host>(&'a mut H, &'a str);

impl<H: Host> Names for NamesHere<'_, H> {
    fn names(&mut self, directory: &str) -> Vec<(String, bool)> {
        self.0
            .list(&absolute(self.1, directory))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
