//! `poweroff`: switch the machine off.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, Stop, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["shutdown"],
    ..About::new("poweroff", "poweroff", "switch the machine off")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    io.flush()?;
    io.system().stop(Stop::PowerOff)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;
    use crate::io::Stop;

    #[test]
    fn only_with_the_capability() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["poweroff"]), 1);
        assert_eq!(fake.stopped, None);
        fake.grant("shutdown");
        assert_eq!(fake.run(&["poweroff"]), 0);
        assert_eq!(fake.stopped, Some(Stop::PowerOff));
    }
}
