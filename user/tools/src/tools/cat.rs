//! `cat`: print inputs one after another.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::input::{PIECE, each_input};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ)],
    ..About::new(
        "cat",
        "cat [FILE]...",
        "print files, or standard input, one after another",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut piece = [0; PIECE];
    let code = each_input(io, ABOUT.name, &arguments.operands, |io, _, input| loop {
        match input.read(io, &mut piece)? {
            0 => return Ok(()),
            count => io.write(&piece[..count])?,
        }
    })?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn files_then_standard_input() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one\n");
        fake.input("two\n");
        assert_eq!(fake.run(&["cat", "/tmp/a", "-", "/tmp/a"]), 0);
        assert_eq!(fake.output(), "one\ntwo\none\n");
    }

    #[test]
    fn a_missing_file_is_named_and_the_others_go_on() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one\n");
        assert_eq!(fake.run(&["cat", "/none", "/tmp/a"]), 1);
        assert_eq!(fake.output(), "one\n");
        assert_eq!(fake.errors(), "cat: /none: no such file or directory\n");
        assert_eq!(fake.run(&["cat", "/tmp"]), 1);
        assert_eq!(fake.errors(), "cat: /tmp: is a directory\n");
    }
}
