//! `rm`: remove files and directories.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[
        ('f', "no complaint about what is not there"),
        ('r', "directories with all that is in them"),
    ],
    operands: (1, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::PARENT)],
    ..About::new("rm", "rm [-fr] PATH...", "remove files and empty directories")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut code = 0;
    for operand in &arguments.operands {
        let removed = io.parent(operand).and_then(|(mut parent, name)| {
            if arguments.option('r') {
                remove_all(&mut parent, &name)
            } else {
                parent.remove(&name)
            }
        });
        match removed {
            Ok(()) => {}
            Err(IoError::NotFound) if arguments.option('f') => {}
            Err(IoError::NoFiles) => return Err(IoError::NoFiles.into()),
            Err(error) => {
                io.complain(ABOUT.name, operand.text, &error)?;
                code = 1;
            }
        }
    }
    Ok(code)
}

/// Removes `name` and all below it. The directories on the way are kept on a
/// list, so that a deep tree costs heap and not stack.
fn remove_all<D: Directory>(parent: &mut D, name: &str) -> Result<(), IoError> {
    let Node::Directory(top) = parent.open(name, true)? else {
        return parent.remove(name);
    };
    let mut open: Vec<(D, String)> = vec![(top, name.into())];
    while let Some((directory, _)) = open.last_mut() {
        let mut inner = None;
        for entry in directory.list()? {
            match directory.remove(&entry.name) {
                Err(IoError::NotEmpty) => {
                    inner = Some(entry.name);
                    break;
                }
                result => result?,
            }
        }
        let Some(inner) = inner else {
            let name = open.pop().map(|(_, name)| name).unwrap_or_default();
            let above = open.last_mut().map_or(&mut *parent, |(above, _)| above);
            above.remove(&name)?;
            continue;
        };
        if let Node::Directory(below) = directory.open(&inner, true)? {
            open.push((below, inner));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_full_directory_needs_r() {
        let mut fake = Fake::new();
        fake.file("/tmp/a/b/c", b"");
        fake.file("/tmp/a/b/d/e", b"");
        fake.file("/tmp/a/z", b"");
        assert_eq!(fake.run(&["rm", "/tmp/a"]), 1);
        assert_eq!(fake.errors(), "rm: /tmp/a: the directory is not empty\n");
        assert_eq!(fake.run(&["rm", "-r", "/tmp/a"]), 0);
        fake.run(&["ls", "/tmp"]);
        assert_eq!(fake.output(), "");
    }

    #[test]
    fn what_is_not_there() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["rm", "/tmp/none"]), 1);
        assert_eq!(fake.errors(), "rm: /tmp/none: no such file or directory\n");
        assert_eq!(fake.run(&["rm", "-f", "/tmp/none"]), 0);
    }
}
