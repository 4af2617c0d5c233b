//! `log`: the system's log.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[('f', "go on as it grows, until Ctrl-C")],
    needs: &["log"],
    ..About::new("log", "log [-f]", "show the system's log")
};

const INTERVAL: u64 = 200;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut position = 0;
    loop {
        let (next, text) = io.system().log(position)?;
        position = next;
        if !text.is_empty() {
            io.write(&text)?;
        } else if arguments.option('f') {
            io.flush()?;
            io.sleep(INTERVAL)?;
        } else {
            return Ok(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn all_of_it_by_pieces() {
        let mut fake = Fake::new();
        fake.grant("log");
        assert_eq!(fake.run(&["log"]), 0);
        assert_eq!(fake.output(), "first line\nsecond line\n");
    }
}
