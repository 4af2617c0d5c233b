//! Makes a script of tokens.

use alloc::string::String;
use alloc::vec::Vec;

use super::token::{Placed, Token, is_name, tokens};
use super::{Command, Piece, Pipeline, Redirection, Script, Step, SyntaxError, When, Word};

/// The word that, before a pipeline, asks how long it takes.
const TIME: &str = "time";

/// The script that `text` is.
pub fn parse(text: &str) -> Result<Script, SyntaxError> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        line: 1,
        counted: 0,
    };
    let mut script = Script::default();
    while parser.skip_separators()? {
        parser.list(&mut script)?;
    }
    Ok(script)
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Placed],
    line: usize,
    /// How much of the text was looked at for line ends.
    counted: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.first().map(|placed| &placed.token)
    }

    fn next(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let taken = self.peek() == Some(wanted);
        if taken {
            self.next();
        }
        taken
    }

    /// Whether a command follows the ends of lines here.
    fn skip_separators(&mut self) -> Result<bool, SyntaxError> {
        while self.take(&Token::Newline) {}
        match self.peek() {
            None => Ok(false),
            Some(Token::Semicolon) => Err(SyntaxError::Unexpected(";")),
            Some(_) => Ok(true),
        }
    }

    /// Pipelines up to the end of the list, with `&&` and `||` between them.
    fn list(&mut self, script: &mut Script) -> Result<(), SyntaxError> {
        let mut when = When::Always;
        loop {
            let (pipeline, line) = self.pipeline()?;
            let mut step = Step {
                when,
                pipeline,
                background: false,
                line,
            };
            match self.peek() {
                Some(Token::And) => when = When::Success,
                Some(Token::Or) => when = When::Failure,
                Some(Token::Background) if when != When::Always => {
                    return Err(SyntaxError::BackgroundList);
                }
                end => {
                    step.background = end == Some(&Token::Background);
                    script.steps.push(step);
                    self.next();
                    return Ok(());
                }
            }
            script.steps.push(step);
            self.next();
            while self.take(&Token::Newline) {}
            if self.peek().is_none() {
                return Err(SyntaxError::Incomplete("a command"));
            }
        }
    }

    fn pipeline(&mut self) -> Result<(Pipeline, usize), SyntaxError> {
        let start = self.tokens.first().map_or(0, |placed| placed.start);
        self.line += self.text[self.counted..start].matches('\n').count();
        self.counted = start;
        let line = self.line;
        let timed = self.take(&Token::Word(Word {
            pieces: [Piece::Plain(TIME.into())].into(),
        }));
        let mut commands = Vec::new();
        loop {
            let (command, end) = self.command()?;
            commands.push(command);
            if !self.take(&Token::Pipe) {
                let text = self.text[start..end].into();
                let pipeline = Pipeline {
                    commands,
                    text,
                    timed,
                };
                return Ok((pipeline, line));
            }
            while self.take(&Token::Newline) {}
            if self.peek().is_none() {
                return Err(SyntaxError::Incomplete("a command"));
            }
        }
    }

    /// A command, and where it ends in the text.
    fn command(&mut self) -> Result<(Command, usize), SyntaxError> {
        let mut command = Command::default();
        let mut end = 0;
        while let Some(placed) = self.tokens.first() {
            end = match &placed.token {
                Token::Word(word) => {
                    match assignment(word).filter(|_| command.words.is_empty()) {
                        Some(assignment) => command.assignments.push(assignment),
                        None => command.words.push(word.clone()),
                    }
                    placed.end
                }
                Token::Redirect(kind) => {
                    let kind = *kind;
                    self.next();
                    let target = self
                        .tokens
                        .first()
                        .ok_or(SyntaxError::NoTarget(sign(kind)))?;
                    let Token::Word(word) = &target.token else {
                        return Err(SyntaxError::NoTarget(sign(kind)));
                    };
                    command.redirections.push((kind, word.clone()));
                    target.end
                }
                _ => break,
            };
            self.next();
        }
        if command == Command::default() {
            return Err(match self.peek() {
                Some(Token::Pipe) => SyntaxError::Unexpected("|"),
                Some(Token::And) => SyntaxError::Unexpected("&&"),
                Some(Token::Or) => SyntaxError::Unexpected("||"),
                Some(Token::Background) => SyntaxError::Unexpected("&"),
                Some(Token::Semicolon) => SyntaxError::Unexpected(";"),
                _ => SyntaxError::Incomplete("a command"),
            });
        }
        Ok((command, end))
    }
}

fn sign(kind: Redirection) -> &'static str {
    match kind {
        Redirection::Input => "<",
        Redirection::Output => ">",
        Redirection::Append => ">>",
        Redirection::Error => "2>",
        Redirection::ErrorAppend => "2>>",
    }
}

/// The name and value of a word such as `NAME=VALUE`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Piece::Plain(first), rest) = word.pieces.split_first()? else {
        return None;
    };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let first = (!value.is_empty()).then(|| Piece::Plain(value.into()));
    let pieces = first.into_iter().chain(rest.iter().cloned()).collect();
    Some((name.into(), Word { pieces }))
}
