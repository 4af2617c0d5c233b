//! The text of a line, and a cursor in it.

use alloc::string::String;

/// A text and a cursor, which always stands between two characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer {
    text: String,
    cursor: usize,
}

impl Buffer {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The cursor's place, in bytes.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Makes `text` the line, with the cursor at its end.
    pub(super) fn set(&mut self, text: &str) {
        self.text = text.into();
        self.end();
    }

    pub(super) fn insert(&mut self, character: char) {
        self.text.insert(self.cursor, character);
        self.cursor += character.len_utf8();
    }

    pub(super) fn insert_text(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Puts `text` in place of everything from `start` to the cursor.
    pub(super) fn replace(&mut self, start: usize, text: &str) {
        if start <= self.cursor && self.text.is_char_boundary(start) {
            self.text.replace_range(start..self.cursor, text);
            self.cursor = start + text.len();
        }
    }

    pub(super) fn delete(&mut self) {
        if !self.at_end() {
            self.text.remove(self.cursor);
        }
    }

    pub(super) fn backspace(&mut self) {
        if self.cursor > 0 {
            self.left();
            self.delete();
        }
    }

    pub(super) fn left(&mut self) {
        let before = self.text[..self.cursor].chars().next_back();
        self.cursor -= before.map_or(0, char::len_utf8);
    }

    pub(super) fn right(&mut self) {
        let next = self.text[self.cursor..].chars().next();
        self.cursor += next.map_or(0, char::len_utf8);
    }

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(super) fn word_left(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        self.cursor = before.rfind(char::is_whitespace).map_or(0, |place| {
            place + before[place..].chars().next().map_or(0, char::len_utf8)
        });
    }

    pub(super) fn word_right(&mut self) {
        let after = &self.text[self.cursor..];
        let word = after.len() - after.trim_start().len();
        let end = after[word..].find(char::is_whitespace);
        self.cursor += end.map_or(after.len(), |end| word + end);
    }

    pub(super) fn take_to_end(&mut self) -> String {
        self.text.split_off(self.cursor)
    }

    pub(super) fn take_to_start(&mut self) -> String {
        let taken = self.text.drain(..self.cursor).collect();
        self.cursor = 0;
        taken
    }

    /// Takes the word before the cursor, with the space behind it.
    pub(super) fn take_word(&mut self) -> String {
        let end = self.cursor;
        self.word_left();
        self.text.drain(self.cursor..end).collect()
    }
}
