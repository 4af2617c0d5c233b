//! The lines that were entered before.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Most lines kept.
const LINES: usize = 200;
/// Most bytes kept, of all lines together.
const BYTES: usize = 16 << 10;

/// Lines entered before, and which of them is being looked at.
#[derive(Debug, Default)]
pub struct History {
    /// The oldest first.
    lines: VecDeque<String>,
    /// Index of the line being looked at; none is the new line.
    place: Option<usize>,
    /// The new line, while an older one is being looked at.
    draft: String,
}

impl History {
    /// Keeps a line, unless it is empty or the same as the last.
    pub fn add(&mut self, line: &str) {
        self.leave();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push_back(line.into());
        while self.lines.len() > LINES || self.bytes() > BYTES {
            self.lines.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.lines.iter().map(String::len).sum()
    }

    /// All lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Goes back to the new line.
    pub fn leave(&mut self) {
        self.place = None;
        self.draft.clear();
    }

    /// The line before the one being looked at; `current` is what the editor
    /// shows.
    pub fn older(&mut self, current: &str) -> Option<&str> {
        let place = match self.place {
            None => {
                self.draft = current.into();
                self.lines.len()
            }
            Some(place) => place,
        };
        self.place = Some(place.checked_sub(1)?);
        self.lines.get(place - 1).map(String::as_str)
    }

    /// The line after the one being looked at; the new line is the last.
    pub fn newer(&mut self) -> Option<&str> {
        let next = self.place? + 1;
        if next >= self.lines.len() {
            self.place = None;
            return Some(&self.draft);
        }
        self.place = Some(next);
        self.lines.get(next).map(String::as_str)
    }

    /// The newest line with `query` in it; not the one being looked at, but an
    /// older one, if `further`.
    pub fn find(&mut self, query: &str, further: bool) -> Option<&str> {
        let newest = match self.place {
            Some(place) if further => place,
            Some(place) => place + 1,
            None => self.lines.len(),
        };
        let found = self
            .lines
            .iter()
            .take(newest)
            .rposition(|line| line.contains(query))?;
        self.place = Some(found);
        self.lines.get(found).map(String::as_str)
    }
}
