//! `sync`: make what was written durable.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::ROOT))],
    ..About::new(
        "sync",
        "sync [DIRECTORY...]",
        "make everything durable, or all in the file systems of these directories",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    if arguments.operands.is_empty() {
        everything(io)?;
    }
    for operand in &arguments.operands {
        let synced = match io.open(operand) {
            Ok(Node::Directory(mut directory)) => directory.sync(),
            Ok(Node::File(_)) => Err(IoError::NotADirectory),
            Err(error) => Err(error),
        };
        synced.map_err(Error::at(operand.text))?;
    }
    Ok(0)
}

/// The option of those that stop the machine.
pub(crate) const FORCE: (char, &str) = ('f', "even if not everything can be made durable");

/// Makes everything durable before the machine stops. Where there are no files
/// there is nothing to lose.
pub(crate) fn rest<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<(), Error> {
    match io.working_directory() {
        Ok(root) if !arguments.option(FORCE.0) => everything_of(io, root),
        _ => Ok(()),
    }
}

fn everything<I: Io>(io: &mut I) -> Result<(), Error> {
    let root = io.working_directory()?;
    everything_of(io, root)
}

/// What is mounted is asked whatever the root says.
fn everything_of<I: Io>(io: &mut I, mut root: I::Directory) -> Result<(), Error> {
    let mut result = root.sync().map_err(Error::from);
    for (path, mut mounted) in io.mounts()? {
        let synced = mounted.sync().map_err(Error::at(&path));
        result = result.and(synced);
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn everything_or_a_directory() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"12345");
        assert_eq!(fake.run(&["sync"]), 0);
        assert_eq!(fake.synced.take(), [""]);
        fake.mounts.push("/tmp");
        assert_eq!(fake.run(&["sync"]), 0);
        assert_eq!(fake.synced.take(), ["", "/tmp"]);
        assert_eq!(fake.run(&["sync", "/tmp"]), 0);
        assert_eq!(fake.synced.take(), ["/tmp"]);
        assert_eq!(fake.run(&["sync", "/tmp/a"]), 1);
        assert_eq!(fake.errors(), "sync: /tmp/a: is not a directory\n");
    }
}
