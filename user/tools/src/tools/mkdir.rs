//! `mkdir`: make directories.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Directory, Io};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::PARENT)],
    ..About::new("mkdir", "mkdir DIRECTORY...", "make directories")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for operand in &arguments.operands {
        let (mut parent, name) = io.parent(operand).map_err(Error::at(operand.text))?;
        let made = parent.make_directory(&name);
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
