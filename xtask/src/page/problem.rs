//! How a page's errors are told: `FILE:LINE: what is wrong`, one a line.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use crate::workspace::shown;

/// What is wrong with a page.
pub struct Problems<'a> {
    path: &'a Path,
    text: &'a str,
    /// Line, counted from 1, and message.
    found: Vec<(usize, String)>,
}

impl<'a> Problems<'a> {
    /// Nothing so far.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            found: Vec::new(),
        }
    }

    /// Adds one that concerns the text at `span`.
    pub fn add(&mut self, span: Range<usize>, message: impl Display) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        self.found.push((line, message.to_string()));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the page.
    pub fn into_error(mut self) -> anyhow::Error {
        self.found.sort();
        self.found.dedup();
        let file = shown(self.path);
        let lines: Vec<_> = self
            .found
            .iter()
            .map(|(line, message)| format!("{file}:{line}: {message}"))
            .collect();
        anyhow::anyhow!("the system page is not right\n{}", lines.join("\n"))
    }
}

/// `; did you mean ...?` or a list of what there is.
pub fn suggest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
    match (near, known.as_slice()) {
        (Some((_, candidate)), _) => format!("; did you mean `{candidate}`?"),
        (None, []) => "; there are none".into(),
        (None, known) => format!("; there are {}", known.join(", ")),
    }
}
