//! What a terminal sends, as keys.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Control and this lower-case letter, Enter, Tab and Backspace excepted.
    Control(char),
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character under the cursor.
    Delete,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// A word to the left.
    WordLeft,
    /// A word to the right.
    WordRight,
    /// Start of the line.
    Home,
    /// End of the line.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
}

/// Turns bytes into keys: UTF-8, control characters, and the escape sequences
/// of common terminals. What it does not know it swallows whole.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// Enter was the last key: a line feed right after it belongs to it.
    after_return: bool,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Ground,
    /// Inside a character: bytes so far, how many, and how many there will be.
    Utf8([u8; 4], usize, usize),
    Escape,
    /// After `ESC [`: the first two numbers, and which one is being read.
    Sequence([u16; 2], usize),
    /// After `ESC O`.
    Single,
}

impl Decoder {
    /// Takes a byte; returns the key that it completes.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        let after_return = core::mem::take(&mut self.after_return);
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, after_return),
            State::Utf8(bytes, have, need) => self.continuation(bytes, have, need, byte),
            State::Escape => {
                match byte {
                    b'[' => self.state = State::Sequence([0; 2], 0),
                    b'O' => self.state = State::Single,
                    0x1b => self.state = State::Escape,
                    b'b' => return Some(Key::WordLeft),
                    b'f' => return Some(Key::WordRight),
                    _ => {}
                }
                None
            }
            State::Single => final_key(byte, [0; 2]),
            State::Sequence(mut numbers, at) => {
                match byte {
                    b'0'..=b'9' => {
                        if let Some(number) = numbers.get_mut(at) {
                            *number = number
                                .saturating_mul(10)
                                .saturating_add((byte - b'0').into());
                        }
                        self.state = State::Sequence(numbers, at);
                    }
                    b';' => self.state = State::Sequence(numbers, at + 1),
                    0x40..=0x7e => return final_key(byte, numbers),
                    0x20..=0x3f => self.state = State::Sequence(numbers, at),
                    // No sequence has this inside: it was cut short.
                    _ => return self.ground(byte, false),
                }
                None
            }
        }
    }

    fn ground(&mut self, byte: u8, after_return: bool) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.after_return = true;
                Key::Enter
            }
            b'\n' if after_return => return None,
            b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            1..=26 => Key::Control((byte - 1 + b'a') as char),
            0 | 0x1c..=0x1f => return None,
            0x20..=0x7e => Key::Char(byte as char),
            0xc2..=0xf4 => {
                let need = match byte {
                    ..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    _ => 4,
                };
                self.state = State::Utf8([byte, 0, 0, 0], 1, need);
                return None;
            }
            _ => Key::Char(char::REPLACEMENT_CHARACTER),
        })
    }

    fn continuation(
        &mut self,
        mut bytes: [u8; 4],
        have: usize,
        need: usize,
        byte: u8,
    ) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            // The character was cut short; the byte starts something new.
            return self.ground(byte, false);
        }
        bytes[have] = byte;
        if have + 1 < need {
            self.state = State::Utf8(bytes, have + 1, need);
            return None;
        }
        let text = core::str::from_utf8(&bytes[..need]).ok();
        let character = text.and_then(|text| text.chars().next());
        Some(Key::Char(character.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

/// The key of a sequence that ends in `byte`; its second number names modifiers.
fn final_key(byte: u8, numbers: [u16; 2]) -> Option<Key> {
    let word = numbers[1] >= 2;
    Some(match (byte, numbers[0]) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if word => Key::WordRight,
        (b'D', _) if word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) => Key::Delete,
        (b'~', 5) => Key::PageUp,
        (b'~', 6) => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .filter_map(|&byte| decoder.feed(byte))
            .collect()
    }

    #[test]
    fn sequences_of_several_terminals() {
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Key::Up, Key::Down]);
        assert_eq!(
            keys(b"\x1b[1;5C\x1b[1~\x1b[4~"),
            [Key::WordRight, Key::Home, Key::End]
        );
        assert_eq!(
            keys(b"\x1b[3~\x7f\x08"),
            [Key::Delete, Key::Backspace, Key::Backspace]
        );
        assert_eq!(keys(b"\x1b[200~x\x1b[?25h"), [Key::Char('x')]);
        assert_eq!(keys(b"\x01\x1a"), [Key::Control('a'), Key::Control('z')]);
    }

    #[test]
    fn a_return_with_a_line_feed_is_one_enter() {
        assert_eq!(keys(b"\r\n\n\r\r"), [Key::Enter; 4]);
    }

    #[test]
    fn broken_characters_are_replaced_or_dropped() {
        assert_eq!(
            keys("aé€😀".as_bytes()),
            ['a', 'é', '€', '😀'].map(Key::Char)
        );
        assert_eq!(keys(b"\xe2\x82a"), [Key::Char('a')]);
        assert_eq!(keys(b"\xff"), [Key::Char('\u{fffd}')]);
    }

    proptest! {
        #[test]
        fn text_comes_through(text in "[^\\p{Cc}]{0,40}") {
            let expected: Vec<Key> = text.chars().map(Key::Char).collect();
            prop_assert_eq!(keys(text.as_bytes()), expected);
        }

        #[test]
        fn after_any_bytes_it_recovers(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut decoder = Decoder::default();
            for byte in bytes {
                decoder.feed(byte);
            }
            // A letter ends any sequence; then all is as new.
            for byte in *b"zz" {
                decoder.feed(byte);
            }
            prop_assert_eq!(decoder.feed(b'q'), Some(Key::Char('q')));
        }
    }
}
