//! `cksum`: whether bytes are the same, as POSIX counts them.

use alloc::vec;

use crc::{CRC_32_CKSUM, Crc};
use libipc::note::{Operand as Where, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::input::{Input, each_input};
use crate::io::{File, Io};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Where::From(0), Use::READ)],
    ..About::new("cksum", "cksum [FILE]...", "show checksum, bytes and name of files or standard input")
};

static SUM: Crc<u32> = Crc::<u32>::new(&CRC_32_CKSUM);

/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let code = each_input(io, ABOUT.name, &arguments.operands, |io, name, input| {
        let (sum, count) = sum(io, input)?;
        match name {
            "" => io.print(format_args!("{sum} {count}\n")),
            name => io.print(format_args!("{sum} {count} {name}\n")),
        }
    });
    Ok(code?)
}

/// The checksum, which takes the length in as well, and the length.
fn sum<I: Io<File = F>, F: File>(io: &mut I, input: &mut Input<F>) -> Result<(u32, u64), IoError> {
    let mut digest = SUM.digest();
    let mut piece = vec![0; PIECE];
    let mut count = 0;
    loop {
        let read = input.read(io, &mut piece)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
        count += read as u64;
    }
    let bytes = count.to_le_bytes();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    digest.update(&bytes[..used]);
    Ok((digest.finalize(), count))
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn as_the_standard_says() {
        let mut fake = Fake::new();
        fake.file("/a", b"123456789");
        fake.file("/b", &[7; 70_000]);
        assert_eq!(fake.run(&["cksum", "/a", "/b", "/c"]), 1);
        // What `cksum` of POSIX says of the same bytes.
        assert_eq!(fake.output(), "930766865 9 /a\n638236592 70000 /b\n");
        assert_eq!(fake.run(&["cksum"]), 0);
        assert_eq!(fake.output(), "4294967295 0\n");
    }
}
