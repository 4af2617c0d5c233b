//! The line discipline: what a typed byte does to the line that is being
//! entered, and what is echoed.

use alloc::vec::Vec;

/// Longest line in bytes, its newline included.
pub const MAX_LINE: usize = 1024;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const KILL_WORD: u8 = 0x17;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// What came of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing that a reader sees.
    None,
    /// The line is complete: take it.
    Line,
    /// End of input was typed on an empty line.
    End,
    /// Ctrl-C was typed; the line is gone.
    Interrupt,
}

/// A line being entered.
#[derive(Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    escape: Escape,
}

/// Escape sequences, as arrow keys send them, mean nothing here and are
/// swallowed.
#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After the escape byte.
    Begun,
    /// Inside a sequence that ends with a letter or `~`.
    Sequence,
}

impl Line {
    /// Takes a typed byte. `echo` gets what the terminal is to show.
    pub fn input(&mut self, byte: u8, echo: &mut dyn FnMut(&[u8])) -> Event {
        if self.swallow(byte) {
            return Event::None;
        }
        match byte {
            b'\r' | b'\n' => {
                self.bytes.push(b'\n');
                echo(b"\n");
                return Event::Line;
            }
            INTERRUPT => {
                self.bytes.clear();
                echo(b"^C\n");
                return Event::Interrupt;
            }
            END if self.bytes.is_empty() => return Event::End,
            END => return Event::Line,
            BACKSPACE | DELETE => self.erase(echo),
            KILL_LINE => {
                while !self.bytes.is_empty() {
                    self.erase(echo);
                }
            }
            KILL_WORD => {
                while self.bytes.last() == Some(&b' ') {
                    self.erase(echo);
                }
                while self.bytes.last().is_some_and(|&byte| byte != b' ') {
                    self.erase(echo);
                }
            }
            ESCAPE => self.escape = Escape::Begun,
            b'\t' => self.insert(byte, b" ", echo),
            0..0x20 => {}
            _ => self.insert(byte, &[byte], echo),
        }
        Event::None
    }

    /// The line, which is then empty.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }

    fn swallow(&mut self, byte: u8) -> bool {
        let (swallowed, next) = match (&self.escape, byte) {
            (Escape::None, _) => (false, Escape::None),
            (Escape::Begun, b'[' | b'O') => (true, Escape::Sequence),
            (Escape::Sequence, 0x20..0x40) => (true, Escape::Sequence),
            // The byte that ends it, or one that cannot belong to it.
            (_, 0x20..0x7f) => (true, Escape::None),
            (_, _) => (false, Escape::None),
        };
        self.escape = next;
        swallowed
    }

    fn insert(&mut self, byte: u8, shown: &[u8], echo: &mut dyn FnMut(&[u8])) {
        // Room for the newline is kept.
        if self.bytes.len() + 1 < MAX_LINE {
            self.bytes.push(byte);
            echo(shown);
        } else {
            echo(&[BELL]);
        }
    }

    /// Takes the last character away, of however many bytes.
    fn erase(&mut self, echo: &mut dyn FnMut(&[u8])) {
        let mut erased = false;
        while let Some(byte) = self.bytes.pop() {
            erased = true;
            if byte & 0xc0 != 0x80 {
                break;
            }
        }
        if erased {
            echo(b"\x08 \x08");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    /// Lines entered, and what was shown.
    fn enter(typed: &str) -> (Vec<String>, String, Vec<Event>) {
        let (mut line, mut shown) = (Line::default(), Vec::new());
        let (mut lines, mut events) = (Vec::new(), Vec::new());
        for byte in typed.bytes() {
            match line.input(byte, &mut |bytes| shown.extend_from_slice(bytes)) {
                Event::None => {}
                Event::Line => lines.push(String::from_utf8(line.take()).unwrap()),
                event => events.push(event),
            }
        }
        (lines, String::from_utf8(shown).unwrap(), events)
    }

    fn line(typed: &str) -> String {
        enter(typed).0.concat()
    }

    #[test]
    fn a_line_is_echoed_and_ends_with_either_key() {
        let (lines, shown, _) = enter("ls -l\rpwd\n");
        assert_eq!(lines, ["ls -l\n", "pwd\n"]);
        assert_eq!(shown, "ls -l\npwd\n");
    }

    #[test]
    fn keys_that_edit() {
        assert_eq!(line("lx\x7fs\r"), "ls\n");
        assert_eq!(line("\x08ls\r"), "ls\n");
        assert_eq!(line("grün\x7f\x7f\x7fau\r"), "gau\n");
        assert_eq!(line("one two\x15three\r"), "three\n");
        assert_eq!(line("one two  \x17three\r"), "one three\n");
        assert_eq!(enter("ü\x7f").1, "ü\x08 \x08");
    }

    #[test]
    fn interrupt_and_end() {
        assert_eq!(enter("rm \x03ls\r").0, ["ls\n"]);
        assert_eq!(enter("rm \x03").2, [Event::Interrupt]);
        assert_eq!(enter("\x04").2, [Event::End]);
        assert_eq!(
            enter("partial\x04\x04"),
            (
                ["partial".into()].into(),
                "partial".into(),
                [Event::End].into(),
            )
        );
    }

    #[test]
    fn arrow_keys_mean_nothing() {
        assert_eq!(line("a\x1b[A\x1b[1;5Cb\x1bOHc\x1b[3~d\x1bxe\r"), "abcde\n");
        assert_eq!(line("a\x1b[\rb"), "a\n");
    }

    proptest! {
        #[test]
        fn lines_are_bounded_and_end_once(typed in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let mut line = Line::default();
            for byte in typed {
                let event = line.input(byte, &mut |_| {});
                prop_assert!(line.bytes.len() <= MAX_LINE);
                if event == Event::Line {
                    let bytes = line.take();
                    let newlines = bytes.iter().filter(|&&byte| byte == b'\n').count();
                    prop_assert!(newlines == 0 || newlines == 1 && bytes.ends_with(b"\n"));
                }
            }
        }
    }
}
