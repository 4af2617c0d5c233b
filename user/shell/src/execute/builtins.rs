//! The commands that are part of the shell, because they change it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tessera_tools::about::About;
use tessera_tools::{IoError, tools};

use super::{Flow, Host, Shell, absolute, bus, code, mounts};
use crate::language::{Variables, quoted};

/// A command of the shell itself.
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Least and most operands.
    pub(super) operands: (usize, usize),
}

const fn builtin(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    operands: (usize, usize),
) -> Builtin {
    Builtin {
        name,
        usage,
        summary,
        operands,
    }
}

const MANY: usize = usize::MAX;

/// All of them, by name. `time` and `run` are words that the shell takes off
/// before; they are here for `help`.
pub const BUILTINS: &[Builtin] = &[
    builtin(
        "alias",
        "alias [NAME=TEXT]",
        "show or set what a command name stands for",
        (0, 1),
    ),
    builtin(
        "bus",
        bus::USAGE,
        "see other devices, pair with them, publish here what they lend",
        (0, 4),
    ),
    builtin(
        "cd",
        "cd [DIRECTORY]",
        "go to a directory, / without one",
        (0, 1),
    ),
    builtin(
        "echo",
        "echo [-n] [TEXT]...",
        "print the arguments, -n without a line end",
        (0, MANY),
    ),
    builtin("exit", "exit [CODE]", "end the shell or the script", (0, 1)),
    builtin("false", "false", "fail", (0, MANY)),
    builtin("help", "help [COMMAND]", "say what there is to do", (0, 1)),
    builtin("history", "history", "show the lines entered", (0, 0)),
    builtin("jobs", "jobs", "show what runs in the background", (0, 0)),
    builtin("kill", "kill %JOB...", "end a job of this shell", (1, MANY)),
    builtin(
        "mount",
        "mount [-r] [@DISK|DEVICE/SERVICE DIRECTORY [TYPE]]",
        "show the files of a disk, or of another device, in the place of a directory, -r only \
         to read",
        (0, 3),
    ),
    builtin("pwd", "pwd", "show the working directory", (0, 0)),
    builtin(
        "run",
        "run [--grant NAME[=DEVICE/SERVICE]]... PROGRAM [ARGUMENT]...",
        "start a program with more authority than its note asks for, from here or from \
         another device",
        (0, 0),
    ),
    builtin("set", "set", "show all variables", (0, 0)),
    builtin("sh", "sh FILE [ARGUMENT]...", "run a script", (1, MANY)),
    builtin(
        "time",
        "time COMMAND",
        "say how long a pipeline takes",
        (0, 0),
    ),
    builtin("true", "true", "do nothing, well", (0, MANY)),
    builtin(
        "umount",
        "umount [-f] DIRECTORY...",
        "end that when everything is durable, -f whatever is open there",
        (0, MANY),
    ),
    builtin("unset", "unset NAME...", "forget variables", (1, MANY)),
    builtin(
        "wait",
        "wait",
        "wait for everything in the background",
        (0, 0),
    ),
];

/// What a built-in does with its words.
type Run<H> = fn(&mut Shell<H>, &[String]) -> (Flow, i32);

impl Builtin {
    /// What `--help` prints.
    pub(super) fn about(&self) -> About {
        About {
            words: match self.name {
                "bus" => bus::COMMANDS,
                _ => &[],
            },
            ..About::new(self.name, self.usage, self.summary)
        }
    }

    /// Whether it, or what it runs, may read standard input.
    pub(super) fn reads(&self) -> bool {
        self.name == "sh"
    }

    pub(super) fn run<H: Host>(&self) -> Run<H> {
        match self.name {
            "alias" => alias,
            "bus" => bus::bus,
            "cd" => cd,
            "echo" => echo,
            "exit" => exit,
            "false" => |_, _| (Flow::Next, 1),
            "help" => help,
            "history" => history,
            "jobs" => |shell, _| {
                let lines = shell.job_lines();
                say(shell, &lines)
            },
            "kill" => kill,
            "mount" => mounts::mount,
            "pwd" => |shell, _| {
                let line = format!("{}\n", shell.directory);
                say(shell, &line)
            },
            "set" => set,
            "sh" => sh,
            "umount" => mounts::umount,
            "unset" => unset,
            "wait" => |shell, _| match shell.wait_for_jobs() {
                true => (Flow::Abandon, code::INTERRUPTED),
                false => (Flow::Next, 0),
            },
            _ => |_, _| (Flow::Next, 0),
        }
    }
}

/// Writes to standard output.
pub(super) fn say<H: Host>(shell: &mut Shell<H>, text: &str) -> (Flow, i32) {
    let output = shell.streams.output.clone();
    match shell.host.write(output.as_ref(), text) {
        Ok(()) => (Flow::Next, 0),
        // Whoever read it has seen enough.
        Err(IoError::Closed) => (Flow::Next, 1),
        Err(error) => {
            shell.complain(&error.to_string());
            (Flow::Next, 1)
        }
    }
}

pub(super) fn fail<H: Host>(shell: &mut Shell<H>, text: &str) -> (Flow, i32) {
    shell.complain(text);
    (Flow::Next, 1)
}

fn alias<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let Some(word) = words.get(1) else {
        let lines = shell.aliases.iter();
        let lines: String = lines
            .map(|(n, text)| format!("alias {n}={}\n", quoted(text)))
            .collect();
        return say(shell, &lines);
    };
    match word.split_once('=') {
        Some((name, text)) if !name.is_empty() => {
            shell.alias(name, text);
            (Flow::Next, 0)
        }
        _ => fail(shell, "alias: usage: alias [NAME=TEXT]"),
    }
}

fn cd<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let path = words.get(1).map_or("/", String::as_str);
    let target = absolute(&shell.directory, path);
    match shell.host.list(&target) {
        Ok(_) => {
            shell.directory = target;
            (Flow::Next, 0)
        }
        Err(error) => fail(shell, &format!("cd: {path}: {error}")),
    }
}

fn echo<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let (end, texts) = match words {
        [_, option, texts @ ..] if option == "-n" => ("", texts),
        [_, texts @ ..] => ("\n", texts),
        [] => ("\n", words),
    };
    say(shell, &(texts.join(" ") + end))
}

fn exit<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    match words.get(1).map(|word| word.parse::<u8>()) {
        None => (Flow::Exit(shell.status), shell.status),
        Some(Ok(code)) => (Flow::Exit(code.into()), code.into()),
        Some(Err(_)) => {
            shell.complain("exit: a code is a number from 0 to 255");
            (Flow::Next, code::USAGE)
        }
    }
}

fn help<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    if let Some(name) = words.get(1) {
        let builtin = BUILTINS.iter().find(|builtin| builtin.name == name);
        let tool = tools::ABOUTS.iter().find(|about| about.name == name);
        let texts = [
            builtin.map(|b| b.about().help()),
            tool.map(|about| about.help()),
        ];
        let text: String = texts.into_iter().flatten().collect();
        if text.is_empty() {
            let text = shell.unknown(name);
            return fail(shell, &text);
        }
        return say(shell, &text);
    }
    let programs = shell.host.programs();
    let tools = tools::ABOUTS
        .iter()
        .filter(|about| programs.iter().any(|p| p == about.name));
    let mut lines: Vec<(&str, &str)> = tools.map(|about| (about.name, about.summary)).collect();
    for builtin in BUILTINS {
        // `kill` is both; what the tool says covers both.
        if lines.iter().all(|(name, _)| *name != builtin.name) {
            lines.push((builtin.name, builtin.summary));
        }
    }
    lines.sort();
    let mut text = String::new();
    for (name, summary) in &lines {
        text += &format!("{name:9} {summary}\n");
    }
    let known = |name: &String| tools::ABOUTS.iter().any(|about| about.name == *name);
    let others: Vec<&str> = programs
        .iter()
        .filter(|p| !known(p))
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        text += &format!("Other programs: {}\n", others.join(" "));
    }
    text += "`COMMAND --help` says more. Tab completes, Ctrl-R searches what was entered,\n\
             Ctrl-C ends the program in front, Ctrl-A X leaves QEMU.\n";
    say(shell, &text)
}

fn history<H: Host>(shell: &mut Shell<H>, _: &[String]) -> (Flow, i32) {
    let lines = shell.history.iter().enumerate();
    let text: String = lines
        .map(|(number, line)| format!("{:4}  {line}\n", number + 1))
        .collect();
    say(shell, &text)
}

fn kill<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    for name in &words[1..] {
        if !shell.kill_job(name) {
            return fail(
                shell,
                &format!("kill: {name}: no such job (`jobs` lists them)"),
            );
        }
    }
    (Flow::Next, 0)
}

fn set<H: Host>(shell: &mut Shell<H>, _: &[String]) -> (Flow, i32) {
    let lines = shell.variables.iter();
    let text: String = lines
        .map(|(name, value)| format!("{name}={}\n", quoted(value)))
        .collect();
    say(shell, &text)
}

fn sh<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let name = &words[1];
    let path = absolute(&shell.directory, name);
    let bytes = match shell.host.read_file(&path) {
        Ok(bytes) => bytes,
        Err(error) => return fail(shell, &format!("sh: {name}: {error}")),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return fail(shell, &format!("sh: {name}: is no UTF-8 text"));
    };
    shell.status = 0;
    let flow = shell.run_script(&text, words[1..].to_vec());
    (flow, shell.status)
}

fn unset<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    for name in &words[1..] {
        if shell.variables.remove(name).is_none() && !shell.value(name).is_empty() {
            return fail(shell, &format!("unset: `{name}` is the shell's own"));
        }
    }
    (Flow::Next, 0)
}
