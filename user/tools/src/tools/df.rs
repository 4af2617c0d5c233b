//! `df`: how full file systems are.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::format::bytes;
use crate::io::{Directory, Io, Kind, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::ROOT))],
    ..About::new(
        "df",
        "df [DIRECTORY...]",
        "show how full file systems are: all, or those of these directories; YOURS is what \
         counts for you of what is used, LIMIT how much of it may",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut code = 0;
    io.print(format_args!(
        "{:>6} {:>6} {:>6} {:>6}  DIRECTORY\n",
        "USED", "SIZE", "YOURS", "LIMIT"
    ))?;
    if arguments.operands.is_empty() {
        let mut root = io.working_directory()?;
        for entry in root.list()? {
            if entry.kind == Kind::Directory {
                let path = alloc::format!("/{}", entry.name);
                code |= show(io, &path, root.open(&entry.name, false))?;
            }
        }
        for (path, mounted) in io.mounts()? {
            code |= show(io, &path, Ok(Node::Directory(mounted)))?;
        }
    }
    for operand in &arguments.operands {
        let opened = io.open(operand);
        code |= show(io, operand.text, opened)?;
    }
    Ok(code)
}

fn show<I: Io>(
    io: &mut I,
    path: &str,
    opened: Result<Node<I::File, I::Directory>, IoError>,
) -> Result<i32, Error> {
    let space = match opened {
        Ok(Node::Directory(mut directory)) => directory.space(),
        Ok(Node::File(_)) => Err(IoError::NotADirectory),
        Err(error) => Err(error),
    };
    match space {
        Ok(space) => {
            let (used, total) = (bytes(space.used), bytes(space.total));
            let (own, limit) = (bytes(space.own), bytes(space.own_limit));
            io.print(format_args!(
                "{used:>6} {total:>6} {own:>6} {limit:>6}  {path}\n"
            ))?;
            Ok(0)
        }
        Err(error) => {
            io.complain(ABOUT.name, path, &error)?;
            Ok(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn all_or_those_named() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"12345");
        assert_eq!(fake.run(&["df"]), 0);
        assert_eq!(fake.output(), "  USED   SIZE  YOURS  LIMIT  DIRECTORY\n     5     1K      5    512  /tmp\n");
        fake.mounts.push("/tmp");
        assert_eq!(fake.run(&["df"]), 0);
        assert!(fake.output().ends_with("  /tmp\n     5     1K      5    512  /tmp\n"));
        assert_eq!(fake.run(&["df", "/tmp/a"]), 1);
        assert_eq!(fake.errors(), "df: /tmp/a: is not a directory\n");
    }
}
