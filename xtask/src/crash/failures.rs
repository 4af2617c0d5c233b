//! Requests of a disk that fail, one in each session.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{System, hold, judge, quoted};
use crate::arch::Arch;
use crate::process::{output, step};

/// Operations of a session.
const OPERATIONS: u64 = 40;

/// A kind of request.
struct Kind {
    name: &'static str,
    /// QEMU's name of the event when one is made.
    event: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "read",
        event: "read_aio",
    },
    Kind {
        name: "write",
        event: "write_aio",
    },
    Kind {
        name: "flush",
        event: "flush_to_disk",
    },
];

/// What a session with a disk that fails needs.
struct Sessions {
    system: System,
    judge: PathBuf,
    image: PathBuf,
    seed: u64,
}

/// Holds the same session about `count` times, and lets another request fail in each:
/// as many of each kind, all of them if that is enough. Says what failed.
pub fn fail(arch: Arch, seed: u64, count: u64) -> Result<String> {
    let system = System::build("crash", arch, 1)?;
    let arguments = ["play", &seed.to_string(), &OPERATIONS.to_string()];
    let image = system.pack("fail", "@session", &arguments)?;
    let sessions = Sessions {
        system,
        judge: judge()?,
        image,
        seed,
    };
    let runs = count.div_ceil(KINDS.len() as u64);
    let totals = sessions.requests()?;
    let mut counts = Vec::new();
    for (kind, total) in KINDS.iter().zip(totals) {
        let runs = runs.min(total);
        let (mut failed, mut told) = (0, 0);
        for number in (0..runs).map(|run| 1 + run * total / runs) {
            let context = || format!("{} {number} of {total} fails", kind.name);
            let console = sessions.hold(Some((kind, number))).with_context(context)?;
            failed += u64::from(sessions.traced(" status 1")? > 0);
            told += u64::from(console.contains(" error: "));
        }
        let name = kind.name;
        let count = format!("{failed} of {total} requests to {name}, {told} told to the session");
        step("Failed", &count);
        counts.push(count);
        // QEMU may make one request of two, so that the last ones are never made.
        ensure!(failed > 0, "no request to {name} failed");
    }
    Ok(format!("failed {}", counts.join("; ")))
}

impl Sessions {
    /// How many requests of each kind a session makes, at most, when none fails.
    fn requests(&self) -> Result<[u64; 3]> {
        self.hold(None)?;
        let reads = self.traced("virtio_blk_handle_read")?;
        let writes = self.traced("virtio_blk_handle_write")?;
        let all = self.traced("virtio_blk_req_complete")?;
        Ok([reads, writes, all.saturating_sub(reads + writes)])
    }

    /// A session in which that request fails; what it said. What a sync said to be
    /// durable is on the disk.
    fn hold(&self, fails: Option<(&Kind, u64)>) -> Result<String> {
        let base = self.system.parted("base.img")?;
        let (disk, rules) = (self.system.file("disk.img"), self.system.file("rules"));
        fs::copy(&base, &disk)?;
        let text = fails.map_or(String::new(), |(kind, number)| config(kind, number));
        fs::write(&rules, text)?;
        let device = format!(
            "driver=raw,node-name=disk0,file.driver=blkdebug,file.config={},\
             file.image.driver=file,file.image.filename={}",
            quoted(&rules),
            quoted(&disk)
        );
        let mut command = self.system.machine(&self.image, &device)?;
        for event in ["virtio_blk_handle_*", "virtio_blk_req_complete"] {
            command.args(["-trace", event]);
        }
        command.arg("-D").arg(self.system.file("trace"));
        let console = hold(command)?;
        let said = self.system.file("console");
        fs::write(&said, &console)?;
        output(
            Command::new(&self.judge)
                .arg("left")
                .args([&base, &disk])
                .arg(self.seed.to_string())
                .arg(&said),
        )?;
        Ok(console)
    }

    /// How many events of the last session have this in them.
    fn traced(&self, what: &str) -> Result<u64> {
        let text = fs::read_to_string(self.system.file("trace")).context("no trace")?;
        Ok(text.lines().filter(|line| line.contains(what)).count() as u64)
    }
}

/// Rules of QEMU's `blkdebug`: each request of the kind is a state further, and the
/// one with that number fails, once.
fn config(kind: &Kind, number: u64) -> String {
    let event = kind.event;
    let mut text = format!(
        "[inject-error]\nevent = \"{event}\"\nstate = \"{number}\"\nerrno = \"5\"\nonce = \"on\"\n"
    );
    for state in 1..=number {
        let next = state + 1;
        // A string takes all that is written to it.
        let _ = write!(
            text,
            "[set-state]\nevent = \"{event}\"\nstate = \"{state}\"\nnew_state = \"{next}\"\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_with_that_number_fails() {
        assert_eq!(
            config(&KINDS[2], 1),
            "[inject-error]\nevent = \"flush_to_disk\"\nstate = \"1\"\nerrno = \"5\"\n\
             once = \"on\"\n[set-state]\nevent = \"flush_to_disk\"\nstate = \"1\"\n\
             new_state = \"2\"\n"
        );
    }
}
