//! Running other programs and telling what goes on.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, stderr};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Says what is being done, in the form in which cargo says it.
pub fn step(verb: &str, what: impl std::fmt::Display) {
    if stderr().is_terminal() {
        eprintln!("\x1b[1;32m{verb:>12}\x1b[0m {what}");
    } else {
        eprintln!("{verb:>12} {what}");
    }
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let quoted = |part: &OsStr| {
        let part = part.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
        match !part.is_empty() && part.chars().all(plain) {
            true => part.into_owned(),
            false => format!("'{}'", part.replace('\'', r"'\''")),
        }
    };
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let parts: Vec<_> = std::iter::once(program)
        .chain(command.get_args())
        .map(quoted)
        .collect();
    parts.join(" ")
}

/// Runs the command with our input and output; an error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs the command with our input and output and returns the last line that it prints;
/// an error if it fails.
pub fn last_line(command: &mut Command) -> Result<String> {
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot run `{}`", shown(command)))?;
    let mut last = String::new();
    if let Some(lines) = child
        .stdout
        .take()
        .map(|output| BufReader::new(output).lines())
    {
        for line in lines {
            last = line?;
            println!("{last}");
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(last)
}

/// Runs the command and returns what it prints; an error, with what it says, if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({})\n{}",
            shown(command),
            output.status,
            said.trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` prints something that is no text", shown(command)))
}

/// Where the program of that name is, if it is in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/bin/qemu");
        command.args(["-m", "8M", "a b", "it's", ""]);
        assert_eq!(shown(&command), r"qemu -m 8M 'a b' 'it'\''s' ''");
    }

    #[test]
    fn a_failing_command_is_an_error_that_says_what_it_said() {
        let error = output(Command::new("cargo").arg("--no-such-option")).unwrap_err();
        assert!(error.to_string().contains("--no-such-option"), "{error}");
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find("cargo").is_some());
        assert!(find("no-such-program").is_none());
    }
}
