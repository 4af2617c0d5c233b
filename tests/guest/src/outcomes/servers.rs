//! The servers of the campaign, good and bad.

use super::{ROUNDS, STACK, Said};
use crate::{fuzz::Random, raw};
use core::{sync::atomic::Ordering::Relaxed, time::Duration};
use libipc::{
    Capability, FOREVER, client::Borrowed, handle::Handle, label::Label, objects::ReplyClient,
    registers::CallOut, status::Status, thread, time,
};

/// A call of the campaign; word 0 is its number in the round.
pub(super) const LABEL: Label = Label::call(0, 0);
/// Operation of the call that is always answered.
pub(super) const SYNC: u8 = 1;

/// What a call with this number is answered with.
pub(super) fn answer(number: u64) -> u64 {
    number * 3 + 1
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Answers = 0,
    AnswersLate = 1,
    NeverAnswers = 2,
    Drops = 3,
    Dies = 4,
}

/// How long the late one takes.
const LATE: Duration = Duration::from_micros(200);

impl Kind {
    pub(super) const ALL: [Kind; 5] = [
        Kind::Answers,
        Kind::AnswersLate,
        Kind::NeverAnswers,
        Kind::Drops,
        Kind::Dies,
    ];

    /// How long a caller waits: mostly such that the server comes to its point,
    /// sometimes hardly at all.
    pub(super) fn patience(self, random: &mut Random) -> Duration {
        if random.chance(10) {
            return Duration::from_nanos(random.below(30_000));
        }
        match self {
            Kind::AnswersLate => Duration::from_micros(100 + random.below(400)),
            Kind::NeverAnswers => Duration::from_micros(20 + random.below(200)),
            Kind::Answers | Kind::Drops | Kind::Dies => Duration::from_millis(50),
        }
    }
}

/// Serves until the endpoint closes.
pub(super) fn serve(kind: Kind, endpoint: Handle) {
    if kind != Kind::Dies {
        let mut kept = None;
        while request(kind, endpoint, &mut kept) == Next::Serve {}
        return;
    }
    // One thread after the other dies of its request.
    let life = move || {
        loop {
            match request(kind, endpoint, &mut None) {
                Next::Serve => {}
                next => return next,
            }
        }
    };
    while let Ok(thread) = thread::spawn_with(super::SERVERS, STACK, life) {
        if thread.join() != Some(Next::Die) {
            return;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Serve,
    /// The endpoint is closed.
    End,
    Die,
}

/// Receives one request and does with it what this kind does.
fn request(kind: Kind, endpoint: Handle, kept: &mut Option<Capability>) -> Next {
    let out = raw::receive(endpoint, FOREVER);
    if raw::status(&out) != Some(Status::Message) {
        return Next::End;
    }
    if out.label.operation() == SYNC {
        // What was kept is let go: its caller has stopped waiting.
        *kept = None;
        raw::reply(&[]);
        return Next::Serve;
    }
    let said = |what: Said| {
        ROUNDS[kind as usize].said[out.words[0] as usize].store(what as u8, Relaxed);
    };
    match kind {
        Kind::Answers => said(answered(&raw::reply(&[answer(out.words[0])]))),
        Kind::AnswersLate => {
            time::sleep(LATE);
            said(answered(&raw::reply(&[answer(out.words[0])])));
        }
        Kind::NeverAnswers => {
            said(Said::Dropped);
            let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
            // Whoever is kept next ends the one before, if it still waits.
            if let Ok(reply) = request.keep() {
                *kept = Some(Capability::from(reply));
            }
        }
        Kind::Drops => said(Said::Dropped),
        Kind::Dies => {
            said(Said::Died);
            return Next::Die;
        }
    }
    Next::Serve
}

fn answered(out: &CallOut) -> Said {
    match raw::status(out) {
        Some(Status::Message) => Said::Answered,
        _ => Said::TooLate,
    }
}
