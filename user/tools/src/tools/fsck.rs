//! `fsck`: whether a file system is whole.

use core::fmt::Display;

use alloc::string::{String, ToString};

use libipc::note::{Operand, Rule, Use};
use tessera_disk::{Disk as Sectors, DiskError, SECTOR};
use tessera_ext4_check::{Summary, Unchecked, check};

use crate::about::About;
use crate::arguments::Arguments;
use crate::disk::{Content, Disk, content};
use crate::error::{Error, IoError};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::DISK))],
    ..About::new(
        "fsck",
        "fsck @DISK[/PARTITION]",
        "say what is wrong with a file system that is not mounted; it is only read",
    )
};

/// So many problems are shown; the others are counted.
const SHOWN: u64 = 100;

/// Does it. The exit code is 1 if anything is wrong.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let [operand] = arguments.operands.as_slice() else {
        return Err(Error::Usage("which disk?".into()));
    };
    let at = || Error::at(operand.text);
    let mut disk = io.disk(operand).map_err(at())?;
    let sectors = disk.sectors().map_err(at())?;
    // What is too short for a file system has none.
    let found = match sectors {
        4.. => content(&mut disk, 0).map_err(at())?,
        _ => None,
    };
    let disk = Reader {
        disk,
        sectors,
        error: None,
    };
    match found {
        Some(Content::Ext4) => ext4(io, operand.text, disk),
        Some(Content::Fat) => fat(io, operand.text, disk),
        None => {
            let text = "holds no file system that is known here";
            Err(at()(IoError::Failed(text.into())))
        }
    }
}

/// Shows the problems that a check tells of.
fn show<I: Io, P: Display, R>(
    io: &mut I,
    check: impl FnOnce(&mut dyn FnMut(P)) -> R,
) -> Result<R, IoError> {
    let (mut told, mut written) = (0, Ok(()));
    let checked = check(&mut |problem| {
        told += 1;
        if written.is_ok() && told <= SHOWN {
            written = io.print(format_args!("{problem}\n"));
        }
    });
    written?;
    if told > SHOWN {
        io.print(format_args!("and {} more\n", told - SHOWN))?;
    }
    Ok(checked)
}

fn ext4<I: Io>(io: &mut I, name: &str, mut disk: Reader<I::Disk>) -> Result<i32, Error> {
    let checked = show(io, |tell| check(&mut disk, tell))?;
    match (checked, disk.error) {
        (Ok(summary), _) => Ok(conclude(io, name, &summary)?),
        (Err(Unchecked::Disk(_)), Some(error)) => Err(Error::at(name)(error)),
        (Err(why), _) => {
            io.flush()?;
            let text = alloc::format!("fsck: {name}: {why}\n");
            io.write_error(text.as_bytes())?;
            Ok(1)
        }
    }
}

fn fat<I: Io>(io: &mut I, name: &str, mut disk: Reader<I::Disk>) -> Result<i32, Error> {
    let checked = show(io, |tell| {
        tessera_fat::check::check(&mut disk, &mut |problem| tell(String::from(problem)))
    })?;
    match (checked, disk.error) {
        (Ok(problems), _) => {
            io.print(format_args!("{name}: {}\n", verdict(problems)))?;
            Ok(i32::from(problems > 0))
        }
        (Err(_), Some(error)) => Err(Error::at(name)(error)),
        (Err(error), None) => Err(Error::at(name)(IoError::Failed(error.to_string()))),
    }
}

fn verdict(problems: u64) -> String {
    match problems {
        0 => "clean".into(),
        1 => "1 problem".into(),
        count => alloc::format!("{count} problems"),
    }
}

fn conclude<I: Io>(io: &mut I, disk: &str, summary: &Summary) -> Result<i32, IoError> {
    let verdict = verdict(summary.problems);
    io.print(format_args!(
        "{disk}: {verdict}, {}/{} files, {}/{} blocks\n",
        summary.files, summary.most_files, summary.blocks, summary.most_blocks
    ))?;
    Ok(i32::from(summary.problems > 0))
}

/// A disk as what checks it reads it, and why that failed.
struct Reader<D> {
    disk: D,
    sectors: u64,
    error: Option<IoError>,
}

impl<D: Disk> Sectors for Reader<D> {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let count = (into.len() / SECTOR) as u64;
        if sector.checked_add(count).is_none_or(|end| end > self.sectors) {
            return Err(DiskError::OutOfRange);
        }
        self.disk.read(sector, into).map_err(|error| {
            self.error = Some(error);
            DiskError::Failed
        })
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), DiskError> {
        Err(DiskError::ReadOnly)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn what_is_no_file_system_is_not_checked() {
        let mut fake = Fake::new();
        fake.disk("disk", 64);
        assert_eq!(fake.run(&["fsck", "@disk"]), 1);
        let said = "fsck: @disk: holds no file system that is known here\n";
        assert_eq!(fake.errors(), said);
        // A superblock's number and nothing behind it.
        fake.put("disk", 1024 + 56, &[0x53, 0xef]);
        assert_eq!(fake.run(&["fsck", "@disk"]), 1);
        assert_eq!(fake.errors(), "fsck: @disk: there is no ext4 file system\n");
        // What says that it is FAT, and nothing behind it.
        fake.disk("other", 64);
        fake.put("other", 0, &[0xeb]);
        fake.put("other", 54, b"FAT16");
        fake.put("other", 510, &[0x55, 0xaa]);
        fake.errors();
        assert_eq!(fake.run(&["fsck", "@other"]), 1);
        assert!(fake.errors().starts_with("fsck: @other: "));
        assert_eq!(fake.run(&["fsck", "@none"]), 1);
        assert_eq!(fake.run(&["fsck"]), 2);
    }
}
