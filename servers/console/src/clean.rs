//! What remains of a client's output when it must not control the terminal.

use alloc::string::String;

/// The console's own mark. No client's output ever contains it.
pub const MARK: char = '▶';

/// Longest piece of a line, in bytes; longer ones are broken.
pub const MAX_TEXT: usize = 240;

/// Turns bytes into lines of harmless characters.
#[derive(Debug, Default)]
pub struct Cleaner {
    state: State,
    /// The bytes of a character so far.
    partial: [u8; 4],
    length: usize,
    text: String,
    complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After an escape.
    Escape,
    /// In a control sequence, up to a final byte.
    Sequence,
    /// In a string for the terminal, up to a bell or an escape.
    String,
}

impl Cleaner {
    /// Takes bytes until a line is complete; returns how many.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.complete {
                return index;
            }
            self.byte(byte);
        }
        bytes.len()
    }

    /// The line, if it is complete.
    pub fn line(&self) -> Option<&str> {
        self.complete.then_some(self.text.as_str())
    }

    /// What there is of a line that will get no more.
    pub fn rest(&self) -> Option<&str> {
        (!self.text.is_empty()).then_some(self.text.as_str())
    }

    /// Begins the next line.
    pub fn next(&mut self) {
        self.text.clear();
        self.complete = false;
    }

    fn byte(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Text, 0x1b) => State::Escape,
            (State::Text, _) => {
                self.text_byte(byte);
                State::Text
            }
            (State::Escape, b'[') => State::Sequence,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            (State::Escape, 0x20..0x30) => State::Escape,
            (State::Sequence, 0x20..0x40) => State::Sequence,
            (State::String, 0x1b) => State::Escape,
            // A newline ends anything, so that no output is swallowed for good.
            (_, b'\n') => {
                self.text_byte(byte);
                State::Text
            }
            (State::String, 0x07) => State::Text,
            (State::String, _) => State::String,
            (State::Escape, 0x1b) | (State::Sequence, 0x1b) => State::Escape,
            (State::Escape | State::Sequence, _) => State::Text,
        };
    }

    fn text_byte(&mut self, byte: u8) {
        if self.length > 0 {
            if byte & 0xc0 == 0x80 {
                return self.continuation(byte);
            }
            self.length = 0;
            self.push('\u{fffd}');
        }
        match byte {
            b'\n' => self.complete = true,
            b'\t' => self.push(' '),
            0..0x20 | 0x7f => {}
            0x20..0x7f => self.push(char::from(byte)),
            _ => {
                self.partial[0] = byte;
                self.length = 1;
            }
        }
    }

    fn continuation(&mut self, byte: u8) {
        self.partial[self.length] = byte;
        self.length += 1;
        match core::str::from_utf8(&self.partial[..self.length]) {
            Ok(text) => {
                let character = text.chars().next();
                self.length = 0;
                self.push(character.unwrap_or('\u{fffd}'));
            }
            // More bytes may complete it.
            Err(error) if error.error_len().is_none() && self.length < 4 => {}
            Err(_) => {
                self.length = 0;
                self.push('\u{fffd}');
            }
        }
    }

    fn push(&mut self, character: char) {
        self.text.push(if is_harmless(character) {
            character
        } else {
            '?'
        });
        if self.text.len() + 4 > MAX_TEXT {
            self.complete = true;
        }
    }
}

/// Whether a character neither controls the terminal nor changes the direction
/// of text nor looks like the console's own.
fn is_harmless(character: char) -> bool {
    let changes_layout = matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !character.is_control() && !changes_layout && character != MARK
}

/// Takes the mark out of output that is otherwise left alone.
#[derive(Debug, Default)]
pub struct MarkFilter {
    /// Bytes of the mark seen so far and held back.
    held: usize,
}

impl MarkFilter {
    const MARK: [u8; 3] = {
        let mut bytes = [0; 3];
        MARK.encode_utf8(&mut bytes);
        bytes
    };

    /// Passes a byte on, unless it completes the mark, which becomes `?`.
    pub fn byte(&mut self, byte: u8, pass: &mut dyn FnMut(u8)) {
        if byte == Self::MARK[self.held] {
            self.held += 1;
            if self.held == Self::MARK.len() {
                self.held = 0;
                pass(b'?');
            }
            return;
        }
        self.release(pass);
        if byte == Self::MARK[0] {
            self.held = 1;
        } else {
            pass(byte);
        }
    }

    /// Passes `?` on for what was held back: it gets no end.
    pub fn abandon(&mut self, pass: &mut dyn FnMut(u8)) {
        if core::mem::take(&mut self.held) > 0 {
            pass(b'?');
        }
    }

    /// Passes on what was held back.
    fn release(&mut self, pass: &mut dyn FnMut(u8)) {
        let held = core::mem::take(&mut self.held);
        Self::MARK[..held].iter().for_each(|&byte| pass(byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn clean(mut bytes: &[u8]) -> Vec<String> {
        let (mut cleaner, mut lines) = (Cleaner::default(), Vec::new());
        while !bytes.is_empty() {
            bytes = &bytes[cleaner.feed(bytes)..];
            if let Some(line) = cleaner.line() {
                lines.push(line.into());
                cleaner.next();
            }
        }
        lines.extend(cleaner.rest().map(String::from));
        lines
    }

    fn unmark(bytes: &[u8]) -> Vec<u8> {
        let (mut filter, mut out) = (MarkFilter::default(), Vec::new());
        for &byte in bytes {
            filter.byte(byte, &mut |byte| out.push(byte));
        }
        filter.release(&mut |byte| out.push(byte));
        out
    }

    #[test]
    fn lines_lose_all_control() {
        let cases: [(&[u8], &[&str]); 9] = [
            (b"plain\ntext", &["plain", "text"]),
            (b"\x1b[31mred\x1b[0m\r\n", &["red"]),
            (b"\x1b]0;title\x07shown\n", &["shown"]),
            (b"\x1b]0;title\x1b\\shown\n", &["shown"]),
            (b"\x1bPdevice\nnext\n", &["", "next"]),
            (b"a\tb\x08c\x7f\n", &["a bc"]),
            ("\u{9b}2Jgrün ▶\u{202e}\n".as_bytes(), &["?2Jgrün ??"]),
            (b"\xff\xc3(\xe2\x96\n", &["\u{fffd}\u{fffd}(\u{fffd}"]),
            (b"\x1b(0q\n", &["q"]),
        ];
        for (bytes, lines) in cases {
            assert_eq!(clean(bytes), lines, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_mark_cannot_be_written() {
        assert_eq!(unmark("a▶b".as_bytes()), b"a?b");
        assert_eq!(unmark("◀\u{25b7}é".as_bytes()), "◀\u{25b7}é".as_bytes());
        // The beginning of the mark, twice.
        assert_eq!(unmark(b"\xe2\x96\xe2\x96\xb6"), b"\xe2\x96?");
        assert_eq!(unmark(b"\xe2\xe2\x96\xb6\xe2"), b"\xe2?\xe2");
    }

    proptest! {
        #[test]
        fn whatever_comes_the_lines_are_harmless(bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(0xe2), Just(0x96), Just(0xb6)],
            0..600,
        )) {
            for line in clean(&bytes) {
                prop_assert!(line.len() <= MAX_TEXT);
                prop_assert!(line.chars().all(is_harmless));
            }
            let mark = MarkFilter::MARK;
            let unmarked = unmark(&bytes);
            prop_assert!(!unmarked.windows(3).any(|window| window == mark));
        }

        #[test]
        fn harmless_text_stays(text in "[a-zäöü€🙂 ]{0,50}") {
            prop_assert_eq!(clean(text.as_bytes()).concat(), text.clone());
            prop_assert_eq!(unmark(text.as_bytes()), text.as_bytes());
        }
    }
}
