//! `caps`: what a task may do.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    needs: &["caps"],
    ..About::new("caps", "caps TASK", "show the authority of a task, in words")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for operand in &arguments.operands {
        let lines = io.system().authority(operand.text).map_err(Error::at(operand.text))?;
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
    fn a_line_a_capability() {
        let mut fake = Fake::new();
        fake.grant("caps");
        assert_eq!(fake.run(&["caps", "console"]), 0);
        assert_eq!(fake.output(), "may call log\n");
        assert_eq!(fake.run(&["caps", "x"]), 1);
        assert_eq!(fake.errors(), "caps: x: no such task (`ps` lists them)\n");
        assert_eq!(fake.run(&["caps"]), 2);
        assert_eq!(fake.errors(), "caps: something is missing\nusage: caps TASK\n");
    }
}
