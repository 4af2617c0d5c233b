//! What a line looks like on the terminal.
//!
//! A line too long for the screen is shown in part, so that nothing depends on
//! how a terminal wraps. The prompt is sent once a line: updates leave it alone.

use alloc::format;
use alloc::string::String;
use unicode_width::UnicodeWidthChar;

use super::buffer::Buffer;

/// Fewest columns for the text, however long the prompt is.
const LEAST: usize = 10;

/// The part of the line that is shown, and where.
#[derive(Debug)]
pub(super) struct Screen {
    columns: usize,
    prompt: String,
    /// Column of the first character of the text.
    left: usize,
    /// First byte of the text that is shown.
    start: usize,
    /// Columns that the text shown takes.
    used: usize,
}

impl Screen {
    pub(super) fn new(columns: usize) -> Self {
        Screen {
            columns: columns.max(2 * LEAST),
            prompt: String::new(),
            left: 0,
            start: 0,
            used: 0,
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Begins a line.
    pub(super) fn begin(&mut self, prompt: &str, out: &mut String) {
        self.prompt = prompt.into();
        self.left = width(prompt).min(self.columns - LEAST);
        self.again(out);
    }

    /// Shows the prompt again, on a line of its own.
    pub(super) fn again(&mut self, out: &mut String) {
        (self.start, self.used) = (0, 0);
        *out += "\r\x1b[K";
        *out += &self.prompt;
    }

    /// Clears the whole screen and shows the prompt.
    pub(super) fn clear(&mut self, out: &mut String) {
        *out += "\x1b[2J\x1b[H";
        self.again(out);
    }

    /// Columns for the text; the last one stays free for the cursor.
    fn room(&self) -> usize {
        self.columns - self.left - 1
    }

    /// Shows a character that was added at the end. `false` if it does not fit
    /// so simply.
    pub(super) fn append(&mut self, character: char, out: &mut String) -> bool {
        let width = cell(character);
        if width == 0 || self.used + width > self.room() {
            return false;
        }
        self.used += width;
        out.push(character);
        true
    }

    /// Shows the part of the line with the cursor in it.
    pub(super) fn draw(&mut self, buffer: &Buffer, out: &mut String) {
        let (text, cursor) = (buffer.text(), buffer.cursor());
        // The text may be another one than last time.
        self.start = text.floor_char_boundary(self.start.min(cursor));
        if width(&text[self.start..cursor]) > self.room() {
            // Far enough that the next characters need no drawing of it all.
            while width(&text[self.start..cursor]) > self.room() / 2 {
                let first = text[self.start..].chars().next();
                self.start += first.map_or(1, char::len_utf8);
            }
        }
        *out += &format!("\r{}", right(self.left));
        self.used = 0;
        for character in text[self.start..].chars() {
            if self.used + cell(character) > self.room() {
                break;
            }
            self.used += cell(character);
            out.push(shown(character));
        }
        *out += "\x1b[K";
        let column = self.left + width(&text[self.start..cursor]);
        *out += &format!("\r{}", right(column));
    }

    /// Shows a search in place of the prompt and the line.
    pub(super) fn show_search(&mut self, query: &str, found: &str, out: &mut String) {
        *out += "\r\x1b[K";
        let text = format!("(search `{query}`) {found}");
        let mut used = 0;
        for character in text.chars() {
            used += cell(character);
            if used >= self.columns {
                break;
            }
            out.push(shown(character));
        }
    }
}

/// Moves the cursor to the right.
fn right(columns: usize) -> String {
    match columns {
        0 => String::new(),
        columns => format!("\x1b[{columns}C"),
    }
}

fn cell(character: char) -> usize {
    character.width().unwrap_or(1)
}

fn width(text: &str) -> usize {
    text.chars().map(cell).sum()
}

/// A character as it can be sent to a terminal.
fn shown(character: char) -> char {
    if character.is_control() {
        '?'
    } else {
        character
    }
}
