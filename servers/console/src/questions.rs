//! Questions to the owner, which clients whom the page trusts with that ask, and which
//! are answered at the console's own prompt.

use crate::{clean::Cleaner, seats::Interrupt, terminal::Terminal};
use alloc::{boxed::Box, collections::VecDeque, string::String};
use libipc::interfaces::ConsentError;
use tessera_stream::{WaitingRead, WaitingWrite};

/// Questions that wait.
const WAITING: usize = 8;

/// Somebody who waits for an answer.
pub trait Asker: core::fmt::Debug {
    /// Whether nobody waits any more.
    fn is_cancelled(&self) -> bool;
    /// Answers.
    fn answer(self: Box<Self>, answer: Result<bool, ConsentError>);
}

/// What is asked.
#[derive(Debug)]
struct Question {
    text: String,
    asker: Box<dyn Asker>,
}

/// All questions, the oldest first.
#[derive(Debug, Default)]
pub struct Questions {
    waiting: VecDeque<Question>,
    /// The one that is on the screen.
    shown: Option<Question>,
}

impl Questions {
    /// Shows the oldest that somebody waits for.
    fn show(&mut self) -> Option<&str> {
        self.forget();
        self.shown = self.waiting.pop_front();
        self.shown.as_ref().map(|question| &*question.text)
    }

    /// Answers the one that is on the screen; false if none is.
    pub(crate) fn answer(&mut self, yes: bool) -> bool {
        match self.shown.take() {
            Some(question) => {
                question.asker.answer(Ok(yes));
                true
            }
            None => false,
        }
    }

    /// Forgets those that nobody waits for.
    fn forget(&mut self) {
        self.waiting
            .retain(|question| !question.asker.is_cancelled());
    }
}

impl<R: WaitingRead, W: WaitingWrite, I: Interrupt> Terminal<R, W, I> {
    /// Somebody asks. The owner sees it as a line of the console's own, and answers when
    /// he likes.
    pub fn ask(&mut self, badge: u64, text: &str, asker: Box<dyn Asker>) {
        let text = clean(text);
        if text.is_empty() {
            return asker.answer(Err(ConsentError::Empty));
        }
        self.questions.forget();
        if self.questions.waiting.len() >= WAITING {
            return asker.answer(Err(ConsentError::Busy));
        }
        let name = self.seats.name(badge);
        let text = alloc::format!("{name} asks: {text}");
        let line = alloc::format!("{text} Ctrl-] to answer");
        // If there is no room for the line now, the key leads there all the same.
        let _ = self.screen.marked_line(None, &line);
        self.questions.waiting.push_back(Question { text, asker });
    }

    /// Shows a line of a client who has no seat of his own to write at. False if there is
    /// no room now.
    pub fn say(&mut self, badge: u64, text: &str) -> bool {
        let text = clean(text);
        let name = String::from(self.seats.name(badge));
        self.others_are_shown() && self.screen.marked_line(Some(&name), &text)
    }

    /// Shows the oldest question at the console's own prompt, if there is one.
    pub(crate) fn show_question(&mut self) -> bool {
        let Some(text) = self.questions.show().map(String::from) else {
            return false;
        };
        self.screen
            .prompt(&[&text, " y: yes, any other key: no > "]);
        true
    }
}

/// One line without anything that controls a terminal.
fn clean(text: &str) -> String {
    let mut cleaner = Cleaner::default();
    cleaner.feed(text.as_bytes());
    let line = cleaner.line().or_else(|| cleaner.rest());
    line.unwrap_or_default().into()
}
