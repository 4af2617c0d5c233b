//! A running guest: its console by lines, its end, and a watchdog.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a machine may take to end once it has closed its console.
const ENDING: Duration = Duration::from_secs(10);

/// A guest under QEMU; killed when dropped.
pub struct Guest {
    process: Child,
    input: ChildStdin,
    pieces: Receiver<Piece>,
    /// Everything that the console has said.
    console: Vec<u8>,
    /// What QEMU itself has said in the middle of a line of the console.
    errors: Vec<u8>,
    /// How much of it has been handed out.
    read: usize,
}

/// Where to type on a machine's console.
pub struct Input {
    process: Child,
    input: ChildStdin,
}

impl Input {
    /// Types.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes())?;
        self.input.flush().context("the machine takes no input")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes of the console, or of QEMU itself.
enum Piece {
    Console(Vec<u8>),
    Error(Vec<u8>),
}

/// What came from the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole line, without its end.
    Line(String),
    /// Nothing new within the time given.
    Silence,
    /// The machine has ended.
    End,
}

impl Guest {
    /// Starts QEMU with its console at our hands.
    pub fn start(mut qemu: Command) -> Result<Self> {
        let mut process = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", crate::process::shown(&qemu)))?;
        let input = process.stdin.take().context("QEMU has no input")?;
        let output = process.stdout.take().context("QEMU has no output")?;
        let errors = process.stderr.take().context("QEMU has no errors")?;
        let (sender, pieces) = channel();
        forward(output, sender.clone(), Piece::Console);
        forward(errors, sender, Piece::Error);
        Ok(Self {
            process,
            input,
            pieces,
            console: Vec::new(),
            errors: Vec::new(),
            read: 0,
        })
    }

    /// The same by parts: what the console says, as it comes, and where to type. The
    /// machine is killed when the latter is dropped.
    pub fn start_shared(qemu: Command) -> Result<(impl Iterator<Item = Vec<u8>>, Input)> {
        let mut qemu = qemu;
        let mut process = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", crate::process::shown(&qemu)))?;
        let input = process.stdin.take().context("QEMU has no input")?;
        let mut output = process.stdout.take().context("QEMU has no output")?;
        let said = std::iter::from_fn(move || {
            let mut bytes = vec![0; 4096];
            let count = output.read(&mut bytes).ok().filter(|&count| count > 0)?;
            bytes.truncate(count);
            Some(bytes)
        });
        Ok((said, Input { process, input }))
    }

    /// The next line of the console.
    pub fn line(&mut self, patience: Duration) -> Event {
        let deadline = Instant::now() + patience;
        loop {
            let fresh = &self.console[self.read..];
            if let Some(length) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&fresh[..length])
                    .trim_end()
                    .to_string();
                self.read += length + 1;
                return Event::Line(line);
            }
            match self.more(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return Event::Silence,
                Err(RecvTimeoutError::Disconnected) if fresh_left(&self.console, self.read) => {
                    // The last line has no end.
                    self.console.push(b'\n');
                }
                Err(RecvTimeoutError::Disconnected) => return Event::End,
            }
        }
    }

    /// Waits until the console says `text` and returns what it said before.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let fresh = &self.console[self.read..];
            let found = fresh
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(length) = found {
                let before = String::from_utf8_lossy(&fresh[..length]).into_owned();
                self.read += length + text.len();
                return Ok(before);
            }
            match self.more(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => bail!(
                    "the console does not say {text:?} within {} s; it says\n{}",
                    patience.as_secs(),
                    self.tail()
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the machine ended before it said {text:?}; it said\n{}",
                        self.tail()
                    )
                }
            }
        }
    }

    /// Types on the console.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes())?;
        self.input.flush().context("the machine takes no input")
    }

    /// Everything that the console has said so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console).replace('\r', "")
    }

    /// The last lines of it.
    pub fn tail(&self) -> String {
        let console = self.console();
        let lines: Vec<_> = console.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Waits for the machine's end. A machine that hangs is killed; that is no status.
    pub fn end(&mut self) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + ENDING;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                while self.more(deadline).is_ok() {}
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(None)
    }

    /// Asks a machine that hangs what it is doing: its supervisor who waits for
    /// whom (Ctrl-T, if it still listens) and QEMU what each core executes.
    pub fn ask_why(&mut self) -> String {
        let before = self.console.len();
        for question in ["\x14", "\x01cinfo registers -a\n"] {
            if self.send(question).is_err() {
                break;
            }
            let deadline = Instant::now() + Duration::from_secs(2);
            while self.more(deadline).is_ok() {}
        }
        String::from_utf8_lossy(&self.console[before..]).replace('\r', "")
    }

    fn more(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.pieces.recv_timeout(left) {
            Ok(Piece::Console(bytes)) => {
                let line = bytes.iter().position(|byte| *byte == b'\n');
                let (end, rest) = bytes.split_at(line.map_or(0, |at| at + 1));
                self.console.extend(end);
                self.add_errors();
                self.console.extend(rest);
            }
            Ok(Piece::Error(bytes)) => {
                self.errors.extend(bytes);
                self.add_errors();
            }
            // The last lines of either may have no end.
            Err(RecvTimeoutError::Disconnected) if !self.errors.is_empty() => {
                for text in [&mut self.console, &mut self.errors] {
                    if text.last().is_some_and(|byte| *byte != b'\n') {
                        text.push(b'\n');
                    }
                }
                self.add_errors();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Puts what QEMU has said between two lines of the console, so that either's
    /// lines stay whole: each comes in pieces.
    fn add_errors(&mut self) {
        let last = self.errors.iter().rposition(|byte| *byte == b'\n');
        if let Some(last) = last
            && self.console.last().is_none_or(|byte| *byte == b'\n')
        {
            self.console.extend(self.errors.drain(..=last));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn fresh_left(console: &[u8], read: usize) -> bool {
    read < console.len()
}

/// Hands over what can be read, until the end.
fn forward(
    from: impl Read + Send + 'static,
    to: std::sync::mpsc::Sender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        while let Ok(bytes) = from.fill_buf() {
            let length = bytes.len();
            if length == 0 || to.send(piece(bytes.to_vec())).is_err() {
                return;
            }
            from.consume(length);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Guest {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Guest::start(command).unwrap()
    }

    #[test]
    fn lines_and_the_end() {
        let mut guest = shell("printf 'one\\r\\ntwo'; exit 3");
        assert_eq!(guest.line(PATIENCE), Event::Line("one".into()));
        assert_eq!(guest.line(PATIENCE), Event::Line("two".into()));
        assert_eq!(guest.line(PATIENCE), Event::End);
        assert_eq!(guest.end().unwrap().unwrap().code(), Some(3));
    }

    #[test]
    fn what_the_emulator_says_breaks_no_line() {
        let mut guest = shell(
            "printf one; sleep 0.3; echo warning >&2; sleep 0.3
             echo; printf two; sleep 0.3; printf 'no ' >&2; sleep 0.3; echo end >&2",
        );
        for line in ["one", "warning", "two", "no end"] {
            assert_eq!(guest.line(PATIENCE), Event::Line(line.into()));
        }
        assert_eq!(guest.line(PATIENCE), Event::End);
    }

    #[test]
    fn a_dialogue() {
        let mut guest = shell("printf '$ '; read line; echo got $line; printf '$ '");
        assert_eq!(guest.wait_for("$ ", PATIENCE).unwrap(), "");
        guest.send("x\n").unwrap();
        assert_eq!(guest.wait_for("$ ", PATIENCE).unwrap(), "got x\n");
        let error = guest.wait_for("$ ", PATIENCE).unwrap_err().to_string();
        assert!(error.starts_with("the machine ended before"), "{error}");
    }

    #[test]
    fn silence_is_told_and_the_guest_killed() {
        let mut guest = shell("echo up; exec sleep 1000");
        assert_eq!(guest.line(PATIENCE), Event::Line("up".into()));
        assert_eq!(guest.line(Duration::from_millis(20)), Event::Silence);
        let error = guest
            .wait_for("down", Duration::from_millis(20))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("it says\nup"), "{error}");
    }
}
