//! `kill`: end tasks.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, usize::MAX),
    needs: &["kill-any"],
    ..About::new(
        "kill",
        "kill TASK...",
        "end tasks, by name or number, or %1, a job of this shell",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    for operand in &arguments.operands {
        io.system().kill(operand.text).map_err(Error::at(operand.text))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn by_name_or_number_with_the_capability() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["kill", "console"]), 1);
        assert_eq!(
            fake.errors(),
            "kill: needs the capability `kill-any`: run --grant kill-any kill\n"
        );
        fake.grant("kill-any");
        assert_eq!(fake.run(&["kill", "console", "1"]), 0);
        assert_eq!(fake.killed, ["console", "1"]);
        assert_eq!(fake.run(&["kill", "nobody"]), 1);
        assert_eq!(fake.errors(), "kill: nobody: no such task (`ps` lists them)\n");
    }
}
