//! What of a text is on the screen.

use alloc::format;
use alloc::string::String;
use unicode_width::UnicodeWidthChar;

use super::text::Text;

/// Lines of text on the screen; one more holds the name and a message.
pub(super) const LINES: usize = 23;
const COLUMNS: usize = 80;
const TAB: usize = 4;

/// Clears the screen for whoever comes next.
pub(super) const LEAVE: &[u8] = b"\x1b[2J\x1b[H";

/// The part of the text that is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    /// First line shown.
    top: usize,
    /// First column shown.
    left: usize,
}

impl View {
    /// Draws all, after moving as far as the cursor needs.
    pub(super) fn draw(&mut self, text: &Text, name: &str, message: &str) -> String {
        let (line, byte) = text.cursor();
        let column = width(&text.lines()[line][..byte]);
        self.top = self.top.clamp((line + 1).saturating_sub(LINES), line);
        self.left = self.left.clamp((column + 1).saturating_sub(COLUMNS), column);
        // Hidden cursor, home.
        let mut screen = String::from("\x1b[?25l\x1b[H");
        for row in 0..LINES {
            match text.lines().get(self.top + row) {
                Some(line) => self.put_line(&mut screen, line),
                None => screen.push('~'),
            }
            screen += "\x1b[K\r\n";
        }
        let mark = if text.changed { " (changed)" } else { "" };
        let status = format!("{name}{mark}  line {}  {message}", line + 1);
        screen += "\x1b[7m";
        screen.extend(status.chars().filter(|c| !c.is_control()).take(COLUMNS));
        screen += "\x1b[0m\x1b[K";
        let (row, column) = (line - self.top + 1, column - self.left + 1);
        screen + &format!("\x1b[{row};{column}H\x1b[?25h")
    }

    fn put_line(&self, screen: &mut String, line: &str) {
        let mut column = 0;
        for character in line.chars() {
            let next = column + cell(character, column);
            if next > self.left + COLUMNS {
                return;
            }
            if column >= self.left {
                match character {
                    '\t' => screen.extend(core::iter::repeat_n(' ', next - column)),
                    c if c.is_control() => screen.push('?'),
                    c => screen.push(c),
                }
            } else {
                // Half of a wide character is left of the screen.
                screen.extend(core::iter::repeat_n(' ', next.saturating_sub(self.left)));
            }
            column = next;
        }
    }
}

/// Columns that `text` takes from the left edge.
fn width(text: &str) -> usize {
    text.chars().fold(0, |column, c| column + cell(c, column))
}

fn cell(character: char, column: usize) -> usize {
    match character {
        '\t' => TAB - column % TAB,
        c => c.width().unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_wide_and_control_characters() {
        let mut view = View::default();
        let screen = view.draw(&Text::new("a\tb\x07世c"), "n", "m");
        assert!(screen.starts_with("\x1b[?25l\x1b[Ha   b?世c\x1b[K\r\n~\x1b[K\r\n"));
        assert!(screen.ends_with("n  line 1  m\x1b[0m\x1b[K\x1b[1;1H\x1b[?25h"), "{screen:?}");
        assert_eq!(width("a\tb世"), 7);
    }

    #[test]
    fn it_follows_the_cursor() {
        let mut text = Text::new(&"x".repeat(100));
        text.end();
        (0..30).for_each(|_| text.split());
        let mut view = View::default();
        view.draw(&text, "", "");
        assert_eq!((view.top, view.left), (8, 0));
        text.vertical(-30);
        text.end();
        view.draw(&text, "", "");
        assert_eq!((view.top, view.left), (0, 21));
        text.home();
        view.draw(&text, "", "");
        assert_eq!((view.top, view.left), (0, 0));
    }
}
