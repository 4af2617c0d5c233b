//! A text with a cursor in it.

use alloc::string::String;
use alloc::vec::Vec;

/// Lines, and a cursor that is always inside them.
#[derive(Debug)]
pub(super) struct Text {
    /// At least one.
    lines: Vec<String>,
    line: usize,
    /// In bytes, at the start of a character or at the end of the line.
    column: usize,
    /// The line that was cut last.
    cut: Option<String>,
    /// Nothing was loaded: then the text gets a line end at its end.
    new: bool,
    /// Whether it differs from what was loaded or saved.
    pub(super) changed: bool,
}

impl Text {
    pub(super) fn new(contents: &str) -> Self {
        Text {
            lines: contents.split('\n').map(String::from).collect(),
            line: 0,
            column: 0,
            cut: None,
            new: contents.is_empty(),
            changed: false,
        }
    }

    /// The whole text.
    pub(super) fn contents(&self) -> String {
        let mut contents = self.lines.join("\n");
        if self.new && !contents.is_empty() && !contents.ends_with('\n') {
            contents.push('\n');
        }
        contents
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Line and byte of the cursor.
    pub(super) fn cursor(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    pub(super) fn insert(&mut self, character: char) {
        self.lines[self.line].insert(self.column, character);
        self.column += character.len_utf8();
        self.changed = true;
    }

    /// Ends the line at the cursor.
    pub(super) fn split(&mut self) {
        let rest = self.lines[self.line].split_off(self.column);
        self.line += 1;
        self.column = 0;
        self.lines.insert(self.line, rest);
        self.changed = true;
    }

    /// Deletes the character under the cursor, or joins the next line.
    pub(super) fn delete(&mut self) {
        if self.column < self.lines[self.line].len() {
            self.lines[self.line].remove(self.column);
        } else if self.line + 1 < self.lines.len() {
            let next = self.lines.remove(self.line + 1);
            self.lines[self.line] += &next;
        } else {
            return;
        }
        self.changed = true;
    }

    pub(super) fn backspace(&mut self) {
        if (self.line, self.column) != (0, 0) {
            self.left();
            self.delete();
        }
    }

    pub(super) fn left(&mut self) {
        if let Some(before) = self.lines[self.line][..self.column].chars().next_back() {
            self.column -= before.len_utf8();
        } else if self.line > 0 {
            self.line -= 1;
            self.end();
        }
    }

    pub(super) fn right(&mut self) {
        if let Some(next) = self.lines[self.line][self.column..].chars().next() {
            self.column += next.len_utf8();
        } else if self.line + 1 < self.lines.len() {
            self.line += 1;
            self.column = 0;
        }
    }

    pub(super) fn home(&mut self) {
        self.column = 0;
    }

    pub(super) fn end(&mut self) {
        self.column = self.lines[self.line].len();
    }

    /// Moves by so many lines, staying as many characters from the left as can be.
    pub(super) fn vertical(&mut self, by: isize) {
        let characters = self.lines[self.line][..self.column].chars().count();
        self.line = self.line.saturating_add_signed(by).min(self.lines.len() - 1);
        let line = &self.lines[self.line];
        let place = line.char_indices().nth(characters);
        self.column = place.map_or(line.len(), |(place, _)| place);
    }

    /// Cuts the line of the cursor.
    pub(super) fn cut(&mut self) {
        self.column = 0;
        let only = self.lines.len() == 1;
        let line = if only {
            core::mem::take(&mut self.lines[0])
        } else {
            self.lines.remove(self.line)
        };
        self.line = self.line.min(self.lines.len() - 1);
        self.cut = Some(line);
        self.changed = true;
    }

    /// Puts the line that was cut last above the one of the cursor.
    pub(super) fn put(&mut self) {
        if let Some(line) = self.cut.clone() {
            self.lines.insert(self.line, line);
            self.column = 0;
            self.changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn act(text: &mut Text, action: u8, character: char) {
        match action {
            0..=4 => text.insert(character),
            5 => text.split(),
            6 => text.delete(),
            7 => text.backspace(),
            8 => text.left(),
            9 => text.right(),
            10 => text.home(),
            11 => text.end(),
            12 => text.vertical(-2),
            13 => text.vertical(3),
            14 => text.cut(),
            _ => text.put(),
        }
    }

    proptest! {
        #[test]
        fn the_cursor_stays_inside(
            contents in "[aé\n]{0,20}",
            actions in proptest::collection::vec((0..16_u8, "[a€]"), 0..60),
        ) {
            let mut text = Text::new(&contents);
            for (action, character) in actions {
                act(&mut text, action, character.chars().next().unwrap());
                let (line, column) = text.cursor();
                prop_assert!(text.lines()[line].is_char_boundary(column));
            }
        }

        #[test]
        fn typing_and_taking_back_changes_nothing(contents in "[aé\n]{1,20}", typed in "[a€]{0,9}") {
            let mut text = Text::new(&contents);
            text.vertical(1);
            typed.chars().for_each(|c| text.insert(c));
            text.split();
            (0..=typed.chars().count()).for_each(|_| text.backspace());
            prop_assert_eq!(text.contents(), contents);
        }
    }
}
