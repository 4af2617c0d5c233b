//! `date`: what time it is.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format::date;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["clock"],
    ..About::new("date", "date", "show the time in UTC")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let now = date(io.system().wall_time()?);
    io.print(format_args!("{now}\n"))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn the_time_in_words() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["date"]), 0);
        fake.grant("clock");
        assert_eq!(fake.run(&["date"]), 0);
        assert_eq!(fake.output(), "2023-11-14 22:13:20 UTC\n");
    }
}
