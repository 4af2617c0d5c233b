//! Figures: read from the guest, kept in files, compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cases::{self, By};
use crate::workspace::{root, shown};

/// What a figure may grow by before it is a regression, in per cent.
const TOLERANCE: u64 = 2;
/// The same for what waits for a device: when that answers is up to the host.
const DEVICE_TOLERANCE: u64 = 15;

/// What most figures count.
pub const INSTRUCTIONS: &str = "guest instructions";

/// What the smallest memory is told in.
pub const MEBIBYTES: &str = "MiB";

/// One figure.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// Architecture.
    pub arch: String,
    /// Case.
    pub case: String,
    /// Instructions that the guest executes for one operation, or what `unit` says.
    pub instructions: u64,
    /// What the number counts.
    pub unit: String,
    /// Messages that were received for one operation, and bytes that the kernel copied.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// What was sent and copied, by whomever.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Traffic {
    /// Messages that tasks received.
    pub messages: f64,
    /// Bytes that the kernel copied by leases.
    pub copied: f64,
    /// Frames that went over a network, both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<f64>,
}

/// What the guest says of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The case.
    pub case: String,
    /// How often it was done.
    pub times: u64,
    /// How long that took, and so how many instructions.
    pub nanoseconds: u64,
    /// Messages, copied bytes and frames, where they were counted.
    pub traffic: Option<(u64, u64, Option<u64>)>,
}

/// Reads a line of the guest. `None` for one that is none of these; an error if the
/// case failed.
pub fn parse(line: &str) -> Option<Result<Line, String>> {
    let (case, rest) = line.trim().strip_prefix("[bench] ")?.split_once(' ')?;
    if let Some(reason) = rest.strip_prefix("failed: ") {
        return Some(Err(format!("{case}: {reason}")));
    }
    let numbers: Result<Vec<u64>, _> = rest.split_whitespace().map(str::parse).collect();
    let (times, nanoseconds, traffic) = match numbers.ok()?[..] {
        [times, nanoseconds] => (times, nanoseconds, None),
        [times, nanoseconds, messages, copied] => {
            (times, nanoseconds, Some((messages, copied, None)))
        }
        [times, nanoseconds, messages, copied, frames] => {
            (times, nanoseconds, Some((messages, copied, Some(frames))))
        }
        _ => return None,
    };
    (times > 0).then(|| {
        Ok(Line {
            case: case.into(),
            times,
            nanoseconds,
            traffic,
        })
    })
}

impl Line {
    /// The figure that it stands for.
    pub fn figure(&self, arch: &str) -> Figure {
        Figure {
            arch: arch.into(),
            case: self.case.clone(),
            instructions: (self.nanoseconds + self.times / 2) / self.times,
            unit: INSTRUCTIONS.into(),
            traffic: self.traffic.map(|(messages, copied, frames)| {
                let each = |sum: u64| (sum as f64 / self.times as f64 * 10.0).round() / 10.0;
                Traffic {
                    messages: each(messages),
                    copied: each(copied),
                    frames: frames.map(each),
                }
            }),
        }
    }
}

/// Where the figures for this version of the emulator are kept.
pub fn file(version: &str) -> PathBuf {
    root().join(format!("tests/bench/qemu-{version}.json"))
}

/// Reads figures; none if there is no such file.
pub fn read(path: &Path) -> Result<Vec<Figure>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", shown(path)))
}

/// Writes figures.
pub fn write(path: &Path, figures: &[Figure]) -> Result<()> {
    let mut text = serde_json::to_string_pretty(figures)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", shown(path)))
}

/// Replaces the figures of the cases that were measured.
pub fn merge(kept: &mut Vec<Figure>, measured: &[Figure]) {
    for figure in measured {
        match find(kept, figure) {
            Some(index) => kept[index] = figure.clone(),
            None => kept.push(figure.clone()),
        }
    }
}

/// What has grown by more than is tolerated: one line each.
pub fn regressions(kept: &[Figure], measured: &[Figure]) -> Vec<String> {
    let grown = |figure: &&Figure| {
        find(kept, figure).is_some_and(|index| {
            figure.instructions * 100 > kept[index].instructions * (100 + tolerance(&figure.case))
        })
    };
    let line = |figure: &Figure| {
        let before = find(kept, figure).map_or(0, |index| kept[index].instructions);
        format!(
            "{} {}: {} {}, {before} before",
            figure.arch, figure.case, figure.instructions, figure.unit
        )
    };
    measured.iter().filter(grown).map(line).collect()
}

fn tolerance(case: &str) -> u64 {
    match cases::find(case).map(|case| case.by) {
        Some(By::Disk | By::Files | By::Net | By::Bus) => DEVICE_TOLERANCE,
        _ => TOLERANCE,
    }
}

fn find(kept: &[Figure], figure: &Figure) -> Option<usize> {
    kept.iter()
        .position(|other| other.arch == figure.arch && other.case == figure.case)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(case: &str, instructions: u64) -> Figure {
        let line = format!("[bench] {case} 1 {instructions}");
        parse(&line).unwrap().unwrap().figure("aarch64")
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(parse("[bench] done"), None);
        assert_eq!(parse("hello"), None);
        let rounded = parse("[bench] call_2w 4 1399\r").unwrap();
        assert_eq!(rounded.unwrap().figure("riscv64").instructions, 350);
        let waited = parse("[bench] file_create 4 400 9 8192\r").unwrap();
        let traffic = waited.unwrap().figure("riscv64").traffic.unwrap();
        assert_eq!((traffic.messages, traffic.copied), (2.3, 2048.0));
        let sent = parse("[bench] net_udp_64 4 400 9 256 8").unwrap();
        let traffic = sent.unwrap().figure("riscv64").traffic.unwrap();
        assert_eq!(traffic.frames, Some(2.0));
        let failed = parse("[bench] thread failed: no room").unwrap();
        assert_eq!(failed.unwrap_err(), "thread: no room");
        assert_eq!(parse("[bench] call_2w 0 5"), None);
    }

    #[test]
    fn more_than_the_tolerance_is_a_regression() {
        let kept = [figure("a", 1000), figure("b", 1000)];
        assert!(regressions(&kept, &[figure("a", 1020), figure("c", 9)]).is_empty());
        let said = regressions(&kept, &[figure("a", 1021), figure("b", 900)]);
        assert_eq!(said, ["aarch64 a: 1021 guest instructions, 1000 before"]);
    }

    #[test]
    fn merging_replaces_what_was_measured() {
        let mut kept = vec![figure("a", 1), figure("b", 2)];
        merge(&mut kept, &[figure("b", 3), figure("c", 4)]);
        assert_eq!(kept, [figure("a", 1), figure("b", 3), figure("c", 4)]);
    }
}
