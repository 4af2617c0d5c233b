//! Cuts text into words and signs.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::CharIndices;

use super::{Piece, Redirection, SyntaxError, Word};

/// A word or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Redirect(Redirection),
    Pipe,
    And,
    Or,
    Background,
    Semicolon,
    Newline,
}

/// A token and where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    let mut lexer = Lexer {
        text,
        rest: text.char_indices().peekable(),
    };
    let mut tokens = Vec::new();
    while let Some((start, token)) = lexer.next()? {
        let end = lexer.place();
        tokens.push(Placed { token, start, end });
    }
    Ok(tokens)
}

/// `text` as a word that stands for exactly this text.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:,+@%^=~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    let mut word = String::from("'");
    for character in text.chars() {
        match character {
            '\'' => word += "'\\''",
            character => word.push(character),
        }
    }
    word + "'"
}

struct Lexer<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Lexer<'_> {
    fn place(&mut self) -> usize {
        self.rest
            .peek()
            .map_or(self.text.len(), |(place, _)| *place)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, character)| *character)
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        self.rest
            .next_if(|(_, character)| *character == wanted)
            .is_some()
    }

    fn next(&mut self) -> Result<Option<(usize, Token)>, SyntaxError> {
        self.skip_blank()?;
        let Some(&(start, character)) = self.rest.peek() else {
            return Ok(None);
        };
        let token = match character {
            '\n' => self.sign(Token::Newline),
            ';' => self.sign(Token::Semicolon),
            '|' => self.sign_or_double(Token::Pipe, Token::Or),
            '&' => self.sign_or_double(Token::Background, Token::And),
            '<' if self.text[start..].starts_with("<<") => {
                return Err(SyntaxError::Unknown("<<", "write the text to a file first"));
            }
            '<' => self.sign(Token::Redirect(Redirection::Input)),
            '>' => self.sign_or_double(
                Token::Redirect(Redirection::Output),
                Token::Redirect(Redirection::Append),
            ),
            '2' if self.text[start..].starts_with("2>") => {
                self.rest.next();
                self.sign_or_double(
                    Token::Redirect(Redirection::Error),
                    Token::Redirect(Redirection::ErrorAppend),
                )
            }
            '(' | ')' => {
                return Err(SyntaxError::Unknown("(", "quote it to mean the character"));
            }
            _ => Token::Word(self.word()?),
        };
        Ok(Some((start, token)))
    }

    /// Takes a character, which means `token`.
    fn sign(&mut self, token: Token) -> Token {
        self.rest.next();
        token
    }

    /// Takes a character that means `one`, or two of the same that mean `two`.
    fn sign_or_double(&mut self, one: Token, two: Token) -> Token {
        match self.rest.next() {
            Some((_, character)) if self.take(character) => two,
            _ => one,
        }
    }

    fn skip_blank(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => drop(self.rest.next()),
                Some('#') => while self.rest.next_if(|(_, c)| *c != '\n').is_some() {},
                Some('\\') => {
                    let place = self.place();
                    match self.text[place + 1..].chars().next() {
                        None => return Err(SyntaxError::Incomplete("the rest of the line")),
                        Some('\n') => {
                            self.rest.next();
                            self.rest.next();
                        }
                        Some(_) => return Ok(()),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut word = Word::default();
        while let Some(character) = self.peek() {
            match character {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.rest.next();
                    let text = self.until_quote()?;
                    word.pieces.push(Piece::Quoted(text));
                }
                '"' => {
                    self.rest.next();
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        None => return Err(SyntaxError::Incomplete("the rest of the line")),
                        Some((_, '\n')) => {}
                        Some((_, escaped)) => push(&mut word, escaped, true),
                    }
                }
                '$' => {
                    self.rest.next();
                    self.variable(&mut word, false)?;
                }
                '`' => return Err(SyntaxError::Unknown("`", "quote it to mean the character")),
                character => {
                    self.rest.next();
                    push(&mut word, character, false);
                }
            }
        }
        Ok(word)
    }

    fn until_quote(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                None => return Err(SyntaxError::Incomplete("a `'`")),
                Some((_, '\'')) => return Ok(text),
                Some((_, character)) => text.push(character),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), SyntaxError> {
        // Two quotes with nothing between them are a word too.
        word.pieces.push(Piece::Quoted(String::new()));
        loop {
            match self.rest.next() {
                None => return Err(SyntaxError::Incomplete("a `\"`")),
                Some((_, '"')) => return Ok(()),
                Some((_, '$')) => self.variable(word, true)?,
                Some((_, '\\')) => match self.rest.next() {
                    None => return Err(SyntaxError::Incomplete("a `\"`")),
                    Some((_, '\n')) => {}
                    Some((_, escaped @ ('$' | '"' | '\\' | '`'))) => push(word, escaped, true),
                    Some((_, other)) => {
                        push(word, '\\', true);
                        push(word, other, true);
                    }
                },
                Some((_, character)) => push(word, character, true),
            }
        }
    }

    /// What follows a `$`.
    fn variable(&mut self, word: &mut Word, quoted: bool) -> Result<(), SyntaxError> {
        let name = if self.take('{') {
            let mut name = String::new();
            loop {
                match self.rest.next() {
                    None => return Err(SyntaxError::Incomplete("a `}`")),
                    Some((_, '}')) => break,
                    Some((_, character)) => name.push(character),
                }
            }
            if !is_name(&name) && !is_special(&name) {
                return Err(SyntaxError::BadVariable);
            }
            name
        } else {
            match self.peek() {
                Some('(') => {
                    return Err(SyntaxError::Unknown("$(", "use a pipe or a file"));
                }
                Some(special @ ('?' | '#' | '@' | '0'..='9')) => {
                    self.rest.next();
                    special.into()
                }
                Some(first) if first == '_' || first.is_ascii_alphabetic() => {
                    let mut name = String::new();
                    while let Some((_, character)) = self
                        .rest
                        .next_if(|(_, c)| *c == '_' || c.is_ascii_alphanumeric())
                    {
                        name.push(character);
                    }
                    name
                }
                _ => {
                    push(word, '$', true);
                    return Ok(());
                }
            }
        };
        word.pieces.push(Piece::Variable { name, quoted });
        Ok(())
    }
}

/// Whether this can be the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && characters.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

fn is_special(text: &str) -> bool {
    matches!(text, "?" | "#" | "@")
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

/// Appends a character to the last piece, or to a new one.
fn push(word: &mut Word, character: char, quoted: bool) {
    match word.pieces.last_mut() {
        Some(Piece::Plain(text)) if !quoted => text.push(character),
        Some(Piece::Quoted(text)) if quoted => text.push(character),
        _ if quoted => word.pieces.push(Piece::Quoted(character.into())),
        _ => word.pieces.push(Piece::Plain(character.into())),
    }
}
