//! `poweroff`: switch the machine off.

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, Stop, System};
use crate::tools::sync::{FORCE, rest};

/// What it says of itself.
pub const ABOUT: About = About {
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::ROOT))],
    needs: &["shutdown"],
    options: &[FORCE],
    ..About::new("poweroff", "poweroff [-f]", "make everything durable and switch the machine off")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    rest(io, arguments)?;
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

    #[test]
    fn not_before_everything_is_durable() {
        let mut fake = Fake::new();
        fake.grant("shutdown");
        fake.directory("/broken");
        assert_eq!(fake.run(&["poweroff"]), 1);
        assert_eq!(fake.stopped, None);
        assert_eq!(fake.run(&["poweroff", "-f"]), 0);
        assert_eq!(fake.stopped, Some(Stop::PowerOff));
    }
}
