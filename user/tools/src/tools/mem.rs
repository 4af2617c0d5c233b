//! `mem`: the machine's memory.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["counters"],
    ..About::new("mem", "mem", "show the machine's memory")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let machine = io.system().machine()?;
    let used = machine.memory.saturating_sub(machine.free);
    let [memory, used, free] = [machine.memory, used, machine.free].map(format::bytes);
    io.print(format_args!("{memory} managed, {used} used, {free} free\n"))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn used_is_the_rest() {
        let mut fake = Fake::new();
        fake.grant("counters");
        assert_eq!(fake.run(&["mem"]), 0);
        assert_eq!(fake.output(), "64M managed, 4M used, 60M free\n");
    }
}
