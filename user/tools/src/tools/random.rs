//! `random`: bytes that nobody can guess.

use alloc::format;
use alloc::string::String;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, 1),
    needs: &["entropy"],
    ..About::new("random", "random [COUNT]", "show 16 or COUNT random bytes in hexadecimal")
};

/// Bytes shown in a line.
const LINE: usize = 32;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let text = arguments.operands.first().map_or("16", |operand| operand.text);
    let count = text.parse::<u64>();
    let mut left = count.map_err(|_| Error::Usage(format!("`{text}` is no number of bytes")))?;
    let mut bytes = [0; LINE];
    while left > 0 {
        let line = &mut bytes[..left.min(LINE as u64) as usize];
        io.system().random(line)?;
        let shown: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
        io.print(format_args!("{shown}\n"))?;
        left -= line.len() as u64;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn so_many_bytes_in_lines() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["random"]), 0);
        fake.grant("entropy");
        assert_eq!(fake.run(&["random", "33"]), 0);
        let line = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        assert_eq!(fake.output(), format!("{line}\n00\n"));
        assert_eq!(fake.run(&["random", "0"]), 0);
        assert_eq!(fake.run(&["random", "-1"]), 2);
        assert_eq!(fake.run(&["random", "many"]), 2);
    }
}
