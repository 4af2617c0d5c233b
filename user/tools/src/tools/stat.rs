//! `stat`: what is known of files and directories.

use alloc::format;
use alloc::string::String;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, File, Io, Kind, Node};

/// Nanoseconds of ten years: less is no date but counted from boot on.
const SINCE_BOOT: u64 = 10 * 365 * 86_400 * 1_000_000_000;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ)],
    ..About::new("stat", "stat PATH...", "show what is known of files and directories")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut code = 0;
    for operand in &arguments.operands {
        let stat = io.open(operand).and_then(|node| match node {
            Node::File(mut file) => file.stat(),
            Node::Directory(mut directory) => directory.stat(),
        });
        match stat {
            Ok(stat) => {
                let what = match (stat.kind, stat.size) {
                    (Kind::File, 1) => "file of 1 byte".into(),
                    (Kind::File, size) => format!("file of {size} bytes"),
                    (Kind::Directory, 0) => "directory".into(),
                    (Kind::Directory, 1) => "directory with 1 entry".into(),
                    (Kind::Directory, size) => format!("directory with {size} entries"),
                };
                let changed = date(stat.modified);
                let changed = changed.map_or(String::new(), |date| format!(", changed {date}"));
                io.print(format_args!("{}: {what}{changed}\n", operand.text))?;
            }
            Err(IoError::NoFiles) => return Err(IoError::NoFiles.into()),
            Err(error) => {
                io.complain(ABOUT.name, operand.text, &error)?;
                code = 1;
            }
        }
    }
    Ok(code)
}

/// When something changed, in words; `None` if nobody knew what time it was.
pub(crate) fn date(modified: u64) -> Option<String> {
    (modified >= SINCE_BOOT).then(|| crate::format::date(modified))
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;
    use alloc::format;

    #[test]
    fn kind_and_size() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"12345");
        assert_eq!(fake.run(&["stat", "/tmp/a", "/tmp", "/none"]), 1);
        let changed = ", changed 2023-11-14 22:13:20 UTC";
        let expected = format!("/tmp/a: file of 5 bytes{changed}\n/tmp: directory with 1 entry\n");
        assert_eq!(fake.output(), expected);
        assert_eq!(fake.errors(), "stat: /none: no such file or directory\n");
    }
}
