//! `why`: who waits for whom.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    needs: &["inspect"],
    ..About::new("why", "why TASK", "show what a task waits for")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for operand in &arguments.operands {
        let lines = io.system().waits(operand.text).map_err(Error::at(operand.text))?;
        for line in lines {
            io.print(format_args!("{line}\n"))?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_line_a_thread() {
        let mut fake = Fake::new();
        fake.grant("inspect");
        assert_eq!(fake.run(&["why", "shell"]), 0);
        assert_eq!(fake.output(), "waits for console: Console.read\n");
    }
}
