//! `stat`: what is known of files and directories.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, File, Io, Kind, Node};

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
                let what = match stat.kind {
                    Kind::File => "file of",
                    Kind::Directory => "directory with",
                };
                let unit = match (stat.kind, stat.size) {
                    (Kind::File, 1) => "byte",
                    (Kind::File, _) => "bytes",
                    (Kind::Directory, 1) => "entry",
                    (Kind::Directory, _) => "entries",
                };
                io.print(format_args!("{}: {what} {} {unit}\n", operand.text, stat.size))?;
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

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn kind_and_size() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"12345");
        assert_eq!(fake.run(&["stat", "/tmp/a", "/tmp", "/none"]), 1);
        assert_eq!(fake.output(), "/tmp/a: file of 5 bytes\n/tmp: directory with 1 entry\n");
        assert_eq!(fake.errors(), "stat: /none: no such file or directory\n");
    }
}
