//! Puts variables into words.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Piece, Word};

/// The variables that words can name.
pub trait Variables {
    /// The value of a variable; one that is not set is empty.
    fn value(&self, name: &str) -> String;
    /// The arguments of the script.
    fn arguments(&self) -> &[String];
}

/// What one argument is made of: characters, and whether each stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The characters; `false` marks those that may be part of a pattern.
    pub characters: Vec<(char, bool)>,
}

impl Field {
    /// The text as it stands.
    pub fn text(&self) -> String {
        self.characters
            .iter()
            .map(|(character, _)| *character)
            .collect()
    }

    fn push(&mut self, text: &str, quoted: bool) {
        self.characters
            .extend(text.chars().map(|character| (character, quoted)));
    }
}

/// The fields that a word becomes: one, unless variables in it hold spaces or
/// nothing.
pub fn fields(word: &Word, variables: &dyn Variables) -> Vec<Field> {
    let mut fields = vec![];
    // The field being made; `None` before its first character or quote.
    let mut field: Option<Field> = None;
    for piece in &word.pieces {
        match piece {
            Piece::Plain(text) => field.get_or_insert_default().push(text, false),
            Piece::Quoted(text) => field.get_or_insert_default().push(text, true),
            Piece::Variable { name, quoted } if name == "@" => {
                for (number, argument) in variables.arguments().iter().enumerate() {
                    if number > 0 {
                        fields.extend(field.take());
                    }
                    field.get_or_insert_default().push(argument, *quoted);
                }
            }
            Piece::Variable { name, quoted: true } => {
                field
                    .get_or_insert_default()
                    .push(&variables.value(name), true);
            }
            Piece::Variable { name, .. } => {
                let value = variables.value(name);
                for (number, part) in value.split(char::is_whitespace).enumerate() {
                    if number > 0 {
                        fields.extend(field.take());
                    }
                    if !part.is_empty() {
                        field.get_or_insert_default().push(part, false);
                    }
                }
            }
        }
    }
    fields.extend(field);
    fields
}

/// The text that a word becomes where it is one value, whatever is in it.
pub fn value(word: &Word, variables: &dyn Variables) -> String {
    let pieces = word.pieces.iter().map(|piece| match piece {
        Piece::Plain(text) | Piece::Quoted(text) => text.clone(),
        Piece::Variable { name, .. } if name == "@" => variables.arguments().join(" "),
        Piece::Variable { name, .. } => variables.value(name),
    });
    pieces.collect()
}
