//! The shell's language: from text to a list of commands, and from a word to
//! what a command gets.
//!
//! [`token`] cuts text into words and signs, [`parse`](self::parse()) makes a
//! [`Script`] of them, [`expand`] puts in variables, [`glob`] names of files.

mod expand;
mod glob;
mod parse;
mod token;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use expand::{Field, Variables, fields, value};
pub use glob::{Names, expand_paths, matches};
pub use parse::parse;
pub use token::quoted;

/// A list of pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// In the order in which they run.
    pub steps: Vec<Step>,
}

/// A pipeline, and when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it runs.
    pub when: When,
    /// What runs.
    pub pipeline: Pipeline,
    /// Nobody waits for it.
    pub background: bool,
    /// The line that it stands in, from 1 on.
    pub line: usize,
}

/// When a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In any case.
    Always,
    /// If the last one went well.
    Success,
    /// If the last one failed.
    Failure,
}

/// Commands, each reading what the one before it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// At least one.
    pub commands: Vec<Command>,
    /// The text that it was written as.
    pub text: String,
    /// How long it takes is told.
    pub timed: bool,
}

/// A command as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `NAME=WORD` before the first word.
    pub assignments: Vec<(String, Word)>,
    /// Its name and arguments.
    pub words: Vec<Word>,
    /// Where its streams lead.
    pub redirections: Vec<(Redirection, Word)>,
}

/// Where a stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirection {
    /// `< FILE`
    Input,
    /// `> FILE`
    Output,
    /// `>> FILE`
    Append,
    /// `2> FILE`
    Error,
    /// `2>> FILE`
    ErrorAppend,
}

/// A word: pieces without space between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// At least one.
    pub pieces: Vec<Piece>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text in which `*`, `?` and `[` match names.
    Plain(String),
    /// Text that stands for itself.
    Quoted(String),
    /// A variable's value; cut at spaces unless quoted.
    Variable {
        /// Its name.
        name: String,
        /// Whether it stood between double quotes.
        quoted: bool,
    },
}

/// Why some text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It ends too early: the sign or quote that is missing. More text may help.
    Incomplete(&'static str),
    /// A sign stands where a command should.
    Unexpected(&'static str),
    /// No file name follows this sign.
    NoTarget(&'static str),
    /// `&` behind a list of pipelines joined by `&&` or `||`.
    BackgroundList,
    /// `${` is not followed by a name and `}`.
    BadVariable,
    /// A construct of other shells.
    Unknown(&'static str, &'static str),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::Incomplete(what) => write!(f, "{what} is missing at the end"),
            SyntaxError::Unexpected(sign) => {
                write!(
                    f,
                    "a command should stand before `{sign}`; quote it to mean the character"
                )
            }
            SyntaxError::NoTarget(sign) => write!(f, "a file name should follow `{sign}`"),
            SyntaxError::BackgroundList => f.write_str(
                "a list joined by `&&` or `||` cannot go to the background; put it into a script",
            ),
            SyntaxError::BadVariable => f.write_str("a variable is written `$NAME` or `${NAME}`"),
            SyntaxError::Unknown(sign, instead) => {
                write!(f, "`{sign}` is not known here; {instead}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
