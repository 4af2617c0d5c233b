//! `reboot`: start the machine again.

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
    ..About::new("reboot", "reboot [-f]", "make everything durable and start the machine again")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    rest(io, arguments)?;
    io.flush()?;
    io.system().stop(Stop::Reboot)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;
    use crate::io::Stop;

    #[test]
    fn only_with_the_capability() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["reboot"]), 1);
        assert_eq!(fake.stopped, None);
        fake.grant("shutdown");
        assert_eq!(fake.run(&["reboot"]), 0);
        assert_eq!(fake.stopped, Some(Stop::Reboot));
    }
}
