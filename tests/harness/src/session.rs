//! A scripted session at the shell on the serial line, told as a transcript.
//!
//! A file in `tests/sessions` looks like what a person would see:
//!
//! ```text
//! # system: standard
//! $ echo hello
//! hello
//! $ cat /boot/motd
//! Welcome to[..]
//! $ ls /
//! ...
//! ```
//!
//! A line that begins with `$ ` is typed at the prompt, the lines below it are
//! what must come. `[..]` stands for anything in a line, a line `...` for any
//! lines, `# ` begins a remark; the remark `# system:` names the system.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::guest::Guest;
use xtask::machine::Machine;
use xtask::setup::qemu;
use xtask::workspace::root;

use crate::images::Images;
use crate::plan::Job;

/// How long a command may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What the shell says when it listens.
pub(crate) const PROMPT: &str = "$ ";
/// What the console puts before lines of others than the program in front.
pub(crate) const MARK: char = '\u{25b6}';

/// A command and the lines that must follow.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    typed: String,
    expected: Vec<String>,
}

/// Boots the system that the transcript names and holds the session.
pub fn run(job: &Job, path: &Path, images: &Images) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let system = root().join(format!("boot/systems/{}.toml", parse(&text).0));
    hold(job, &system, &text, &stem, images)
}

/// Boots the system in that page and holds the session `text`.
pub fn hold(job: &Job, system: &Path, text: &str, name: &str, images: &Images) -> Result<()> {
    let name = format!("{}-smp{}-session-{name}", job.arch, job.smp);
    let (machine, image) = images.pack(job.arch, job.smp, system, &name, |_| ())?;
    talk(&machine, &image, text)
}

/// Boots a machine and holds the session `text`.
pub fn talk(machine: &Machine, image: &Path, text: &str) -> Result<()> {
    let mut command = machine.qemu(qemu::ensure(machine.arch, false)?, image);
    command.arg("-no-reboot");
    let mut guest = Guest::start(command)?;
    guest
        .wait_for(PROMPT, PATIENCE)
        .context("at the first prompt")?;
    for step in parse(text).1 {
        take(&mut guest, &step).with_context(|| format!("at `{}`", step.typed))?;
    }
    Ok(())
}

fn take(guest: &mut Guest, step: &Step) -> Result<()> {
    guest.send(&format!("{}\r", step.typed))?;
    // The answer begins below the line that was typed; what the system says
    // meanwhile may come before.
    while !plain(&guest.wait_for("\n", PATIENCE)?).contains(&step.typed) {}
    if step.typed.contains("poweroff") {
        let status = guest.end()?;
        ensure!(
            status.is_some_and(|status| status.success()),
            "the machine does not end well"
        );
        return Ok(());
    }
    let said = plain(&guest.wait_for(PROMPT, PATIENCE)?);
    let mut lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    // What stands before the prompt in its own line is part of the prompt.
    if !said.ends_with('\n') {
        lines.pop();
    }
    lines.retain(|line| !line.starts_with(MARK));
    ensure!(
        lines_match(&step.expected, &lines),
        "expected\n{}\nbut the console says\n{}",
        step.expected.join("\n"),
        lines.join("\n")
    );
    Ok(())
}

fn parse(text: &str) -> (String, Vec<Step>) {
    let (mut system, mut steps) = ("standard".to_string(), Vec::<Step>::new());
    for line in text.lines() {
        if let Some(remark) = line.strip_prefix("# ") {
            if let Some(name) = remark.strip_prefix("system: ") {
                system = name.trim().into();
            }
        } else if let Some(typed) = line.strip_prefix("$ ") {
            steps.push(Step {
                typed: typed.into(),
                expected: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut() {
            step.expected.push(line.trim_end().into());
        }
    }
    (system, steps)
}

/// Text without what moves the cursor or changes colours.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}

pub(crate) fn lines_match(expected: &[String], said: &[&str]) -> bool {
    match (expected.split_first(), said.split_first()) {
        (None, None) => true,
        (None, Some((line, rest))) => line.is_empty() && lines_match(expected, rest),
        (Some((first, others)), _) if first == "..." => {
            (0..=said.len()).any(|skipped| lines_match(others, &said[skipped..]))
        }
        (Some((first, others)), Some((line, rest))) => {
            line_matches(first, line) && lines_match(others, rest)
        }
        (Some(_), None) => false,
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_read() {
        let (system, steps) = parse("# system: tiny\n# hello\n$ echo a\na\n$ true\n");
        assert_eq!(system, "tiny");
        let step = |typed: &str, expected: &[&str]| Step {
            typed: typed.into(),
            expected: expected.iter().map(|line| (*line).into()).collect(),
        };
        assert_eq!(steps, [step("echo a", &["a"]), step("true", &[])]);
    }

    #[test]
    fn patterns() {
        for (pattern, line) in [
            ("a", "a"),
            ("a[..]", "abc"),
            ("[..]c", "abc"),
            ("a[..]c[..]e", "abcde"),
            ("[..]", ""),
        ] {
            assert!(line_matches(pattern, line), "{pattern} {line}");
        }
        for (pattern, line) in [("a", "ab"), ("a[..]c", "ab"), ("a[..]x[..]e", "abcde")] {
            assert!(!line_matches(pattern, line), "{pattern} {line}");
        }
    }

    #[test]
    fn lines() {
        let expected = |lines: &[&str]| lines.iter().map(|l| (*l).to_string()).collect::<Vec<_>>();
        assert!(lines_match(
            &expected(&["a", "...", "z"]),
            &["a", "b", "c", "z"]
        ));
        assert!(lines_match(&expected(&["a"]), &["a", ""]));
        assert!(lines_match(&expected(&["..."]), &[]));
        assert!(!lines_match(&expected(&["a", "b"]), &["a"]));
        assert!(!lines_match(&expected(&["a"]), &["a", "b"]));
    }

    #[test]
    fn escapes_go() {
        assert_eq!(plain("\x1b[1;32mok\x1b[0m\r\n"), "ok\n");
    }
}
