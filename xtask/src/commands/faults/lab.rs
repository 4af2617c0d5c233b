//! Faults in the soft bus's protocol, which the laboratory notices.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::Verdict;
use super::list::Fault;
use crate::process::{cargo, run};

/// The list of faults.
pub(super) const LIST: &str = "tests/bus-lab/faults.toml";

/// Where a fault is to be noticed.
#[derive(Debug, Deserialize)]
pub(super) struct Simulations {
    /// Options of the simulations.
    options: String,
    /// The invariant that it breaks.
    check: String,
}

/// What the laboratory says of the fault.
pub(super) fn caught(tree: &Path, fault: &Fault<Simulations>) -> Result<Verdict> {
    let lab = |verb: &str| {
        let mut command = cargo();
        command.current_dir(tree).env_remove("CARGO_TARGET_DIR");
        command.args([verb, "--quiet", "--profile", "lab"]);
        command.args(["--package", "tessera-bus-lab", "--bin=bus-lab"]);
        command
    };
    if let Err(error) = run(&mut lab("build")) {
        return Ok(Verdict::None(format!("it does not build: {error}")));
    }
    let mut lab = lab("run");
    let options = fault.notices.options.split(' ');
    let output = lab.arg("--").args(options).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = read(output.status.code(), &said, &fault.notices.check);
    Ok(verdict.unwrap_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let why = format!("no report ({}): {}", output.status, last_words(&errors));
        Verdict::None(why)
    }))
}

/// What the laboratory's report says of a fault that is to break `check`. None if that is no
/// report: only these two codes are of a laboratory that came to its end, and a fault at which
/// it panics breaks the laboratory, not an invariant of it.
fn read(code: Option<i32>, report: &str, check: &str) -> Option<Verdict> {
    if !matches!(code, Some(0 | 1)) {
        return None;
    }
    let mut broken = Vec::new();
    let mut is_known = false;
    for line in report.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, name, "BROKEN"] => broken.push(name),
            [_, name] => is_known |= name == check,
            _ => {}
        }
    }
    match broken.contains(&check) {
        true => Some(Verdict::Caught(broken.join(", "))),
        false => is_known.then_some(Verdict::Survived),
    }
}

/// Where and why a program panicked, or else its last line.
fn last_words(errors: &str) -> String {
    let lines: Vec<_> = errors.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    match panic {
        Some(place) => lines[place..].iter().take(2).copied().collect::<Vec<_>>(),
        None => lines.last().copied().into_iter().collect(),
    }
    .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "\
2 simulations of 10 devices and 10 minutes: 4711 events, digest 00000000deadbeef

           occasions  invariant
                   9  Outcome
                  12  Revoked

neighbours listed: 90 of 90 within 1 s (median 3 ms, 99 % 4 ms, all 5 ms), 0 not in 5 s
";

    const BROKEN: &str = "\
                   9  Outcome
                  12  Revoked  BROKEN
                  12  Lives  BROKEN
broken Revoked: one was called
";

    #[test]
    fn a_report_names_what_is_broken() {
        let caught = Verdict::Caught("Revoked, Lives".into());
        assert_eq!(read(Some(1), BROKEN, "Revoked"), Some(caught));
        assert_eq!(read(Some(1), BROKEN, "Outcome"), Some(Verdict::Survived));
        assert_eq!(read(Some(0), SOUND, "Revoked"), Some(Verdict::Survived));
        // Something else was not good.
        assert_eq!(read(Some(1), SOUND, "Revoked"), Some(Verdict::Survived));
    }

    #[test]
    fn a_laboratory_that_breaks_down_says_nothing() {
        assert_eq!(read(Some(101), "", "Revoked"), None);
        assert_eq!(read(Some(101), BROKEN, "Revoked"), None);
        assert_eq!(read(None, SOUND, "Revoked"), None);
        assert_eq!(read(Some(1), "", "Revoked"), None);
        assert_eq!(read(Some(0), SOUND, "NoSuchCheck"), None);
    }

    #[test]
    fn a_panic_is_shown_with_its_place() {
        let errors = "\
1 of 2 simulations, 9 events, 0 broken

thread 'main' (7) panicked at window.rs:9:5:
attempt to subtract with overflow
note: run with `RUST_BACKTRACE=1`
";
        assert_eq!(
            last_words(errors),
            "thread 'main' (7) panicked at window.rs:9:5: attempt to subtract with overflow"
        );
        assert_eq!(last_words("one\ntwo\n"), "two");
        assert_eq!(last_words(""), "");
    }
}
