//! `hexdump`: bytes in hexadecimal and as text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::input::{PIECE, each_input};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ)],
    ..About::new("hexdump", "hexdump [FILE]...", "show bytes in hexadecimal and as text")
};

/// Bytes shown in a line.
const LINE: usize = 16;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let mut dump = Dump::default();
    let code = each_input(io, ABOUT.name, &arguments.operands, |io, _, input| {
        let mut piece = [0; PIECE];
        loop {
            match input.read(io, &mut piece)? {
                0 => return Ok(()),
                count => dump.add(io, &piece[..count])?,
            }
        }
    })?;
    dump.finish(io)?;
    Ok(code)
}

/// A dump so far.
#[derive(Default)]
struct Dump {
    offset: u64,
    pending: Vec<u8>,
}

impl Dump {
    fn add<I: Io>(&mut self, io: &mut I, bytes: &[u8]) -> Result<(), IoError> {
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.len() / LINE * LINE;
        for line in self.pending[..whole].chunks(LINE) {
            io.write(shown(self.offset, line).as_bytes())?;
            self.offset += LINE as u64;
        }
        self.pending.drain(..whole);
        Ok(())
    }

    fn finish<I: Io>(&mut self, io: &mut I) -> Result<(), IoError> {
        if !self.pending.is_empty() {
            io.write(shown(self.offset, &self.pending).as_bytes())?;
        }
        io.print(format_args!("{:08x}\n", self.offset + self.pending.len() as u64))
    }
}

fn shown(offset: u64, line: &[u8]) -> String {
    let mut text = format!("{offset:08x} ");
    for place in 0..LINE {
        if place == LINE / 2 {
            text.push(' ');
        }
        match line.get(place) {
            Some(byte) => text += &format!(" {byte:02x}"),
            None => text += "   ",
        }
    }
    text += "  |";
    text.extend(line.iter().map(|&byte| match byte {
        b' '..=b'~' => byte as char,
        _ => '.',
    }));
    text + "|\n"
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn lines_of_sixteen_and_the_end() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"Tessera\n\x00\xff12345678");
        assert_eq!(fake.run(&["hexdump", "/tmp/a"]), 0);
        assert_eq!(
            fake.output(),
            "00000000  54 65 73 73 65 72 61 0a  00 ff 31 32 33 34 35 36  |Tessera...123456|\n\
             00000010  37 38                                             |78|\n\
             00000012\n"
        );
    }
}
