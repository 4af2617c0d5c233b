//! `sensor`: what a sensor measures.

use alloc::format;
use alloc::string::String;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["sensor"],
    ..About::new("sensor", "sensor", "show what the sensor measures")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let shown = degrees(io.system().temperature()?);
    io.print(format_args!("{shown} °C\n"))?;
    Ok(0)
}

/// Thousandths of a degree, to a tenth.
fn degrees(thousandths: i64) -> String {
    let tenths = (thousandths.unsigned_abs() + 50) / 100;
    let sign = if thousandths < 0 && tenths > 0 { "-" } else { "" };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn a_reading_in_degrees() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["sensor"]), 0);
        fake.grant("sensor");
        assert_eq!(fake.run(&["sensor"]), 0);
        assert_eq!(fake.output(), "21.5 °C\n");
        assert_eq!(degrees(-49), "0.0");
        assert_eq!(degrees(-21_960), "-22.0");
    }
}
