//! `cp`: copy files.

use alloc::vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::input::last_name;
use crate::io::{Directory, File, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (2, usize::MAX),
    paths: &[
        Rule(Operand::Last, Use::WRITE.union(Use::CREATE)),
        Rule(Operand::From(0), Use::READ),
    ],
    ..About::new("cp", "cp SOURCE... TARGET", "copy files to a file or into a directory")
};

/// Bytes copied at once.
const PIECE: usize = 16 << 10;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let Some((target, sources)) = arguments.operands.split_last() else {
        return Err(Error::Usage("something is missing".into()));
    };
    let mut into = io.open(target).map_err(Error::at(target.text))?;
    if sources.len() > 1 && !matches!(into, Node::Directory(_)) {
        return Err(Error::At(target.text.into(), IoError::NotADirectory));
    }
    for source in sources {
        let from = match io.open(source).map_err(Error::at(source.text))? {
            Node::File(file) => Ok(file),
            Node::Directory(_) => Err(IoError::IsADirectory),
        };
        let mut from = from.map_err(Error::at(source.text))?;
        match &mut into {
            Node::File(to) => copy(&mut from, to),
            Node::Directory(directory) => directory
                .create(&last_name(source.text))
                .and_then(|mut to| copy(&mut from, &mut to)),
        }
        .map_err(Error::at(target.text))?;
    }
    Ok(0)
}

/// Copies all of `from` over what `to` holds.
pub(super) fn copy<F: File>(from: &mut F, to: &mut F) -> Result<(), IoError> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    to.set_length(0)?;
    loop {
        let count = from.read_at(offset, &mut piece)?;
        if count == 0 {
            return Ok(());
        }
        to.write_at(offset, &piece[..count])?;
        offset += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn to_a_file_and_into_a_directory() {
        let mut fake = Fake::new();
        let long = [7; 40_000];
        fake.file("/tmp/a", &long);
        fake.file("/tmp/b", &[1; 50_000]);
        fake.file("/tmp/d/x", b"");
        assert_eq!(fake.run(&["cp", "/tmp/a", "/tmp/b"]), 0);
        assert_eq!(fake.contents("/tmp/b"), long);
        assert_eq!(fake.run(&["cp", "/tmp/a", "/tmp/new"]), 0);
        assert_eq!(fake.contents("/tmp/new"), long);
        assert_eq!(fake.run(&["cp", "/tmp/a", "/tmp/b", "/tmp/d"]), 0);
        assert_eq!(fake.contents("/tmp/d/b"), long);
    }

    #[test]
    fn what_cannot_be_copied() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"a");
        assert_eq!(fake.run(&["cp", "/tmp", "/tmp/b"]), 1);
        assert_eq!(fake.errors(), "cp: /tmp: is a directory\n");
        assert_eq!(fake.run(&["cp", "/tmp/a", "/tmp/a", "/tmp/c"]), 1);
        assert_eq!(fake.errors(), "cp: /tmp/c: is not a directory\n");
        assert_eq!(fake.run(&["cp", "/tmp/a"]), 2);
    }
}
