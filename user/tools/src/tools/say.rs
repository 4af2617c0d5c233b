//! `say`: a line on the screen, whoever is in front there.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};
use alloc::string::String;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, usize::MAX),
    needs: &["screen"],
    ..About::new("say", "say TEXT...", "show a line on the screen, above what is in front")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut line = String::new();
    for operand in &arguments.operands {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(operand.text);
    }
    io.system().say(&line)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn words_are_one_line() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["say", "hello"]), 0);
        fake.grant("screen");
        assert_eq!(fake.run(&["say", "hello", "there"]), 0);
        assert_eq!(fake.said, ["hello there"]);
        assert_eq!(fake.run(&["say"]), 2);
    }
}
