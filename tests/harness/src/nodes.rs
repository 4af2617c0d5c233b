//! A session at several machines on one segment, told as a transcript.
//!
//! A file in `tests/sessions` that ends in `.nodes`:
//!
//! ```text
//! # nodes: aarch64, riscv64
//! # loss: 5%
//! 2& nc -l 9 > /tmp/file
//! 1$ nc {2} 9 < /boot/motd
//! 2=
//! 1$ cksum /boot/motd
//! <sum> /boot/motd
//! 2$ cksum /tmp/file
//! <sum> /tmp/file
//! ```
//!
//! A line `N$ ` is typed at machine N, and what follows must come before its next prompt;
//! after `N& ` nobody waits for that, and `N=` does so later. `N< ` waits until the console
//! has said what follows. `^C` is Ctrl-C, and `^]` leads to the console's own prompt, where
//! what stands behind it is the answer. `! boot 2` starts machine 2 again on its disk, after
//! it has powered off. `{N}` is the link-local
//! address of machine N. `<name>` is any text the first time, and that text from then on.
//! `# system:` names the page, and `# loss:`, `# duplicate:`, `# reorder:`, `# alter:` and
//! `# delay:` what the segment does to frames; a line `! loss 5%` does so from there on.
//! `! sensor 2 21.5` sets what the thermometer of machine 2 measures. `! replay` says all
//! frames again that were heard since a machine was started last, and `! replay altered`
//! those that carry something, with a bit of it changed. What
//! `# secret:` names must not be in any frame that a machine sees, what `# seen:` names
//! must be in one. With `# unlinkable: yes` nothing tells a machine from the others in two
//! of its boots: see [`stable`]. `# names: 10.0.0.53 fe80::53` is a name
//! server with these addresses, and `! name host.test {1}` gives it an address of a name.
//! The rest is as in [`session`](mod@crate::session).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tessera_page::Virtio;
use xtask::arch::Arch;
use xtask::commands::nodes::parse as arches;
use xtask::commands::sensor;
use xtask::guest::Guest;
use xtask::hub::{Hub, Trouble};
use xtask::machine::{Device, Machine, Nic};
use xtask::setup::qemu;
use xtask::workspace::root;

use crate::images::Images;
use crate::names::NameServer;
use crate::session::{MARK, PATIENCE, PROMPT, lines_match, plain};
use crate::stable::{self, Said};

/// Stands for Ctrl-C.
const INTERRUPT: &str = "^C";
/// Stands for Ctrl-].
const ESCAPE: &str = "^]";

/// What happens in a line of the transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// Something is typed at a machine, and waited for.
    Type(usize, String),
    /// Something is typed and not waited for.
    Begin(usize, String),
    /// What was begun is waited for.
    Wait(usize),
    /// It is waited until the console has said this.
    Hear(usize, String),
    /// The segment does something else to frames.
    Trouble(String),
}

/// An action, and the lines that must come of it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    action: Action,
    expected: Vec<String>,
}

/// A transcript.
#[derive(Debug)]
struct Transcript {
    system: String,
    arches: Vec<Arch>,
    trouble: Trouble,
    steps: Vec<Step>,
    /// What frames must show nowhere, and what they must show.
    secrets: Vec<String>,
    seen: Vec<String>,
    /// What each machine sends in one boot is not to be known in another.
    unlinkable: bool,
    /// Addresses of a name server on the segment.
    names: Vec<IpAddr>,
}

/// Boots the machines and holds the session. Frames are captured beside the images.
pub fn run(path: &Path, images: &Images) -> Result<()> {
    let transcript = parse(&std::fs::read_to_string(path)?)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let page = root().join(format!("boot/systems/{}.toml", transcript.system));
    let count = transcript.arches.len();
    let has_names = !transcript.names.is_empty();
    let hub = Hub::new(count + usize::from(has_names), transcript.trouble.clone())?;
    let names = has_names.then(|| NameServer::start(&hub.network(count), &transcript.names));
    let (mut machines, mut captures) = (Vec::new(), Vec::new());
    for (index, arch) in transcript.arches.iter().enumerate() {
        let name = format!("{arch}-nodes-{stem}-{}", index + 1);
        let mut measures = false;
        let (mut machine, image) = images.pack(*arch, 1, &page, &name, |page| {
            measures = page.names(Virtio::Console);
        })?;
        for device in &mut machine.devices {
            if let Device::Net(nic) = device {
                *nic = Nic {
                    network: hub.network(index),
                    mac: Some(Hub::mac(index)),
                    capture: Some(image.with_extension("pcap")),
                };
            }
        }
        if measures {
            let socket = hub.sensor(index);
            machine.devices.push(Device::Console { socket });
        }
        captures.push(image.with_extension("pcap"));
        machines.push((machine, image));
    }
    let guests = machines.iter().map(start).collect::<Result<_>>()?;
    let mut session = Session {
        hub,
        names: names.transpose()?,
        said: vec![vec![Said::new()]; count],
        machines,
        guests,
        captures,
        known: BTreeMap::new(),
    };
    session.begin()?;
    for step in &transcript.steps {
        if let Err(error) = session.take(step) {
            return Err(error.context(format!("at {:?}", step.action))).context(session.consoles());
        }
    }
    // QEMU has written all of it when it has ended.
    session.guests.clear();
    session.listen();
    look(&transcript, &session.captures)?;
    match transcript.unlinkable {
        true => stable::look(&session.said),
        false => Ok(()),
    }
}

/// Starts a machine.
fn start((machine, image): &(Machine, PathBuf)) -> Result<Guest> {
    let mut command = machine.qemu(qemu::ensure(machine.arch, false)?, image);
    command.arg("-no-reboot");
    Guest::start(command)
}

/// Looks for what must have been on the segment, and for what must not.
fn look(transcript: &Transcript, captures: &[PathBuf]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for capture in captures {
        let bytes = std::fs::read(capture)?;
        let holds = |text: &&String| {
            bytes
                .windows(text.len())
                .any(|piece| piece == text.as_bytes())
        };
        if let Some(secret) = transcript.secrets.iter().find(holds) {
            bail!("`{secret}` was on the segment: {}", capture.display());
        }
        seen.extend(transcript.seen.iter().filter(holds));
    }
    let missing = transcript.seen.iter().find(|text| !seen.contains(text));
    match missing {
        Some(text) => bail!("`{text}` was never on the segment, so nothing was looked for"),
        None => Ok(()),
    }
}

/// Machines while they run.
struct Session {
    hub: Hub,
    names: Option<NameServer>,
    /// What each machine has sent in each boot.
    said: Vec<Vec<Said>>,
    machines: Vec<(Machine, PathBuf)>,
    guests: Vec<Guest>,
    /// Where the frames that they see are written.
    captures: Vec<PathBuf>,
    /// What names in brackets stand for, brackets included.
    known: BTreeMap<String, String>,
}

impl Session {
    /// Waits for the prompts, and asks each machine for its address.
    fn begin(&mut self) -> Result<()> {
        (0..self.guests.len()).try_for_each(|index| self.meet(index))
    }

    fn meet(&mut self, index: usize) -> Result<()> {
        let number = index + 1;
        self.guests[index]
            .wait_for(PROMPT, PATIENCE)
            .with_context(|| format!("at the first prompt of machine {number}"))?;
        self.type_at(index, "ifconfig")?;
        let said = self.answer(index)?;
        let address = said.iter().find_map(|line| {
            let address = line.trim().strip_prefix("address ")?;
            address
                .starts_with("fe80:")
                .then_some(address.split('/').next()?)
        });
        let address = address.ok_or_else(|| anyhow!("machine {number} has no address"))?;
        self.known.insert(format!("{{{number}}}"), address.into());
        Ok(())
    }

    /// Starts a machine again on its disk. Its frames go to a file of their own.
    fn boot(&mut self, index: usize) -> Result<()> {
        self.listen();
        self.said[index].push(Said::new());
        let (machine, image) = &mut self.machines[index];
        let capture = image.with_extension(format!("{}.pcap", self.captures.len()));
        for device in &mut machine.devices {
            if let Device::Net(nic) = device {
                nic.capture = Some(capture.clone());
            }
        }
        self.captures.push(capture);
        self.guests[index] = start(&self.machines[index])?;
        self.meet(index)
    }

    /// Takes down what was said.
    fn listen(&mut self) {
        for heard in self.hub.take_heard() {
            let said = self
                .said
                .get_mut(heard.from)
                .and_then(|boots| boots.last_mut());
            // The name server is no machine.
            said.into_iter()
                .for_each(|said| said.push(heard.bytes.clone()));
        }
    }

    /// What the machines have said last.
    fn consoles(&self) -> String {
        let guests = self.guests.iter().zip(1..);
        let tails = guests.map(|(guest, number)| format!("machine {number}:\n{}\n", guest.tail()));
        tails.collect()
    }

    /// The machine with this number.
    fn index(&self, number: &str) -> Result<usize> {
        let index = number.parse::<usize>()?.checked_sub(1);
        let index = index.filter(|index| *index < self.guests.len());
        index.with_context(|| format!("there is no machine {number}"))
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Trouble(text) => {
                let text = self.filled(text);
                let words: Vec<&str> = text.split_whitespace().collect();
                if let ["sensor", number, celsius] = words[..] {
                    let socket = self.hub.sensor(self.index(number)?);
                    return sensor::set(&socket, celsius.parse()?);
                }
                if let ["boot", number] = words[..] {
                    return self.boot(self.index(number)?);
                }
                if let ["replay"] | ["replay", "altered"] = words[..] {
                    ensure!(self.hub.replay(words.len() == 2)? > 0, "nothing was heard");
                    return Ok(());
                }
                if let ["name", name, address] = words[..] {
                    let names = self.names.as_ref().context("`# names:` is missing")?;
                    names.give(name, address.parse()?);
                    return Ok(());
                }
                let mut trouble = self.hub.trouble();
                trouble.change(&words).map_err(anyhow::Error::msg)?;
                self.hub.set_trouble(trouble);
                Ok(())
            }
            Action::Begin(index, typed) => self.type_at(*index, &self.filled(typed)),
            Action::Type(index, typed) => {
                self.type_at(*index, &self.filled(typed))?;
                if typed.contains("poweroff") {
                    let status = self.guests[*index].end()?;
                    let well = status.is_some_and(|status| status.success());
                    ensure!(well, "machine {} does not end well", index + 1);
                    return Ok(());
                }
                self.check(*index, &step.expected)
            }
            Action::Wait(index) => self.check(*index, &step.expected),
            Action::Hear(index, text) => {
                let text = self.filled(text);
                self.guests[*index].wait_for(&text, PATIENCE).map(|_| ())
            }
        }
    }

    /// Text with all that is known in it.
    fn filled(&self, text: &str) -> String {
        let known = self.known.iter();
        known.fold(text.into(), |text, (name, value)| text.replace(name, value))
    }

    fn type_at(&mut self, index: usize, typed: &str) -> Result<()> {
        let guest = &mut self.guests[index];
        if typed == INTERRUPT {
            return guest.send("\x03");
        }
        if let Some(answer) = typed.strip_prefix(ESCAPE) {
            return guest.send(&format!("\x1d{answer}"));
        }
        guest.send(&format!("{typed}\r"))?;
        // The answer begins below the line that was typed.
        while !plain(&guest.wait_for("\n", PATIENCE)?).contains(typed) {}
        Ok(())
    }

    /// The lines that a machine says before its next prompt.
    fn answer(&mut self, index: usize) -> Result<Vec<String>> {
        let said = plain(&self.guests[index].wait_for(PROMPT, PATIENCE)?);
        let mut lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        // What stands before the prompt in its own line is part of the prompt.
        if !said.ends_with('\n') {
            lines.pop();
        }
        lines.retain(|line| !line.starts_with(MARK));
        Ok(lines.into_iter().map(String::from).collect())
    }

    fn check(&mut self, index: usize, expected: &[String]) -> Result<()> {
        let said = self.answer(index)?;
        let expected: Vec<String> = expected.iter().map(|line| self.filled(line)).collect();
        let patterns: Vec<String> = expected.iter().map(|line| any(line)).collect();
        let lines: Vec<&str> = said.iter().map(String::as_str).collect();
        ensure!(
            lines_match(&patterns, &lines),
            "expected\n{}\nbut machine {} says\n{}",
            expected.join("\n"),
            index + 1,
            lines.join("\n")
        );
        for pattern in &expected {
            if let Some((name, value)) = lines.iter().find_map(|line| named(pattern, line)) {
                self.known.insert(name, value);
            }
        }
        Ok(())
    }
}

/// Where a name in a pattern begins and ends, brackets included.
fn name(pattern: &str) -> Option<(usize, usize)> {
    let begin = pattern.find('<')?;
    let end = begin + pattern[begin..].find('>')? + 1;
    let inside = &pattern[begin + 1..end - 1];
    let is_name = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_lowercase());
    is_name.then_some((begin, end))
}

/// A pattern in which a name stands for any text.
fn any(pattern: &str) -> String {
    match name(pattern) {
        Some((begin, end)) => format!("{}[..]{}", &pattern[..begin], &pattern[end..]),
        None => pattern.into(),
    }
}

/// What a name stands for in a line that fits.
fn named(pattern: &str, line: &str) -> Option<(String, String)> {
    let (begin, end) = name(pattern)?;
    let rest = line.strip_prefix(&pattern[..begin])?;
    let value = rest.strip_suffix(&pattern[end..])?;
    Some((pattern[begin..end].into(), value.into()))
}

fn parse(text: &str) -> Result<Transcript> {
    let mut transcript = Transcript {
        system: "standard".into(),
        arches: Vec::new(),
        trouble: Trouble {
            seed: 1,
            ..Trouble::default()
        },
        steps: Vec::new(),
        secrets: Vec::new(),
        seen: Vec::new(),
        unlinkable: false,
        names: Vec::new(),
    };
    for line in text.lines() {
        if let Some(remark) = line.strip_prefix("# ") {
            let (key, value) = remark.split_once(": ").unwrap_or_default();
            match key {
                "nodes" => transcript.arches = arches(value).map_err(anyhow::Error::msg)?,
                "secret" => transcript.secrets.push(value.trim().into()),
                "seen" => transcript.seen.push(value.trim().into()),
                "unlinkable" => transcript.unlinkable = value.trim() == "yes",
                "names" => {
                    let addresses = value.split_whitespace().map(str::parse);
                    transcript.names = addresses.collect::<Result<_, _>>()?;
                }
                "system" => transcript.system = value.trim().into(),
                "loss" | "duplicate" | "reorder" | "alter" | "delay" => transcript
                    .trouble
                    .change(&[key, value])
                    .map_err(anyhow::Error::msg)?,
                _ => {}
            }
            continue;
        }
        let action = action(line, transcript.arches.len());
        match (action, transcript.steps.last_mut()) {
            (Some(action), _) => transcript.steps.push(Step {
                action,
                expected: Vec::new(),
            }),
            (None, Some(step)) => step.expected.push(line.trim_end().into()),
            (None, None) => bail!("`{line}` comes of nothing"),
        }
    }
    ensure!(!transcript.arches.is_empty(), "`# nodes:` is missing");
    Ok(transcript)
}

/// What a line does, if it is none that must come.
fn action(line: &str, machines: usize) -> Option<Action> {
    if let Some(trouble) = line.strip_prefix("! ") {
        return Some(Action::Trouble(trouble.into()));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let index = line[..digits].parse::<usize>().ok()?.checked_sub(1)?;
    let rest = &line[digits..];
    if index >= machines {
        return None;
    }
    if rest == "=" {
        return Some(Action::Wait(index));
    }
    let (how, text) = rest.split_at_checked(2)?;
    match how {
        "$ " => Some(Action::Type(index, text.into())),
        "& " => Some(Action::Begin(index, text.into())),
        "< " => Some(Action::Hear(index, text.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_read() {
        let text = "# nodes: aarch64,riscv64\n# loss: 5%\n2& nc -l 9\n1$ nc {2} 9\nhello\n\
                    3$ what\n! heal\n2=\n12 bytes\n1< may it?\n1& ^]y\n";
        let transcript = parse(text).unwrap();
        assert_eq!(transcript.arches.len(), 2);
        assert!(transcript.trouble.to_string().starts_with("loss 5%"));
        let step = |action, expected: &[&str]| Step {
            action,
            expected: expected.iter().map(|line| (*line).into()).collect(),
        };
        let steps = [
            step(Action::Begin(1, "nc -l 9".into()), &[]),
            step(Action::Type(0, "nc {2} 9".into()), &["hello", "3$ what"]),
            step(Action::Trouble("heal".into()), &[]),
            step(Action::Wait(1), &["12 bytes"]),
            step(Action::Hear(0, "may it?".into()), &[]),
            step(Action::Begin(0, "^]y".into()), &[]),
        ];
        assert_eq!(transcript.steps, steps);
        assert!(parse("1$ x\n").is_err());
    }

    #[test]
    fn names_are_any_text_once() {
        assert_eq!(any("<sum> 88 /a"), "[..] 88 /a");
        assert_eq!(any("a < b > c"), "a < b > c");
        let named = named("<sum> 88 /a", "123 88 /a");
        assert_eq!(named, Some(("<sum>".into(), "123".into())));
        assert_eq!(super::named("<sum> 88 /a", "123 89 /a"), None);
    }
}
