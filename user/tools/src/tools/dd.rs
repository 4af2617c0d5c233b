//! `dd`: copies between disks, files and streams.

use alloc::format;
use alloc::vec;

use libipc::interfaces::block::SECTOR;
use libipc::note::{IN, Operand as Where, Rule, TO, Use};

use crate::about::About;
use crate::arguments::{Arguments, Operand};
use crate::disk::Disk;
use crate::error::{Error, IoError};
use crate::format::bytes;
use crate::io::{File, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[
        Rule(Where::Input, Use::READ.union(Use::DISK)),
        Rule(Where::Output, Use::WRITE.union(Use::CREATE).union(Use::DISK)),
    ],
    words: &[
        ("if=PATH", "read this file or disk, such as @disk/2, not standard input"),
        ("of=PATH", "write this file or disk, not standard output"),
        ("bs=SIZE", "count in blocks of so many bytes, or 4K, 1M; 512 without it"),
        ("count=N", "copy so many blocks, not all"),
        ("skip=N", "begin after so many blocks of what is read"),
        ("seek=N", "begin after so many blocks of what is written"),
        ("status=progress", "say how far it is"),
    ],
    ..About::new(
        "dd",
        "dd [KEY=VALUE]...",
        "copy bytes between disks, files and streams",
    )
};

/// Bytes that are copied at once, whatever the blocks are.
const PIECE: usize = 64 << 10;

/// Bytes between two lines of progress.
const STEP: u64 = 1 << 20;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let asked = Asked::parse(arguments)?;
    let (mut from, mut to) = (asked.from(io)?, asked.to(io)?);
    for (end, position) in [(&from, asked.skip), (&to, asked.seek)] {
        if matches!(end, End::Disk(_)) && !position.is_multiple_of(SECTOR as u64) {
            let text = "blocks of a disk are multiples of 512 bytes";
            return Err(Error::Usage(text.into()));
        }
    }
    let mut report = Report {
        copied: 0,
        next: if asked.progress { STEP } else { u64::MAX },
    };
    let result = copy(io, &mut from, &mut to, &asked, &mut report);
    // What was copied is said also where it ends early.
    report.say(io, "copied")?;
    result.map(|()| 0)
}

fn copy<I: Io>(
    io: &mut I,
    from: &mut End<I>,
    to: &mut End<I>,
    asked: &Asked<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let (source, target) = (asked.source(), asked.target());
    from.skip(io, asked.skip).map_err(Error::at(source))?;
    if let End::File(file) = to {
        file.set_length(asked.seek).map_err(Error::at(target))?;
    }
    let mut piece = vec![0; PIECE];
    while report.copied < asked.length {
        let most = (asked.length - report.copied).min(PIECE as u64) as usize;
        let position = asked.skip + report.copied;
        let read = from.read(io, position, &mut piece[..most]);
        let count = read.map_err(Error::at(source))?;
        if count == 0 {
            break;
        }
        let position = asked.seek + report.copied;
        let written = to.write(io, position, &piece[..count]);
        written.map_err(Error::at(target))?;
        report.add(io, count as u64)?;
    }
    match to {
        End::Disk(disk) => disk.flush().map_err(Error::at(target)),
        End::File(_) | End::Stream => Ok(()),
    }
}

/// What the arguments ask for, in bytes.
struct Asked<'a> {
    from: Option<Operand<'a>>,
    to: Option<Operand<'a>>,
    length: u64,
    skip: u64,
    seek: u64,
    progress: bool,
}

impl<'a> Asked<'a> {
    fn parse(arguments: &Arguments<'a>) -> Result<Self, Error> {
        let (mut from, mut to, mut progress) = (None, None, false);
        let (mut block, mut count, mut skip, mut seek) = (SECTOR as u64, None, 0, 0);
        for operand in &arguments.operands {
            let (key, value) = operand.text.split_once('=').unwrap_or_default();
            let path = |prefix: &str| Operand {
                text: &operand.text[prefix.len()..],
                ..*operand
            };
            match key {
                "if" => from = Some(path(IN)),
                "of" => to = Some(path(TO)),
                "bs" => block = number(key, value)?,
                "count" => count = Some(number(key, value)?),
                "skip" => skip = number(key, value)?,
                "seek" => seek = number(key, value)?,
                "status" if value == "progress" => progress = true,
                _ => return Err(Error::Usage(format!("what is `{}`?", operand.text))),
            }
        }
        let bytes = |blocks: u64| {
            let bytes = blocks.checked_mul(block);
            bytes.ok_or_else(|| Error::Usage("so many bytes do not exist".into()))
        };
        if block == 0 {
            return Err(Error::Usage("a block has at least one byte".into()));
        }
        Ok(Asked {
            from,
            to,
            length: count.map_or(Ok(u64::MAX), bytes)?,
            skip: bytes(skip)?,
            seek: bytes(seek)?,
            progress,
        })
    }

    fn source(&self) -> &'a str {
        self.from.map_or("standard input", |operand| operand.text)
    }

    fn target(&self) -> &'a str {
        self.to.map_or("standard output", |operand| operand.text)
    }

    fn from<I: Io>(&self, io: &mut I) -> Result<End<I>, Error> {
        let operand = self.from.as_ref();
        operand.map_or(Ok(End::Stream), |operand| End::open(io, operand))
    }

    fn to<I: Io>(&self, io: &mut I) -> Result<End<I>, Error> {
        let Some(operand) = &self.to else {
            if self.seek > 0 {
                return Err(Error::Usage("`seek` needs `of`".into()));
            }
            return Ok(End::Stream);
        };
        End::open(io, operand)
    }
}

/// A number, perhaps with a unit: `12`, `4K`.
fn number(key: &str, text: &str) -> Result<u64, Error> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
    let (digits, shift) = match unit {
        Some((_, shift)) => (&text[..text.len() - 1], *shift),
        None => (text, 0),
    };
    let number = digits.parse::<u64>().ok();
    let number = number.and_then(|number| number.checked_mul(1 << shift));
    number.ok_or_else(|| Error::Usage(format!("{key}: `{text}` is no number, such as 12 or 4K")))
}

/// Where bytes come from or go to.
enum End<I: Io> {
    File(I::File),
    Disk(I::Disk),
    Stream,
}

impl<I: Io> End<I> {
    fn open(io: &mut I, operand: &Operand<'_>) -> Result<Self, Error> {
        let opened = if operand.text.starts_with(libipc::note::DISK) {
            io.disk(operand).map(End::Disk)
        } else {
            match io.open(operand) {
                Ok(Node::File(file)) => Ok(End::File(file)),
                Ok(Node::Directory(_)) => Err(IoError::IsADirectory),
                Err(error) => Err(error),
            }
        };
        opened.map_err(Error::at(operand.text))
    }

    /// Brings a stream to where reading begins.
    fn skip(&mut self, io: &mut I, mut bytes: u64) -> Result<(), IoError> {
        let End::Stream = self else { return Ok(()) };
        let mut piece = [0; 512];
        while bytes > 0 {
            let most = bytes.min(piece.len() as u64) as usize;
            match io.read(&mut piece[..most])? {
                0 => break,
                count => bytes -= count as u64,
            }
        }
        Ok(())
    }

    /// Reads up to the buffer's length; less only at the end.
    fn read(&mut self, io: &mut I, position: u64, into: &mut [u8]) -> Result<usize, IoError> {
        if let End::Disk(disk) = self {
            return read_disk(disk, position, into);
        }
        let mut filled = 0;
        while filled < into.len() {
            let rest = &mut into[filled..];
            let count = match self {
                End::File(file) => file.read_at(position + filled as u64, rest)?,
                End::Disk(_) | End::Stream => io.read(rest)?,
            };
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }

    fn write(&mut self, io: &mut I, position: u64, bytes: &[u8]) -> Result<(), IoError> {
        match self {
            End::File(file) => file.write_at(position, bytes),
            End::Disk(disk) => write_disk(disk, position, bytes),
            End::Stream => io.write(bytes),
        }
    }
}

/// Reads from a sector's beginning, to the end of the disk at most.
fn read_disk(disk: &mut impl Disk, position: u64, into: &mut [u8]) -> Result<usize, IoError> {
    let sector = position / SECTOR as u64;
    let left = disk.sectors()?.saturating_sub(sector);
    let length = left.saturating_mul(SECTOR as u64).min(into.len() as u64) as usize;
    let whole = length / SECTOR * SECTOR;
    if whole > 0 {
        disk.read(sector, &mut into[..whole])?;
    }
    if whole < length {
        let mut last = [0; SECTOR];
        disk.read(sector + (whole / SECTOR) as u64, &mut last)?;
        into[whole..length].copy_from_slice(&last[..length - whole]);
    }
    Ok(length)
}

/// Writes from a sector's beginning; of a last sector that is not whole the rest stays.
fn write_disk(disk: &mut impl Disk, position: u64, bytes: &[u8]) -> Result<(), IoError> {
    let sector = position / SECTOR as u64;
    let (whole, rest) = bytes.split_at(bytes.len() / SECTOR * SECTOR);
    if !whole.is_empty() {
        disk.write(sector, whole)?;
    }
    if !rest.is_empty() {
        let mut last = [0; SECTOR];
        let sector = sector + (whole.len() / SECTOR) as u64;
        disk.read(sector, &mut last)?;
        last[..rest.len()].copy_from_slice(rest);
        disk.write(sector, &last)?;
    }
    Ok(())
}

/// How far it is.
struct Report {
    copied: u64,
    /// When it is next to be said.
    next: u64,
}

impl Report {
    fn add<I: Io>(&mut self, io: &mut I, count: u64) -> Result<(), IoError> {
        self.copied += count;
        if self.copied >= self.next {
            self.next = self.copied + STEP;
            self.say(io, "so far")?;
        }
        Ok(())
    }

    fn say<I: Io>(&self, io: &mut I, what: &str) -> Result<(), IoError> {
        io.flush()?;
        let (copied, size) = (self.copied, bytes(self.copied));
        io.write_error(format!("{copied} bytes ({size}) {what}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn fake() -> Fake {
        let mut fake = Fake::new();
        fake.disk("disk", 64);
        fake.partition("disk", (8, 16), "linux");
        fake.put("disk", 8 * 512, &[7; 1024]);
        fake
    }

    #[test]
    fn a_partition_becomes_a_file_and_a_file_a_partition() {
        let mut fake = fake();
        assert_eq!(fake.run(&["dd", "if=@disk/1", "of=/tmp/x"]), 0);
        assert_eq!(fake.errors(), "8192 bytes (8K) copied\n");
        let mut expected = vec![7; 1024];
        expected.resize(16 * 512, 0);
        assert_eq!(fake.contents("/tmp/x"), expected);
        fake.file("/tmp/y", &[9; 700]);
        assert_eq!(fake.run(&["dd", "if=/tmp/y", "of=@disk/1", "seek=1"]), 0);
        let (bytes, flushed) = fake.drive_bytes("disk");
        assert_eq!(bytes[8 * 512..9 * 512], [7; 512]);
        assert_eq!(bytes[9 * 512..][..700], [9; 700]);
        // The rest of the last sector stays.
        assert_eq!(bytes[9 * 512 + 700..10 * 512 + 400], [0; 212]);
        assert_eq!(flushed, 1);
    }

    #[test]
    fn blocks_are_counted_skipped_and_sought() {
        let mut fake = fake();
        fake.file("/tmp/x", b"0123456789");
        fake.file("/tmp/y", b"abcdefghij");
        let words = ["dd", "if=/tmp/x", "of=/tmp/y", "bs=2", "count=2", "skip=1", "seek=3"];
        assert_eq!(fake.run(&words), 0);
        assert_eq!(fake.contents("/tmp/y"), b"abcdef2345");
        fake.input("0123456789");
        assert_eq!(fake.run(&["dd", "bs=3", "skip=1", "count=2"]), 0);
        assert_eq!(fake.output(), "345678");
        assert_eq!(fake.run(&["dd", "if=@disk", "skip=63", "bs=512", "count=9"]), 0);
        assert_eq!(fake.output().len(), 512);
        assert_eq!(fake.run(&["dd", "if=@disk", "bs=1", "count=3", "of=/tmp/z"]), 0);
        assert_eq!(fake.contents("/tmp/z"), [0; 3]);
    }

    #[test]
    fn progress_is_said() {
        let mut fake = Fake::new();
        fake.disk("disk", 5000);
        let words = ["dd", "if=@disk", "of=/tmp/x", "bs=1K", "status=progress"];
        assert_eq!(fake.run(&words), 0);
        let said = "1048576 bytes (1M) so far\n2097152 bytes (2M) so far\n\
                    2560000 bytes (2.4M) copied\n";
        assert_eq!(fake.errors(), said);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut fake = fake();
        let words = ["dd", "if=@disk", "of=@disk/1"];
        assert_eq!(fake.run(&words), 1);
        assert_eq!(
            fake.errors(),
            "0 bytes (0) copied\ndd: @disk/1: no space left, or the quota is used up\n"
        );
        for (words, told) in [
            (&["dd", "if=@disk", "bs=100", "skip=1"][..], "multiples of 512"),
            (&["dd", "count=x"], "count: `x` is no number"),
            (&["dd", "bs=0"], "at least one byte"),
            (&["dd", "bs=1G", "skip=99999999999"], "do not exist"),
            (&["dd", "what=1"], "what is `what=1`?"),
            (&["dd", "if=@disk", "seek=1"], "`seek` needs `of`"),
        ] {
            assert_eq!(fake.run(words), 2, "{words:?}");
            let errors = fake.errors();
            assert!(errors.contains(told), "{errors}");
        }
        assert_eq!(fake.run(&["dd", "if=/tmp"]), 1);
        assert_eq!(fake.errors(), "dd: /tmp: is a directory\n");
    }

    #[test]
    fn help_names_the_keys() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["dd", "--help"]), 0);
        assert!(fake.output().contains("  seek=N           begin after"));
    }
}
