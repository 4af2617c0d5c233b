//! `grep`: print the lines that match a pattern.

use alloc::vec;
use alloc::vec::Vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::input::{Input, each_input, each_input_below, each_line};
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[
        ('c', "count the lines only"),
        ('i', "upper and lower case of ASCII letters are the same"),
        ('n', "number the lines"),
        ('r', "all files below directories"),
        ('v', "the lines that do not match"),
    ],
    operands: (1, usize::MAX),
    paths: &[Rule(Operand::From(1), Use::READ)],
    ..About::new(
        "grep",
        "grep [-cinrv] PATTERN [FILE]...",
        "print lines that match: ^ and $ are the ends, . any character, * repeats",
    )
};

/// Does it. The exit code is 1 if nothing matched.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let Some((pattern, files)) = arguments.operands.split_first() else {
        return Err(Error::Usage("something is missing".into()));
    };
    let recursive = arguments.option('r');
    if recursive && files.is_empty() {
        return Err(Error::Usage("-r wants a directory".into()));
    }
    let mut search = Search {
        pattern: Pattern::new(pattern.text, arguments.option('i')),
        inverted: arguments.option('v'),
        counted: arguments.option('c'),
        numbered: arguments.option('n'),
        named: recursive || files.len() > 1,
        found: false,
    };
    let code = match recursive {
        true => each_input_below(io, ABOUT.name, files, |io, name, input| {
            search.input(io, name, input)
        }),
        false => each_input(io, ABOUT.name, files, |io, name, input| {
            search.input(io, name, input)
        }),
    };
    Ok(code?.max(i32::from(!search.found)))
}

/// What is looked for, and how it is shown.
struct Search {
    pattern: Pattern,
    inverted: bool,
    counted: bool,
    numbered: bool,
    /// Lines are shown with their file's name.
    named: bool,
    found: bool,
}

impl Search {
    fn input<I: Io>(
        &mut self,
        io: &mut I,
        name: &str,
        input: &mut Input<I::File>,
    ) -> Result<(), IoError> {
        let (mut number, mut count) = (0_u64, 0_u64);
        each_line(io, input, |io, line| {
            number += 1;
            if self.pattern.found_in(line) == self.inverted {
                return Ok(());
            }
            count += 1;
            if self.counted {
                return Ok(());
            }
            if self.named {
                io.print(format_args!("{name}:"))?;
            }
            if self.numbered {
                io.print(format_args!("{number}:"))?;
            }
            io.write(line)?;
            io.write(b"\n")
        })?;
        self.found |= count > 0;
        if !self.counted {
            return Ok(());
        }
        if self.named {
            io.print(format_args!("{name}:"))?;
        }
        io.print(format_args!("{count}\n"))
    }
}

/// A pattern: characters, `.`, `*` behind one of these, `\` before a special
/// one, `^` at the start and `$` at the end.
struct Pattern {
    /// What must match, and whether it may do so any number of times.
    atoms: Vec<(Atom, bool)>,
    at_start: bool,
    at_end: bool,
    ignore_case: bool,
}

#[derive(Clone, Copy)]
enum Atom {
    Any,
    Byte(u8),
}

impl Pattern {
    fn new(text: &str, ignore_case: bool) -> Self {
        let mut rest = text.as_bytes();
        let at_start = rest.first() == Some(&b'^');
        rest = &rest[usize::from(at_start)..];
        let mut pattern = Pattern {
            atoms: Vec::new(),
            at_start,
            at_end: false,
            ignore_case,
        };
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match (byte, after.first()) {
                (b'$', None) => pattern.at_end = true,
                (b'*', _) if !pattern.atoms.is_empty() => {
                    pattern.atoms.last_mut().map(|last| last.1 = true).unwrap_or_default();
                }
                (b'.', _) => pattern.atoms.push((Atom::Any, false)),
                (b'\\', Some(&special)) => {
                    rest = &after[1..];
                    pattern.atoms.push((Atom::Byte(special), false));
                }
                _ => pattern.atoms.push((Atom::Byte(byte), false)),
            }
        }
        pattern
    }

    /// Follows all ways to match at once, so that the time is bounded by the
    /// product of both lengths: `ways[n]` says that the first `n` atoms match.
    fn found_in(&self, line: &[u8]) -> bool {
        let end = self.atoms.len();
        let mut ways = vec![false; end + 1];
        for place in 0..=line.len() {
            if place == 0 || !self.at_start {
                self.reach(&mut ways, 0);
            }
            if ways[end] && (place == line.len() || !self.at_end) {
                return true;
            }
            let Some(&byte) = line.get(place) else {
                break;
            };
            let mut next = vec![false; end + 1];
            for (way, &(atom, star)) in self.atoms.iter().enumerate() {
                if ways[way] && self.is(atom, byte) {
                    self.reach(&mut next, if star { way } else { way + 1 });
                }
            }
            ways = next;
        }
        false
    }

    fn reach(&self, ways: &mut [bool], mut way: usize) {
        ways[way] = true;
        while let Some((_, true)) = self.atoms.get(way) {
            way += 1;
            ways[way] = true;
        }
    }

    fn is(&self, atom: Atom, byte: u8) -> bool {
        match atom {
            Atom::Any => true,
            Atom::Byte(expected) if self.ignore_case => expected.eq_ignore_ascii_case(&byte),
            Atom::Byte(expected) => expected == byte,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::fake::Fake;

    #[test]
    fn patterns() {
        let found = |pattern: &str, line: &str| Pattern::new(pattern, false).found_in(line.as_bytes());
        assert!(found("b", "abc") && !found("d", "abc") && found("", ""));
        assert!(found("^ab", "abc") && !found("^b", "abc"));
        assert!(found("bc$", "abc") && !found("ab$", "abc"));
        assert!(found("^$", "") && !found("^$", "x"));
        assert!(found("a.c", "abc") && !found("a.c", "ac"));
        assert!(found("ab*c", "ac") && found("ab*c", "abbbc") && !found("^ab*c", "abxc"));
        assert!(found("a\\.c", "a.c") && !found("a\\.c", "abc"));
        assert!(found("*a", "x*a") && found("a$b", "a$b"));
        // Slow for a matcher that tries one way after another.
        assert!(!found("a*a*a*a*a*a*a*a*a*a*a*a*b$", &"a".repeat(2000)));
    }

    #[test]
    fn below_directories() {
        let mut fake = Fake::new();
        fake.file("/tmp/d/a", b"one\ntwo");
        // Longer than what comes with opening it.
        let long = [&b"x\n"[..]; 4000].concat();
        fake.file("/tmp/d/e/long", &[&long[..], b"one\n"].concat());
        fake.file("/tmp/f", b"one");
        assert_eq!(fake.run(&["grep", "-rn", "one", "/tmp/d/", "/tmp/f"]), 0);
        let shown = "/tmp/d/a:1:one\n/tmp/d/e/long:4001:one\n/tmp/f:1:one\n";
        assert_eq!(fake.output(), shown);
        assert_eq!(fake.run(&["grep", "-r", "one", "/tmp/d", "/tmp/none"]), 1);
        assert_eq!(fake.output(), "/tmp/d/a:one\n/tmp/d/e/long:one\n");
        assert_eq!(fake.errors(), "grep: /tmp/none: no such file or directory\n");
        assert_eq!(fake.run(&["grep", "one", "/tmp/d"]), 1);
        assert_eq!(fake.run(&["grep", "-r", "one"]), 2);
    }

    #[test]
    fn options() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one\nTwo\nthree");
        fake.file("/tmp/b", b"two\n");
        assert_eq!(fake.run(&["grep", "-n", "t", "/tmp/a"]), 0);
        assert_eq!(fake.output(), "3:three\n");
        assert_eq!(fake.run(&["grep", "-i", "^two$", "/tmp/a", "/tmp/b"]), 0);
        assert_eq!(fake.output(), "/tmp/a:Two\n/tmp/b:two\n");
        assert_eq!(fake.run(&["grep", "-vc", "o", "/tmp/a"]), 0);
        assert_eq!(fake.output(), "1\n");
        assert_eq!(fake.run(&["grep", "zzz", "/tmp/a"]), 1);
        assert_eq!(fake.output(), "");
    }
}
