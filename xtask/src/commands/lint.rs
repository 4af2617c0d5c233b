//! `cargo xtask lint`: format, lints, documentation, and the commands that the
//! documents mention.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Parser;

use crate::arch::Arch;
use crate::cli::Cli;
use crate::process::{cargo, run, step};
use crate::setup::targets;
use crate::workspace::{Binary, Programs, root, shown};

/// Runs the command: every check, then an error if any failed.
pub fn lint() -> Result<ExitCode> {
    targets::ensure(&Arch::ALL)?;
    let mut failed = Vec::new();
    let mut check = |name: &str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("error: {error:#}");
            failed.push(name.to_string());
        }
    };
    step("Checking", "format");
    check("format", run(in_root().args(["fmt", "--all", "--check"])));
    step("Checking", "lints for the host");
    let everything = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-Dwarnings",
    ];
    check("lints for the host", run(in_root().args(everything)));
    let programs = Programs::of_workspace()?;
    for arch in Arch::ALL {
        step("Checking", format!("lints for {arch}"));
        let mut kernel = in_root();
        kernel.args([
            "clippy",
            "--quiet",
            "--release",
            "--target",
            arch.kernel_target(),
        ]);
        kernel.args(["--package", "tessera-boot", "--package", "tessera-kernel"]);
        check(
            "lints of the kernel",
            run(kernel.args(["--", "-Dwarnings"])),
        );
        let mut user = in_root();
        user.args([
            "clippy",
            "--quiet",
            "--release",
            "--target",
            arch.user_target(),
        ]);
        for Binary {
            package, target, ..
        } in programs.all()
        {
            user.args(["--package", package, "--bin", target]);
        }
        check(
            "lints of the programs",
            run(user.args(["--", "-Dwarnings"])),
        );
    }
    step("Checking", "documentation");
    let mut doc = in_root();
    doc.args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    check("documentation", run(doc.env("RUSTDOCFLAGS", "-Dwarnings")));
    step("Checking", "commands in the documents");
    check("commands in the documents", commands_in_documents(root()));

    match failed.is_empty() {
        true => {
            step("Finished", "no complaints");
            Ok(ExitCode::SUCCESS)
        }
        false => bail!("failed: {}", failed.join(", ")),
    }
}

fn in_root() -> Command {
    let mut command = cargo();
    command.current_dir(root());
    command
}

/// Every `cargo xtask ...` in a document must be understood.
fn commands_in_documents(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for path in documents(root) {
        let text = std::fs::read_to_string(&path)?;
        for (line, command) in commands(&text) {
            if let Err(why) = understood(&command) {
                wrong.push(format!("{}:{line}: `{command}`: {why}", shown(&path)));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("commands that do not exist\n{}", wrong.join("\n")),
    }
}

/// Markdown files of the project.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(documents(&path));
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The commands in a document, each with its line: in code spans and blocks.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let command = line.trim_start().trim_start_matches("$ ");
            if command.starts_with("cargo xtask") {
                let command = command.split(" #").next().unwrap_or(command);
                found.push((index + 1, command.trim_end().to_string()));
            }
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            let commands = spans.filter(|span| span.starts_with("cargo xtask"));
            found.extend(commands.map(|span| (index + 1, span.to_string())));
        }
    }
    found
}

/// Whether clap takes the command. `NAME`, `A|B` and `[OPTIONAL]` stand for
/// something that the reader fills in.
fn understood(command: &str) -> Result<(), String> {
    let mut words = Vec::new();
    for word in command.split_whitespace().skip(2) {
        if word == "..." || word.starts_with('[') || word.ends_with(']') {
            continue;
        }
        let word = word.split('|').next().unwrap_or(word);
        words.push(match word {
            "A" | "ARCH" => "aarch64",
            "N" | "S" => "1",
            other => other,
        });
    }
    if words.is_empty() {
        return Ok(());
    }
    match Cli::try_parse_from([&["cargo xtask"], words.as_slice()].concat()) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error)
            if words.len() == 1 && error.kind() != clap::error::ErrorKind::InvalidSubcommand =>
        {
            // The bare name of a command that takes more.
            Ok(())
        }
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.trim_start_matches("error: ").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_spans_and_blocks() {
        let text =
            "Use `cargo xtask run` or `ls`.\n```sh\n$ cargo xtask test ipc  # some\nls\n```\n";
        let found = commands(text);
        assert_eq!(
            found,
            [
                (1, "cargo xtask run".into()),
                (3, "cargo xtask test ipc".into())
            ]
        );
    }

    #[test]
    fn existing_commands_are_understood() {
        for good in [
            "cargo xtask",
            "cargo xtask ...",
            "cargo xtask run --arch riscv64 --system tiny -m 8M -- -s -S",
            "cargo xtask test [FILTER] --arch A --smp N",
            "cargo xtask new server|app NAME",
            "cargo xtask new",
            "cargo xtask fuzz syscalls --arch A --count 10000 --seed S",
            "cargo xtask run --help",
        ] {
            assert_eq!(understood(good), Ok(()), "{good}");
        }
        for bad in [
            "cargo xtask jump",
            "cargo xtask run --fast",
            "cargo xtask run --arch mips",
        ] {
            assert!(understood(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_documents_name_existing_commands_only() {
        commands_in_documents(root()).unwrap();
    }
}
