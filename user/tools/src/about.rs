//! What a tool says of itself.

use alloc::format;
use alloc::string::String;
use libipc::note::Rule;

/// What a tool is for and how it is used.
#[derive(Debug)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its options, each a letter, and what they do.
    pub options: &'static [(char, &'static str)],
    /// Operands of the form `KEY=VALUE`, and what they say.
    pub words: &'static [(&'static str, &'static str)],
    /// Least and most operands.
    pub operands: (usize, usize),
    /// Which operands are paths, and what is done there: the rules of its note.
    pub paths: &'static [Rule],
    /// Capabilities without which it can do nothing.
    pub needs: &'static [&'static str],
}

impl About {
    /// One that takes no options, operands, paths or capabilities.
    pub const fn new(name: &'static str, usage: &'static str, summary: &'static str) -> Self {
        About {
            name,
            usage,
            summary,
            options: &[],
            words: &[],
            operands: (0, 0),
            paths: &[],
            needs: &[],
        }
    }

    /// What `--help` prints.
    pub fn help(&self) -> String {
        let mut text = format!("usage: {}\n{}\n", self.usage, self.summary);
        for (letter, meaning) in self.options {
            text += &format!("  -{letter}  {meaning}\n");
        }
        let width = self.words.iter().map(|(word, _)| word.len()).max();
        for (word, meaning) in self.words {
            let width = width.unwrap_or_default();
            text += &format!("  {word:width$}  {meaning}\n");
        }
        for name in self.needs {
            text += &format!(
                "needs the capability `{name}`: run --grant {name} {}\n",
                self.name
            );
        }
        text
    }
}
