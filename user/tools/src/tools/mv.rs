//! `mv`: move and rename.

use alloc::string::ToString;

use super::cp::copy;
use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (2, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::PARENT)],
    ..About::new("mv", "mv SOURCE... TARGET", "rename, or move into a directory")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let Some((target, sources)) = arguments.operands.split_last() else {
        return Err(Error::Usage("something is missing".into()));
    };
    let (mut parent, name) = io.parent(target).map_err(Error::at(target.text))?;
    let inside = match parent.open(&name, true) {
        Ok(Node::Directory(directory)) => Some(directory),
        _ if sources.len() > 1 => {
            return Err(Error::At(target.text.into(), IoError::NotADirectory));
        }
        _ => None,
    };
    let keeps_name = inside.is_some();
    let mut into = inside.unwrap_or(parent);
    for source in sources {
        let (mut from, old) = io.parent(source).map_err(Error::at(source.text))?;
        let new = if keeps_name { old.to_string() } else { name.clone() };
        let moved = match from.rename(&old, &mut into, &new) {
            Err(IoError::CrossDevice) => copy_and_remove(&mut from, &old, &mut into, &new),
            result => result,
        };
        moved.map_err(Error::at(source.text))?;
    }
    Ok(0)
}

/// Moves a file to another file system.
fn copy_and_remove<D: Directory>(
    from: &mut D,
    old: &str,
    into: &mut D,
    new: &str,
) -> Result<(), IoError> {
    let Node::File(mut source) = from.open(old, false)? else {
        return Err(IoError::CrossDevice);
    };
    copy(&mut source, &mut into.create(new)?)?;
    from.remove(old)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn renames_replaces_and_moves_into() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"a");
        fake.file("/tmp/b", b"b");
        fake.file("/tmp/d/x", b"");
        assert_eq!(fake.run(&["mv", "/tmp/a", "/tmp/b"]), 0);
        assert_eq!(fake.contents("/tmp/b"), b"a");
        assert_eq!(fake.run(&["mv", "/tmp/b", "/tmp/d"]), 0);
        assert_eq!(fake.contents("/tmp/d/b"), b"a");
        assert_eq!(fake.run(&["mv", "/tmp/a", "/tmp/c"]), 1);
        assert_eq!(fake.errors(), "mv: /tmp/a: no such file or directory\n");
    }

    #[test]
    fn to_another_file_system_files_are_copied() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"a");
        fake.file("/other/x", b"x");
        fake.file("/tmp/d/x", b"x");
        assert_eq!(fake.run(&["mv", "/tmp/a", "/other/b"]), 0);
        assert_eq!(fake.contents("/other/b"), b"a");
        assert_eq!(fake.run(&["cat", "/tmp/a"]), 1);
        fake.errors();
        assert_eq!(fake.run(&["mv", "/tmp/d", "/other/d"]), 1);
        assert_eq!(fake.errors(), "mv: /tmp/d: is in another file system\n");
    }
}
