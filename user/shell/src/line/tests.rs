//! The editor as its user sees it: a small terminal shows what it sends.

use super::*;
use alloc::vec;
use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

const COLUMNS: usize = 40;

/// A terminal that knows what the editor sends, with one line of interest.
#[derive(Default)]
struct Terminal {
    row: Vec<char>,
    column: usize,
    above: Vec<String>,
}

impl Terminal {
    fn show(&mut self, output: &str) {
        let mut rest = output.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => {
                    let line: String = self.row.drain(..).collect();
                    self.above.push(line.trim_end().into());
                }
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['));
                    let mut number = String::new();
                    let last = loop {
                        match rest.next().unwrap() {
                            digit if digit.is_ascii_digit() => number.push(digit),
                            last => break last,
                        }
                    };
                    match last {
                        'K' => self.row.truncate(self.column),
                        'C' => self.column += number.parse::<usize>().unwrap(),
                        'J' => self.row.clear(),
                        'H' => self.column = 0,
                        other => panic!("unknown sequence {other}"),
                    }
                }
                character => {
                    let width = character.width().unwrap();
                    self.row
                        .resize(self.row.len().max(self.column + width), ' ');
                    self.row[self.column] = character;
                    (1..width).for_each(|more| self.row[self.column + more] = '\0');
                    self.column += width;
                    assert!(self.column < COLUMNS, "wraps");
                }
            }
        }
    }

    fn line(&self) -> String {
        let line: String = self.row.iter().filter(|c| **c != '\0').collect();
        line.trim_end().into()
    }
}

struct Words(&'static [&'static str]);

impl Complete for Words {
    fn complete(&mut self, line: &str, cursor: usize) -> Completions {
        let start = line[..cursor].rfind(' ').map_or(0, |place| place + 1);
        let fits = self
            .0
            .iter()
            .filter(|word| word.starts_with(&line[start..cursor]));
        let shown: Vec<String> = fits.map(|word| String::from(*word)).collect();
        let only = shown.len() == 1;
        let words = shown
            .iter()
            .map(|word| word.clone() + if only { " " } else { "" });
        Completions {
            start,
            words: words.collect(),
            shown,
        }
    }
}

struct Session {
    editor: Editor,
    terminal: Terminal,
}

impl Session {
    fn new() -> Self {
        let mut session = Session {
            editor: Editor::new(COLUMNS),
            terminal: Terminal::default(),
        };
        session.begin();
        session
    }

    fn begin(&mut self) {
        let mut out = String::new();
        self.editor.begin("> ", &mut out);
        self.terminal.show(&out);
    }

    fn type_bytes(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = vec![];
        for &byte in bytes {
            let mut out = String::new();
            let mut words = Words(&["cat", "caps", "kill", "café"]);
            let event = self.editor.feed(byte, &mut words, &mut out);
            self.terminal.show(&out);
            if let Some(event) = event {
                events.push(event);
                self.begin();
            }
        }
        events
    }

    fn line(&mut self, text: &str) -> String {
        match self.type_bytes(text.as_bytes()).pop() {
            Some(Event::Line(line)) => line,
            other => panic!("no line: {other:?}"),
        }
    }
}

#[test]
fn typing_moving_and_deleting() {
    let mut session = Session::new();
    session.type_bytes("hellö wörld".as_bytes());
    assert_eq!(session.terminal.line(), "> hellö wörld");
    session.type_bytes(b"\x01X\x05Y\x1b[D\x1b[D\x7f\x1b[3~");
    assert_eq!(session.terminal.line(), "> Xhellö wörY");
    assert_eq!(session.line("\r"), "Xhellö wörY");
    assert_eq!(session.terminal.above, ["> Xhellö wörY"]);
    assert_eq!(session.line("\x7f\x1b[D\x1b[C\x1b[3~\r"), "");
}

#[test]
fn words_and_what_was_taken() {
    let mut session = Session::new();
    assert_eq!(session.line("one two  three \x17\x17x\r"), "one x");
    assert_eq!(session.line("one two\x15\x19 \x19\r"), "one two one two");
    assert_eq!(session.line("one two\x1b[1;5D\x0b!\r"), "one !");
    assert_eq!(session.line("one two\x01\x1bf.\r"), "one. two");
}

#[test]
fn control_c_and_control_d() {
    let mut session = Session::new();
    assert_eq!(session.type_bytes(b"abc\x03"), [Event::Abandoned]);
    assert_eq!(session.terminal.above, ["> abc^C"]);
    assert_eq!(session.type_bytes(b"ab\x1b[D\x04\x7f"), []);
    assert_eq!(session.type_bytes(b"\x04"), [Event::End]);
}

#[test]
fn history_keeps_the_draft() {
    let mut session = Session::new();
    session.type_bytes(b"one\rtwo\rtwo\r  \r");
    assert_eq!(
        session.editor.history.lines().collect::<Vec<_>>(),
        ["one", "two"]
    );
    session.type_bytes(b"new\x1b[A");
    assert_eq!(session.terminal.line(), "> two");
    session.type_bytes(b"\x1b[A\x1b[A\x1b[A");
    assert_eq!(session.terminal.line(), "> one");
    session.type_bytes(b"\x1b[B\x1b[B\x1b[B");
    assert_eq!(session.terminal.line(), "> new");
    assert_eq!(session.line("\x15\x1b[A\x1b[A!\r"), "one!");
}

#[test]
fn a_search_finds_older_and_older_lines() {
    let mut session = Session::new();
    session.type_bytes(b"cat a\rls\rcat b\r");
    session.type_bytes(b"\x12cat");
    assert_eq!(session.terminal.line(), "(search `cat`) cat b");
    session.type_bytes(b"\x12");
    assert_eq!(session.terminal.line(), "(search `cat`) cat a");
    assert_eq!(session.line("\r"), "cat a");
    assert_eq!(session.line("\x12ls\x1b[D!\r"), "l!s");
    session.type_bytes(b"\x12ca\x07");
    assert_eq!(session.terminal.line(), ">");
    session.type_bytes(b"\x12caX\x7f");
    assert_eq!(session.terminal.line(), "(search `ca`) cat a");
}

#[test]
fn completion_extends_then_shows() {
    let mut session = Session::new();
    session.type_bytes(b"c\t");
    assert_eq!(session.terminal.line(), "> ca");
    assert!(session.terminal.above.is_empty());
    session.type_bytes(b"\t");
    assert_eq!(session.terminal.above, ["> ca", "cat   caps  café"]);
    assert_eq!(session.terminal.line(), "> ca");
    assert_eq!(session.line("f\tx k\t\r"), "café x kill ");
    assert_eq!(session.line("zzz\t\r"), "zzz");
}

#[test]
fn long_lines_scroll() {
    let mut session = Session::new();
    let text = "0123456789".repeat(6);
    session.type_bytes(text.as_bytes());
    let shown = session.terminal.line();
    assert!(shown.len() > 18 && text.ends_with(&shown[2..]), "{shown}");
    session.type_bytes(b"\x01");
    assert_eq!(session.terminal.line(), String::from("> ") + &text[..37]);
    assert_eq!(session.terminal.column, 2);
    session.type_bytes(b"\x0c");
    assert_eq!(session.line("\r"), text);
}

proptest! {
    /// Whatever is typed, the cursor is where the text says, nothing wraps, and
    /// what is shown is a part of the line.
    #[test]
    fn the_screen_shows_the_line(keys in proptest::collection::vec(0..26_u8, 0..120)) {
        let mut session = Session::new();
        for key in keys {
            let bytes: &[u8] = match key {
                0 => b"\x1b[D", 1 => b"\x1b[C", 2 => b"\x01", 3 => b"\x05", 4 => b"\x7f",
                5 => b"\x1b[3~", 6 => b"\x17", 7 => b"\x0b", 8 => b"\x19", 9 => b"\x1b[A",
                10 => b"\x1b[B", 11 => b"\r", 12 => b"\t", 13 => "世".as_bytes(),
                14 => "é".as_bytes(), 15 => b" ", 16 => b"\x0c", 17 => b"\x1bb",
                _ => b"abcdef",
            };
            session.type_bytes(bytes);
            let buffer = &session.editor.buffer;
            let (before, after) = buffer.text().split_at(buffer.cursor());
            let shown: String = session.terminal.row.iter().filter(|c| **c != '\0').collect();
            prop_assert!(shown.starts_with("> "));
            let mut column = 0;
            let at = shown.char_indices().find(|(_, c)| {
                column += c.width().unwrap();
                column > session.terminal.column
            });
            let (left, right) = shown.split_at(at.map_or(shown.len(), |(place, _)| place));
            prop_assert!(before.ends_with(&left[2..]), "{before:?} {left:?}");
            prop_assert!(after.starts_with(right.trim_end()), "{after:?} {right:?}");
        }
    }
}
