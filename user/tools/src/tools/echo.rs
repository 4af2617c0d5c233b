//! `echo`: print the arguments.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[('n', "no line end")],
    operands: (0, usize::MAX),
    ..About::new("echo", "echo [-n] [TEXT]...", "print the arguments")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for (number, operand) in arguments.operands.iter().enumerate() {
        if number > 0 {
            io.write(b" ")?;
        }
        io.write(operand.text.as_bytes())?;
    }
    if !arguments.option('n') {
        io.write(b"\n")?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn arguments_are_joined() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["echo", "a", "b  c"]), 0);
        assert_eq!(fake.output(), "a b  c\n");
        fake.run(&["echo", "-n", "--", "-n"]);
        assert_eq!(fake.output(), "-n");
    }
}
