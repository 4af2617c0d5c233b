//! `mkdir`: make directories.

use crate::about::{About, Access, PathRule, Which};
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::io::{Directory, Io, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, usize::MAX),
    paths: &[PathRule::new(Which::From(0), Access::Parent)],
    ..About::new("mkdir", "mkdir DIRECTORY...", "make directories")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for operand in &arguments.operands {
        let made = match io.open(operand).map_err(Error::at(operand.text))? {
            Node::Entry(mut parent, name) => parent.make_directory(&name).map(|_| ()),
            Node::File(_) | Node::Directory(_) => Err(IoError::Exists),
        };
        made.map_err(Error::at(operand.text))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn makes_each_and_says_what_is_there() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["mkdir", "/a", "/a/b"]), 0);
        assert_eq!(fake.run(&["mkdir", "/a"]), 1);
        assert_eq!(fake.errors(), "mkdir: /a: exists already\n");
        assert_eq!(fake.run(&["mkdir", "/x/y"]), 1);
        assert_eq!(fake.errors(), "mkdir: /x/y: no such file or directory\n");
        fake.run(&["ls", "/a"]);
        assert_eq!(fake.output(), "b/\n");
    }
}
