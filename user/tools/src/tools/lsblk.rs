//! `lsblk`: disks and their partitions.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::interfaces::block::{Partition, PartitionKind, SECTOR};
use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::disk::{Content, Disk, content, name};
use crate::error::{Error, IoError};
use crate::format::{bytes, table};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(
        Operand::From(0),
        Use::READ.union(Use::DISK).union(Use::ROOT),
    )],
    ..About::new(
        "lsblk",
        "lsblk [@DISK...]",
        "list disks and their partitions, what is on them and which task has them to itself",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut code = 0;
    let head = ["NAME", "SIZE", "ACCESS", "TYPE", "CONTENT", "USED BY", "LABEL"];
    let mut rows = Vec::from([head.map(String::from).to_vec()]);
    let mut show = |io: &mut I, name: &str, opened: Result<I::Disk, IoError>| {
        match opened.and_then(|mut disk| list(&mut disk, name)) {
            Ok(listed) => {
                rows.extend(listed.rows);
                listed.damaged.map_or(Ok(0), |error| {
                    io.complain(ABOUT.name, name, &error).map(|()| 1)
                })
            }
            Err(error) => io.complain(ABOUT.name, name, &error).map(|()| 1),
        }
    };
    if arguments.operands.is_empty() {
        for (name, mut disk) in io.disks()? {
            // A disk of the page that the machine does not have.
            if disk.sectors() != Err(IoError::NotFound) {
                code |= show(io, &name, Ok(disk))?;
            }
        }
    }
    for operand in &arguments.operands {
        let disk = io.disk(operand);
        code |= show(io, operand.text, disk)?;
    }
    io.write(table(&rows, &[1]).as_bytes())?;
    Ok(code)
}

/// What there is to show of a disk, and whether its table cannot be.
struct Listed {
    rows: Vec<Vec<String>>,
    damaged: Option<IoError>,
}

fn list(disk: &mut impl Disk, path: &str) -> Result<Listed, IoError> {
    let mut listed = Listed {
        rows: Vec::new(),
        damaged: None,
    };
    let mut number = 0;
    loop {
        let partition = match disk.partition(number) {
            Ok(Some(partition)) => partition,
            Ok(None) => break,
            // The disk itself is shown nevertheless.
            Err(error) if number > 0 => {
                listed.damaged = Some(error);
                break;
            }
            Err(error) => return Err(error),
        };
        // What is too short for a file system has none.
        let found = match partition.sectors {
            4.. => content(disk, partition.first)?,
            _ => None,
        };
        listed.rows.push(row(path, &partition, found));
        number = partition.number + 1;
    }
    Ok(listed)
}

fn row(path: &str, partition: &Partition, found: Option<Content>) -> Vec<String> {
    let disk = path.trim_start_matches('@');
    let kind = match partition.kind {
        PartitionKind::Whole => "disk",
        PartitionKind::Other => "other",
        PartitionKind::Linux => "linux",
        PartitionKind::Exchange => "exchange",
        PartitionKind::System => "system",
        PartitionKind::Swap => "swap",
    };
    let size = partition.sectors.saturating_mul(SECTOR as u64);
    [
        name(disk, partition.number).as_str(),
        bytes(size).as_str(),
        if partition.read_only { "read" } else { "write" },
        kind,
        found.map_or("-", Content::program),
        or_none(partition.user.as_str()),
        partition.name.as_str(),
    ]
    .map(ToString::to_string)
    .to_vec()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn disks_and_partitions() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["lsblk"]), 0);
        let head = "NAME  SIZE  ACCESS  TYPE  CONTENT  USED BY  LABEL\n";
        assert_eq!(fake.output(), head);
        fake.disk("disk", 64);
        fake.partition("disk", (8, 16), "linux");
        fake.partition("disk", (32, 8), "exchange");
        fake.disk("other", 16);
        fake.put("disk", 8 * 512 + 1080, &[0x53, 0xef]);
        fake.put("other", 0, &[0xeb]);
        fake.put("other", 54, b"FAT16");
        fake.put("other", 510, &[0x55, 0xaa]);
        assert_eq!(fake.run(&["lsblk"]), 0);
        assert_eq!(
            fake.output(),
            "NAME     SIZE  ACCESS  TYPE      CONTENT  USED BY  LABEL\n\
             @disk     32K  write   disk      -        -\n\
             @disk/1    8K  write   linux     ext4     -        linux\n\
             @disk/2    4K  write   exchange  -        -        exchange\n\
             @other     8K  write   disk      fat      -\n"
        );
        assert_eq!(fake.run(&["lsblk", "@none", "@other"]), 1);
        assert_eq!(fake.errors(), "lsblk: @none: no such file or directory\n");
        assert!(fake.output().contains("@other    8K  write"));
    }
}
