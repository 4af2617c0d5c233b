//! `uptime`: how long the machine has run, and how busy it was.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["counters"],
    ..About::new("uptime", "uptime", "show how long the machine has run, and how busy it was")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let machine = io.system().machine()?;
    let ran = machine.uptime.saturating_mul(machine.cores).max(1);
    let idle = machine.idle.saturating_mul(100) / ran;
    io.print(format_args!(
        "up {}, idle {idle}%, {} {}, {} system calls, {} switches, {} interrupts\n",
        format::duration(machine.uptime),
        machine.cores,
        if machine.cores == 1 { "core" } else { "cores" },
        machine.calls,
        machine.switches,
        machine.interrupts,
    ))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn numbers_in_words() {
        let mut fake = Fake::new();
        fake.grant("counters");
        assert_eq!(fake.run(&["uptime"]), 0);
        assert_eq!(
            fake.output(),
            "up 1m05s, idle 90%, 1 core, 1000 system calls, 500 switches, 20 interrupts\n"
        );
    }
}
