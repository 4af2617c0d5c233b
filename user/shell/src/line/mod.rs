//! The line editor: bytes of a terminal in, a line and screen updates out.

mod buffer;
mod history;
mod screen;

use alloc::string::String;
use alloc::vec::Vec;
use tessera_tools::format::columns;
use tessera_tools::keys::{Decoder, Key};

use buffer::Buffer;
pub use history::History;
use screen::Screen;

/// What a byte led to, if it ended the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line was entered.
    Line(String),
    /// Ctrl-C abandoned the line.
    Abandoned,
    /// Ctrl-D on an empty line: there will be no more.
    End,
}

/// What could stand in place of the word at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Where that word begins in the line.
    pub start: usize,
    /// Whole words, quoted as the line needs, with what follows them.
    pub words: Vec<String>,
    /// How to show each, if there are several.
    pub shown: Vec<String>,
}

/// Knows what could stand at a place in a line.
pub trait Complete {
    /// The completions for the word that ends at `cursor`.
    fn complete(&mut self, line: &str, cursor: usize) -> Completions;
}

/// A line being edited, and the lines before it.
#[derive(Debug)]
pub struct Editor {
    decoder: Decoder,
    buffer: Buffer,
    screen: Screen,
    /// Text that Ctrl-K, Ctrl-U or Ctrl-W took last.
    taken: String,
    /// What Ctrl-R looks for.
    search: Option<String>,
    /// The lines before.
    pub history: History,
}

impl Editor {
    /// An editor for a terminal with lines of `columns`.
    pub fn new(columns: usize) -> Self {
        Editor {
            decoder: Decoder::default(),
            buffer: Buffer::default(),
            screen: Screen::new(columns),
            taken: String::new(),
            search: None,
            history: History::default(),
        }
    }

    /// Begins a line.
    pub fn begin(&mut self, prompt: &str, out: &mut String) {
        self.buffer = Buffer::default();
        self.search = None;
        self.history.leave();
        self.screen.begin(prompt, out);
    }

    /// Takes a byte from the terminal and appends what it must show to `out`.
    pub fn feed(
        &mut self,
        byte: u8,
        complete: &mut dyn Complete,
        out: &mut String,
    ) -> Option<Event> {
        let key = self.decoder.feed(byte)?;
        if self.search.is_some() {
            return self.search_key(key, complete, out);
        }
        self.key(key, complete, out)
    }

    fn key(&mut self, key: Key, complete: &mut dyn Complete, out: &mut String) -> Option<Event> {
        let buffer = &mut self.buffer;
        match key {
            Key::Char(character) => {
                let at_end = buffer.at_end();
                buffer.insert(character);
                if at_end && self.screen.append(character, out) {
                    return None;
                }
            }
            Key::Enter => return Some(self.enter(out)),
            Key::Tab => self.complete(complete, out),
            Key::Control('c') => {
                *out += "^C\r\n";
                return Some(Event::Abandoned);
            }
            Key::Control('d') if buffer.text().is_empty() => {
                *out += "\r\n";
                return Some(Event::End);
            }
            Key::Control('l') => self.screen.clear(out),
            Key::Control('r') => {
                self.search = Some(String::new());
                self.history.leave();
                self.show_search(out);
                return None;
            }
            Key::Control('k') => self.taken = buffer.take_to_end(),
            Key::Control('u') => self.taken = buffer.take_to_start(),
            Key::Control('w') => self.taken = buffer.take_word(),
            Key::Control('y') => buffer.insert_text(&self.taken),
            Key::Up | Key::Control('p') => {
                if let Some(line) = self.history.older(buffer.text()) {
                    buffer.set(line);
                }
            }
            Key::Down | Key::Control('n') => {
                if let Some(line) = self.history.newer() {
                    buffer.set(line);
                }
            }
            Key::Backspace => buffer.backspace(),
            Key::Delete | Key::Control('d') => buffer.delete(),
            Key::Left | Key::Control('b') => buffer.left(),
            Key::Right | Key::Control('f') => buffer.right(),
            Key::WordLeft => buffer.word_left(),
            Key::WordRight => buffer.word_right(),
            Key::Home | Key::Control('a') => buffer.home(),
            Key::End | Key::Control('e') => buffer.end(),
            Key::PageUp | Key::PageDown | Key::Control(_) => return None,
        }
        self.screen.draw(&self.buffer, out);
        None
    }

    fn enter(&mut self, out: &mut String) -> Event {
        if !self.buffer.at_end() {
            self.buffer.end();
            self.screen.draw(&self.buffer, out);
        }
        *out += "\r\n";
        let line = String::from(self.buffer.text());
        self.history.add(&line);
        Event::Line(line)
    }

    /// Puts in what all completions have in common; shows them if that is nothing.
    fn complete(&mut self, complete: &mut dyn Complete, out: &mut String) {
        let cursor = self.buffer.cursor();
        let completions = complete.complete(self.buffer.text(), cursor);
        let Some(common) = common_prefix(&completions.words) else {
            return;
        };
        let word = self.buffer.text().get(completions.start..cursor);
        if completions.words.len() == 1 || word.is_some_and(|word| common.len() > word.len()) {
            self.buffer.replace(completions.start, common);
        } else {
            *out += "\r\n";
            *out += &columns(&completions.shown, self.screen.columns()).replace('\n', "\r\n");
            self.screen.again(out);
        }
    }

    fn search_key(
        &mut self,
        key: Key,
        complete: &mut dyn Complete,
        out: &mut String,
    ) -> Option<Event> {
        let mut query = self.search.take().unwrap_or_default();
        let next = match key {
            Key::Char(character) => {
                query.push(character);
                self.history.find(&query, false)
            }
            Key::Control('r') => self.history.find(&query, true),
            Key::Backspace => {
                query.pop();
                self.history.leave();
                self.history.find(&query, false)
            }
            Key::Control('g' | 'c') => {
                self.history.leave();
                self.buffer = Buffer::default();
                self.screen.again(out);
                self.screen.draw(&self.buffer, out);
                return None;
            }
            // Any other key is for the line that was found.
            key => {
                self.screen.again(out);
                self.screen.draw(&self.buffer, out);
                return self.key(key, complete, out);
            }
        };
        if let Some(line) = next {
            self.buffer.set(line);
        }
        self.search = Some(query);
        self.show_search(out);
        None
    }

    fn show_search(&mut self, out: &mut String) {
        let query = self.search.as_deref().unwrap_or_default();
        self.screen.show_search(query, self.buffer.text(), out);
    }
}

/// The longest text with which all of `words` begin; `None` if there are none.
fn common_prefix(words: &[String]) -> Option<&str> {
    let (first, rest) = words.split_first()?;
    let mut end = first.len();
    for word in rest {
        let same = first.bytes().zip(word.bytes()).take_while(|(a, b)| a == b);
        end = end.min(same.count());
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    Some(&first[..end])
}

#[cfg(test)]
mod tests;
