//! `sleep`: wait.

use alloc::format;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    ..About::new("sleep", "sleep SECONDS", "wait, for example 0.5 seconds")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let text = arguments.operands.first().map_or("", |operand| operand.text);
    let milliseconds = milliseconds(text).ok_or_else(|| {
        Error::Usage(format!("`{text}` is no number of seconds such as 2 or 0.5"))
    })?;
    io.sleep(milliseconds)?;
    Ok(0)
}

/// A decimal number of seconds, in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<3}")[..3].parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn numbers() {
        let good = ["2", "0.5", "1.25", "0.0019", "01.1"].map(milliseconds);
        assert_eq!(good, [2000, 500, 1250, 1, 1100].map(Some));
        for bad in ["", ".", "1.", ".5", "-1", "1e3", "x", "99999999999999999999"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn waits_that_long() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["sleep", "0.5"]), 0);
        assert_eq!(fake.slept, 500);
        assert_eq!(fake.run(&["sleep", "soon"]), 2);
        assert!(fake.errors().starts_with("sleep: `soon` is no number of seconds"));
    }
}
