//! A program's note: which of its arguments are paths, and what it does there.
//!
//! A shell opens exactly what the note of a program asks for and passes the
//! capabilities on; a program without a note gets no files. [`note!`](crate::note!)
//! puts the note into the program's file, as an ELF note in a section
//! `.note.tessera`; the shell gets its bytes from the supervisor or the loader,
//! reads them with [`Note::parse`] and asks [`Note::files`] what to open. The
//! program finds what was opened under [`capability_name`].
//!
//! Arguments that begin with `-` are options, up to an argument `--`; the
//! others are operands, counted from 0. The operand `-` is a standard stream
//! and never a path.
//!
//! A path that begins with `@` may be a disk, or a partition of one, such as `@disk/2`:
//! where the note says so the program gets that, to read or to write it.

use crate::wire::Text;

bitflags::bitflags! {
    /// What a program does at a path.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Use: u8 {
        /// Reads the file, or lists the directory.
        const READ = 1 << 0;
        /// Writes the file.
        const WRITE = 1 << 1;
        /// The file is made if it is not there.
        const CREATE = 1 << 2;
        /// The program gets the directory that holds it, and finds the name
        /// there by itself: to make, remove or rename it.
        const PARENT = 1 << 3;
        /// Without such an operand, the current directory takes its place.
        const CURRENT = 1 << 4;
        /// Without such an operand, the root directory takes its place, or all disks.
        const ROOT = 1 << 5;
        /// A path that begins with `@` is a disk, or a partition of one.
        const DISK = 1 << 6;
    }
}

const STANDS_IN: Use = Use::CURRENT.union(Use::ROOT);

/// Which operands a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The one with this number, below 128.
    Nth(u8),
    /// The one with this number, below 125, and all after it.
    From(u8),
    /// Any of the form `if=PATH`.
    Input,
    /// Any of the form `of=PATH`.
    Output,
    /// The last one. Stands before `From`, for the first rule that fits counts.
    Last,
}

/// A rule of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule(pub Operand, pub Use);

/// Most rules of a note.
pub const RULES: usize = 12;

/// Most option letters of a note.
pub const LETTERS: usize = 16;

const VERSION: u8 = 1;
const FIXED: usize = 4;
const LENGTH: usize = FIXED + 2 * RULES + LETTERS;
const LAST: u8 = 255;
const OUTPUT: u8 = 254;
const INPUT: u8 = 253;
const FROM: u8 = 128;

/// Owner and type of the ELF note.
pub const OWNER: &[u8; 8] = b"Tessera\0";
/// Type of the ELF note.
pub const KIND: u32 = 1;

/// A note as it lies in a program's file: an ELF note.
#[repr(C, align(4))]
pub struct Image {
    owner_length: u32,
    length: u32,
    kind: u32,
    owner: [u8; 8],
    text: [u8; LENGTH],
}

impl Image {
    /// Composes a note at compile time. `valued` are the letters of options
    /// whose value is the next argument.
    pub const fn new(rules: &[Rule], valued: &str) -> Image {
        assert!(rules.len() <= RULES, "a note has at most 12 rules");
        assert!(valued.len() <= LETTERS, "a note has at most 16 letters");
        let mut text = [0; LENGTH];
        text[0] = VERSION;
        text[1] = rules.len() as u8;
        text[2] = valued.len() as u8;
        let mut index = 0;
        while index < rules.len() {
            let Rule(operand, used) = rules[index];
            text[FIXED + 2 * index] = match operand {
                Operand::Nth(number) => {
                    assert!(number < FROM, "an operand's number is below 128");
                    number
                }
                Operand::From(number) => {
                    assert!(number < INPUT - FROM, "an operand's number is too large");
                    FROM + number
                }
                Operand::Input => INPUT,
                Operand::Output => OUTPUT,
                Operand::Last => LAST,
            };
            text[FIXED + 2 * index + 1] = used.bits();
            index += 1;
        }
        let mut index = 0;
        while index < valued.len() {
            text[FIXED + 2 * RULES + index] = valued.as_bytes()[index];
            index += 1;
        }
        Image {
            owner_length: OWNER.len() as u32,
            length: LENGTH as u32,
            kind: KIND,
            owner: *OWNER,
            text,
        }
    }

    /// What a shell gets to see.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Puts a note into the program's file.
///
/// ```
/// use libipc::note::{Operand, Rule, Use};
/// // `cp [-n COUNT] FROM.. TO`
/// libipc::note!([
///     Rule(Operand::Last, Use::PARENT),
///     Rule(Operand::From(0), Use::READ),
/// ], "n");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! note {
    ($rules:expr) => {
        $crate::note!($rules, "");
    };
    ($rules:expr, $valued:expr) => {
        #[allow(
            unsafe_code,
            reason = "a section of its own is how others find the note"
        )]
        const _: () = {
            // SAFETY: the section holds nothing but notes, and nobody runs it.
            #[used]
            #[cfg_attr(target_os = "none", unsafe(link_section = ".note.tessera"))]
            static NOTE: $crate::note::Image = $crate::note::Image::new(&$rules, $valued);
        };
    };
}

/// A checked note.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    rules: &'a [u8],
    valued: &'a [u8],
}

impl<'a> Note<'a> {
    /// Checks the bytes of a note; `None` if they are none of this version.
    pub fn parse(text: &'a [u8]) -> Option<Note<'a>> {
        let (fixed, rest) = text.get(..LENGTH)?.split_at_checked(FIXED)?;
        if fixed[0] != VERSION {
            return None;
        }
        let (rules, letters) = rest.split_at_checked(2 * RULES)?;
        let note = Note {
            rules: rules.get(..2 * fixed[1] as usize)?,
            valued: letters.get(..fixed[2] as usize)?,
        };
        let known = |rule: &[u8]| Use::from_bits(rule[1]).is_some();
        note.rules.chunks_exact(2).all(known).then_some(note)
    }

    /// What to open: for each path the number of the argument, what the program
    /// does there, and the path. Argument numbers count from 1, as a program sees
    /// them, whose own name is number 0; 0 stands for a directory that takes the
    /// place of a missing operand, or for all disks.
    pub fn files<'t, T: AsRef<str>>(
        &self,
        arguments: &'t [T],
    ) -> impl Iterator<Item = (usize, Use, &'t str)>
    where
        'a: 't,
    {
        let note = *self;
        let count = note.operands(arguments).count();
        note.operands(arguments)
            .enumerate()
            .filter(|&(_, argument)| arguments[argument - 1].as_ref() != "-")
            .filter_map(move |(operand, argument)| {
                let text = arguments[argument - 1].as_ref();
                let (used, path) = note.rule(operand, count, text)?;
                Some((argument, used, path))
            })
            .chain(note.missing(count).map(stand_in))
    }

    /// Numbers of the arguments that are operands.
    fn operands<'t, T: AsRef<str>>(self, arguments: &'t [T]) -> impl Iterator<Item = usize>
    where
        'a: 't,
    {
        let (mut only_operands, mut value) = (false, false);
        arguments
            .iter()
            .enumerate()
            .filter_map(move |(index, argument)| {
                let argument = argument.as_ref();
                if core::mem::take(&mut value) {
                    return None;
                }
                if !only_operands && argument.len() > 1 && argument.starts_with('-') {
                    only_operands = argument == "--";
                    let letter = argument.as_bytes()[argument.len() - 1];
                    value = !argument.starts_with("--") && self.valued.contains(&letter);
                    return None;
                }
                Some(index + 1)
            })
    }

    /// The rule for an operand of `count`, and the path that it is.
    fn rule(self, operand: usize, count: usize, text: &str) -> Option<(Use, &str)> {
        let path = |position: u8| match position {
            LAST => (operand + 1 == count).then_some(text),
            OUTPUT => text.strip_prefix(TO),
            INPUT => text.strip_prefix(IN),
            FROM.. => (operand >= (position - FROM) as usize).then_some(text),
            _ => (operand == position as usize).then_some(text),
        };
        let mut rules = self.rules.chunks_exact(2);
        rules.find_map(|rule| Some((Use::from_bits_retain(rule[1]), path(rule[0])?)))
    }

    /// The rule by which a directory stands for a missing operand.
    fn missing(self, count: usize) -> Option<Use> {
        let missing = |position: u8| match position {
            LAST => count == 0,
            INPUT | OUTPUT => false,
            FROM.. => count <= (position - FROM) as usize,
            _ => count <= position as usize,
        };
        let rules = self.rules.chunks_exact(2);
        rules
            .map(|rule| (rule[0], Use::from_bits_retain(rule[1])))
            .find(|(position, used)| used.intersects(STANDS_IN) && missing(*position))
            .map(|(_, used)| used)
    }
}

/// What operands that are [`Operand::Input`] or [`Operand::Output`] begin with.
pub const IN: &str = "if=";
/// See [`IN`].
pub const TO: &str = "of=";

/// What stands for a missing operand.
fn stand_in<'t>(used: Use) -> (usize, Use, &'t str) {
    let path = if used.contains(Use::ROOT) { "/" } else { "." };
    (0, used, path)
}

/// Whether a path is that of a disk or a partition, for a program that may have one.
pub fn is_disk(path: &str, used: Use) -> bool {
    used.contains(Use::DISK) && path.starts_with(DISK)
}

/// What the names of disks begin with.
pub const DISK: char = '@';

/// Name of the capability for what argument `number` led to: `path.3`.
pub fn capability_name(number: usize) -> Text<24> {
    use core::fmt::Write;

    struct Line {
        bytes: [u8; 24],
        length: usize,
    }
    impl Write for Line {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            let end = self.length + text.len();
            let room = self
                .bytes
                .get_mut(self.length..end)
                .ok_or(core::fmt::Error)?;
            room.copy_from_slice(text.as_bytes());
            self.length = end;
            Ok(())
        }
    }
    let mut line = Line {
        bytes: [0; 24],
        length: 0,
    };
    // 5 letters and at most 19 digits: arguments are fewer than 2^63.
    let written = write!(line, "path.{number}").is_ok();
    let text = core::str::from_utf8(&line.bytes[..line.length]).unwrap_or_default();
    Text::new(if written { text } else { "" }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    fn files(image: &Image, arguments: &[&str]) -> Vec<(usize, Use)> {
        let note = Note::parse(image.text()).unwrap();
        note.files(arguments)
            .map(|(argument, used, _)| (argument, used))
            .collect()
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = [
            Rule(Operand::Last, Use::PARENT),
            Rule(Operand::From(0), Use::READ),
        ];
        let copy = Image::new(&rules, "");
        let expected = vec![(1, Use::READ), (2, Use::READ), (3, Use::PARENT)];
        assert_eq!(files(&copy, &["a", "b", "c"]), expected);
        assert_eq!(files(&copy, &[]), []);
    }

    #[test]
    fn options_and_their_values_are_no_operands() {
        let grep = Image::new(&[Rule(Operand::From(1), Use::READ)], "m");
        let arguments = ["-m", "3", "-i", "-", "file", "--", "-odd"];
        assert_eq!(files(&grep, &arguments), [(5, Use::READ), (7, Use::READ)]);
        assert_eq!(files(&grep, &["pattern", "-"]), []);
    }

    #[test]
    fn the_current_directory_stands_for_a_missing_operand() {
        let used = Use::READ | Use::CURRENT;
        let list = Image::new(&[Rule(Operand::From(0), used)], "");
        assert_eq!(files(&list, &["-l"]), [(0, used)]);
        assert_eq!(files(&list, &["-l", "a"]), [(2, used)]);
        let used = Use::READ | Use::ROOT;
        let sync = Image::new(&[Rule(Operand::From(0), used)], "");
        assert_eq!(files(&sync, &[]), [(0, used)]);
    }

    #[test]
    fn a_path_may_have_a_key() {
        let rules = [
            Rule(Operand::Input, Use::READ | Use::DISK),
            Rule(Operand::Output, Use::WRITE | Use::DISK),
        ];
        let dd = Image::new(&rules, "");
        let dd = Note::parse(dd.text()).unwrap();
        let arguments = ["bs=4K", "of=/tmp/x", "if=@disk/2", "if"];
        let found: Vec<_> = dd.files(&arguments).collect();
        let (input, output) = (rules[0].1, rules[1].1);
        assert_eq!(found, [(2, output, "/tmp/x"), (3, input, "@disk/2")]);
        assert_eq!(dd.files(&["bs=1"]).count(), 0);
        assert!(is_disk("@disk/2", input) && !is_disk("/tmp/@x", input));
        assert!(!is_disk("@disk/2", Use::READ));
    }

    #[test]
    fn damaged_notes_are_refused() {
        let image = Image::new(&[Rule(Operand::Nth(0), Use::READ)], "x");
        let good = image.text().to_vec();
        assert!(Note::parse(&good).is_some());
        for (index, value) in [
            (0, 2),
            (1, RULES as u8 + 1),
            (2, LETTERS as u8 + 1),
            (5, 0x80),
        ] {
            let mut bad = good.clone();
            bad[index] = value;
            assert!(Note::parse(&bad).is_none(), "byte {index}");
        }
        assert!((0..good.len()).all(|end| Note::parse(&good[..end]).is_none()));
    }

    #[test]
    fn names_count_arguments() {
        assert_eq!(capability_name(0).as_str(), "path.0");
        assert_eq!(capability_name(12).as_str(), "path.12");
    }
}
