//! `wc`: count lines, words and bytes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format;
use crate::input::{PIECE, each_input};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[('c', "bytes only"), ('l', "lines only"), ('w', "words only")],
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ)],
    ..About::new("wc", "wc [-clw] [FILE]...", "count lines, words and bytes")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut rows = Vec::new();
    let mut total = [0; 3];
    let chosen: Vec<usize> = ['l', 'w', 'c']
        .into_iter()
        .enumerate()
        .filter(|(_, letter)| arguments.option(*letter))
        .map(|(number, _)| number)
        .collect();
    let row = |counts: [u64; 3], name: &str| {
        let cells = counts.iter().enumerate();
        let cells = cells.filter(|(number, _)| chosen.is_empty() || chosen.contains(number));
        let mut row: Vec<String> = cells.map(|(_, count)| count.to_string()).collect();
        row.push(name.into());
        row
    };
    let code = each_input(io, ABOUT.name, &arguments.operands, |io, name, input| {
        let mut counts = [0; 3];
        let mut in_word = false;
        let mut piece = [0; PIECE];
        loop {
            let count = input.read(io, &mut piece)?;
            if count == 0 {
                break;
            }
            for byte in &piece[..count] {
                counts[0] += u64::from(*byte == b'\n');
                let blank = byte.is_ascii_whitespace();
                counts[1] += u64::from(in_word && blank);
                in_word = !blank;
            }
            counts[2] += count as u64;
        }
        counts[1] += u64::from(in_word);
        total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        rows.push(row(counts, name));
        Ok(())
    })?;
    if arguments.operands.len() > 1 {
        rows.push(row(total, "total"));
    }
    io.write(format::table(&rows, &[0, 1, 2]).as_bytes())?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn counts_and_their_sum() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one two\nthree\n");
        fake.file("/tmp/b", b" x");
        assert_eq!(fake.run(&["wc", "/tmp/a", "/tmp/b"]), 0);
        assert_eq!(fake.output(), "2  3  14  /tmp/a\n0  1   2  /tmp/b\n2  4  16  total\n");
    }

    #[test]
    fn standard_input_has_no_name() {
        let mut fake = Fake::new();
        fake.input("hi\n");
        fake.run(&["wc"]);
        assert_eq!(fake.output(), "1  1  3\n");
        fake.input("a b\nc\n");
        fake.run(&["wc", "-l"]);
        assert_eq!(fake.output(), "2\n");
    }
}
