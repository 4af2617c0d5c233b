//! Runs one pipeline: words become arguments, redirections and pipes streams,
//! and each command a program that is started or a built-in that is called.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tessera_tools::format::duration;
use tessera_tools::{IoError, arguments};

use super::{
    BUILTINS, Builtin, Ended, Flow, Host, Launch, NamesHere, Shell, StartError, Streams, absolute,
    bus, code,
};
use crate::language::{Command, Pipeline, Redirection, Word, expand_paths, fields, value};
use crate::suggest::suggestion;

/// A command, ready to run.
struct Plan<H: Host> {
    action: Action,
    arguments: Vec<String>,
    grants: Vec<String>,
    streams: Streams<H>,
}

#[derive(Clone, Copy)]
enum Action {
    Builtin(&'static Builtin),
    /// A program that runs inside the shell.
    Inside,
    Program,
}

/// Why a command does not run: what to say, and the exit code.
struct Refused(String, i32);

impl<H: Host> Shell<H> {
    /// Runs a pipeline and sets the exit code.
    pub(super) fn run_pipeline(&mut self, pipeline: &Pipeline, background: bool) -> Flow {
        let start = self.host.microseconds();
        let flow = match self.plan(pipeline, background) {
            Ok(plans) => self.carry_out(plans, pipeline, background),
            Err(Refused(text, code)) => {
                self.complain(&text);
                self.status = code;
                Flow::Next
            }
        };
        if pipeline.timed {
            let taken = self.host.microseconds().saturating_sub(start);
            let error = self.streams.error.clone();
            self.host
                .write_error(error.as_ref(), &format!("time {}\n", duration(taken)));
        }
        flow
    }

    fn plan(&mut self, pipeline: &Pipeline, background: bool) -> Result<Vec<Plan<H>>, Refused> {
        let mut plans = Vec::new();
        for command in &pipeline.commands {
            let alone = pipeline.commands.len() == 1;
            plans.extend(self.plan_command(command, alone)?);
        }
        let inside = |plan: &Plan<H>| !matches!(plan.action, Action::Program);
        if let Some(plan) = plans.iter().find(|plan| background && inside(plan)) {
            let name = plan.arguments.first().map_or("", String::as_str);
            let text = format!("`{name}` runs inside the shell and cannot go to the background");
            return Err(Refused(text, code::USAGE));
        }
        for (number, command) in pipeline.commands.iter().enumerate() {
            if number + 1 < plans.len() {
                let (write, read) = self.host.pipe().map_err(|e| refused("|", &e))?;
                plans[number].streams.output = Some(write);
                plans[number + 1].streams.input = Some(read);
            }
            if let Some(plan) = plans.get_mut(number) {
                for (kind, word) in &command.redirections {
                    self.redirect(&mut plan.streams, *kind, word)?;
                }
            } else {
                // Only files are to be made: `> FILE`.
                let mut streams = Streams::inherited();
                for (kind, word) in &command.redirections {
                    self.redirect(&mut streams, *kind, word)?;
                }
            }
        }
        Ok(plans)
    }

    /// `None` if the command only sets variables or makes files.
    fn plan_command(&mut self, command: &Command, alone: bool) -> Result<Option<Plan<H>>, Refused> {
        let mut words = Vec::new();
        for word in &command.words {
            words.append(&mut self.arguments_of(word));
        }
        self.put_in_alias(command, &mut words);
        bus::write_out(&mut words);
        let usage = |text: &str| Err(Refused(text.into(), code::USAGE));
        if words.is_empty() {
            if !alone {
                return usage("a command is missing beside `|`");
            }
            for (name, word) in &command.assignments {
                let text = value(word, self);
                self.variables.insert(name.clone(), text);
            }
            self.status = 0;
            return Ok(None);
        }
        if let Some((name, _)) = command.assignments.first() {
            return usage(&format!(
                "programs get no variables: set `{name}` in a command of its own, before `;`"
            ));
        }
        let grants = self.grants_of(&mut words)?;
        let name = words.first().cloned().unwrap_or_default();
        let builtin = BUILTINS.iter().find(|builtin| builtin.name == name);
        // `kill %1` is the shell's, any other `kill` a program's.
        let own = |builtin: &&Builtin| {
            builtin.name != "kill" || words.get(1).is_none_or(|word| word.starts_with('%'))
        };
        let action = match builtin.filter(|b| grants.is_empty() && own(b)) {
            Some(builtin) => Action::Builtin(builtin),
            None if self.host.runs_inside(&name) => Action::Inside,
            None if name.contains('/') || self.host.programs().contains(&name) => Action::Program,
            None => return Err(Refused(self.unknown(&name), code::NOT_FOUND)),
        };
        Ok(Some(Plan {
            action,
            arguments: words,
            grants,
            streams: self.streams.clone(),
        }))
    }

    pub(super) fn unknown(&mut self, name: &str) -> String {
        match suggestion(name, &self.commands()) {
            Some(other) => format!("unknown command `{name}`; did you mean `{other}`?"),
            None => format!("unknown command `{name}`; `help` lists what there is"),
        }
    }

    fn arguments_of(&mut self, word: &Word) -> Vec<String> {
        let fields = fields(word, self);
        let mut names = NamesHere(&mut self.host, &self.directory);
        fields
            .iter()
            .flat_map(|field| expand_paths(field, &mut names))
            .collect()
    }

    /// Puts an alias's words in place of the first one, unless that is quoted.
    fn put_in_alias(&mut self, command: &Command, words: &mut Vec<String>) {
        use crate::language::Piece;
        let plain = command.words.first().map(|word| word.pieces.as_slice());
        let Some([Piece::Plain(name)]) = plain else {
            return;
        };
        if let Some(text) = self.aliases.get(name) {
            words.splice(..1, text.split_whitespace().map(ToString::to_string));
        }
    }

    /// Takes `run [--grant NAME]...` off the words, and checks the names.
    fn grants_of(&mut self, words: &mut Vec<String>) -> Result<Vec<String>, Refused> {
        let mut grants = Vec::new();
        if words.first().is_none_or(|word| word != "run")
            || words.get(1).is_some_and(|w| w == "--help")
        {
            return Ok(grants);
        }
        words.remove(0);
        let usage = |text: &str| {
            let text = format!(
                "run: {text}\nusage: run [--grant NAME[=DEVICE/SERVICE]]... PROGRAM [ARGUMENT]..."
            );
            Err(Refused(text, code::USAGE))
        };
        while words.first().is_some_and(|word| word == "--grant") {
            let Some(name) = words.get(1).cloned() else {
                return usage("a name should follow `--grant`");
            };
            let known = self.host.grants();
            if !name.contains('=') && !known.contains(&name) {
                let known = match known.as_slice() {
                    [] => "nothing".into(),
                    known => known.join(", "),
                };
                return usage(&format!(
                    "this shell cannot grant `{name}`; it can grant {known}"
                ));
            }
            grants.push(name);
            words.drain(..2);
        }
        match words.first() {
            None => usage("a program is missing"),
            Some(word) if word.starts_with("--") => usage(&format!("unknown option `{word}`")),
            Some(_) => Ok(grants),
        }
    }

    fn redirect(
        &mut self,
        streams: &mut Streams<H>,
        kind: Redirection,
        word: &Word,
    ) -> Result<(), Refused> {
        let names = self.arguments_of(word);
        let [name] = names.as_slice() else {
            let text = format!("one file name is needed, and this is {}", names.len());
            return Err(Refused(text, code::USAGE));
        };
        let path = absolute(&self.directory, name);
        let failed = |error: IoError| refused(name, &error);
        match kind {
            Redirection::Input => {
                streams.input = Some(self.host.open_input(&path).map_err(failed)?);
            }
            Redirection::Output | Redirection::Append => {
                let append = kind == Redirection::Append;
                streams.output = Some(self.host.open_output(&path, append).map_err(failed)?);
            }
            Redirection::Error | Redirection::ErrorAppend => {
                let append = kind == Redirection::ErrorAppend;
                streams.error = Some(self.host.open_output(&path, append).map_err(failed)?);
            }
        }
        Ok(())
    }

    /// Starts the programs, then runs what runs inside the shell, whose output
    /// those programs can read, then waits.
    fn carry_out(&mut self, plans: Vec<Plan<H>>, pipeline: &Pipeline, background: bool) -> Flow {
        let mut processes = Vec::new();
        let mut inside = Vec::new();
        let last = plans.len().saturating_sub(1);
        let mut last_is_process = false;
        for (number, mut plan) in plans.into_iter().enumerate() {
            match plan.action {
                Action::Program => {}
                Action::Builtin(builtin) if !builtin.reads() => {
                    // Who writes to it must not wait for it.
                    plan.streams.input = None;
                    inside.push(plan);
                    continue;
                }
                Action::Builtin(_) | Action::Inside => {
                    inside.push(plan);
                    continue;
                }
            }
            match self.start(plan, !background) {
                Ok(process) => {
                    last_is_process = number == last;
                    processes.push(process);
                }
                Err(Refused(text, code)) => {
                    self.complain(&text);
                    self.status = code;
                    processes
                        .iter_mut()
                        .for_each(|process| self.host.kill(process));
                    return Flow::Next;
                }
            }
        }
        if background {
            self.add_job(&pipeline.text, processes);
            self.status = 0;
            return Flow::Next;
        }
        let mut flow = Flow::Next;
        let mut own_code = 0;
        for plan in inside {
            (flow, own_code) = self.run_inside(plan);
        }
        let mut code = own_code;
        let ended = self.host.wait(&mut processes);
        if let Some(ended) = ended.last().filter(|_| last_is_process) {
            code = self.code_of(*ended, &pipeline.text);
        }
        if ended.contains(&Ended::Interrupted) {
            code = code::INTERRUPTED;
            flow = Flow::Abandon;
        }
        if flow != Flow::Next || !pipeline.commands.iter().all(|c| c.words.is_empty()) {
            self.status = code;
        }
        flow
    }

    fn code_of(&mut self, ended: Ended, text: &str) -> i32 {
        match ended {
            Ended::Exit(code) => code,
            Ended::Killed => {
                self.complain(&format!("killed: {text}"));
                code::KILLED
            }
            Ended::Fault => {
                self.complain(&format!(
                    "stopped by a fault, which the log tells about: {text}"
                ));
                code::FAULT
            }
            Ended::Interrupted => code::INTERRUPTED,
        }
    }

    fn start(&mut self, plan: Plan<H>, in_front: bool) -> Result<H::Process, Refused> {
        let launch = Launch {
            arguments: &plan.arguments,
            directory: &self.directory,
            grants: &plan.grants,
            streams: plan.streams,
            in_front,
        };
        let name = plan.arguments.first().map_or("", String::as_str);
        self.host.start(launch).map_err(|error| match error {
            StartError::Unknown => Refused(format!("unknown program `{name}`"), code::NOT_FOUND),
            StartError::Path(path, error) => Refused(format!("{name}: {path}: {error}"), 1),
            StartError::Failed(cause) => Refused(format!("{name}: {cause}"), code::NOT_STARTED),
        })
    }

    /// Runs a built-in, or a program inside the shell.
    fn run_inside(&mut self, plan: Plan<H>) -> (Flow, i32) {
        let Action::Builtin(builtin) = plan.action else {
            return match self.start(plan, true) {
                Ok(process) => {
                    let ended = self.host.wait(&mut [process]);
                    let ended = ended.last().copied().unwrap_or(Ended::Killed);
                    let interrupted = ended == Ended::Interrupted;
                    let flow = if interrupted {
                        Flow::Abandon
                    } else {
                        Flow::Next
                    };
                    (flow, self.code_of(ended, ""))
                }
                Err(Refused(text, code)) => {
                    self.complain(&text);
                    (Flow::Next, code)
                }
            };
        };
        let outer = core::mem::replace(&mut self.streams, plan.streams);
        let result = self.call(builtin, &plan.arguments);
        self.streams = outer;
        result
    }

    fn call(&mut self, builtin: &Builtin, words: &[String]) -> (Flow, i32) {
        let about = &builtin.about();
        if let [_, help] = words
            && help == "--help"
        {
            let output = self.streams.output.clone();
            let written = self.host.write(output.as_ref(), &about.help());
            return (Flow::Next, i32::from(written.is_err()));
        }
        let operands = arguments::operand_places(words).count();
        let (least, most) = builtin.operands;
        if operands < least || operands > most {
            self.complain(&format!("{}: usage: {}", builtin.name, builtin.usage));
            return (Flow::Next, code::USAGE);
        }
        (builtin.run::<H>())(self, words)
    }
}

fn refused(name: &str, error: &IoError) -> Refused {
    Refused(format!("{name}: {error}"), 1)
}
