//! Threads that make the calls of other devices here, one call each at a time, so that a
//! server that takes its time holds up nobody else. Which call is next says [`Fair`].
//!
//! A thread asks for work by a call at the bus's own endpoint, which is answered when
//! there is some; what is to be done and what came of it stands in memory that they share.
//! There are as many as there is work for, and a few more.

use crate::fair::{Behind, Fair, SHARED};
use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;
use libipc::{
    CallError, Capability, ErrorCode, Text,
    forward::{Answer, Memory, Outbound},
    interface,
    interfaces::ConsentClient,
    objects::{CALLERS_PRIORITY, EndpointClient},
    server::Reply,
    status::{Cause, TransportError},
    sync::Mutex,
    thread::{self, JoinHandle},
    time::Instant,
};
use tessera_softbus_protocol::{
    limits::{GUESTS, TRUSTED},
    node::{Lent, Token},
    suite::PublicKey,
    wire::Payload,
};

/// Threads that stay when there is no work for them.
const KEPT: usize = 8;

/// Questions to the owner at one time.
pub const QUESTIONS: usize = 2;

/// Threads at most: each device's own, the shared ones, and one for each question.
const MOST: usize = TRUSTED + GUESTS + SHARED + QUESTIONS;

/// A thread's stack, in bytes.
const STACK: usize = 32 << 10;

/// How long the owner has to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a thread gets no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum CrewError {
    /// There are more threads than work for them.
    Enough = 1,
}

/// Where the threads of the crew ask for work.
#[interface]
pub trait Crew {
    /// Waits for work, which is then at its place; what came of the last is done. `Enough`.
    #[op(0)]
    #[deferred]
    fn next(&mut self, thread: u64) -> Result<(), CrewError>;
}

/// What a thread does.
enum Work {
    /// A call.
    Call(Job),
    /// The owner is asked whether a device may use something.
    Ask(Question),
}

impl Work {
    fn what(&self) -> Doing {
        match self {
            Work::Call(job) => Doing::Call(job.token),
            Work::Ask(question) => Doing::Question(question.number),
        }
    }
}

/// What the owner is asked.
pub struct Question {
    /// Its number.
    pub number: u64,
    /// Where he is asked.
    pub owner: ConsentClient,
    /// What he is asked.
    pub text: Text<200>,
}

/// A call to be made.
pub struct Job {
    /// Whose answer it is.
    pub token: Token,
    /// Who calls, and behind what the server is.
    pub device: PublicKey,
    /// See `device`.
    pub behind: Behind,
    /// Who is called.
    pub server: Capability,
    /// The operation and the interface's hash.
    pub operation: u8,
    /// See `operation`.
    pub hash: u32,
    /// What it carries.
    pub payload: Payload,
    /// Memory that it lends.
    pub leases: Vec<Lent>,
    /// Capabilities that it hands over.
    pub capabilities: Vec<Capability>,
    /// When the caller gives up.
    pub deadline: Instant,
}

/// What came of it.
pub enum Done {
    /// A call has ended.
    Called {
        /// Whose answer it is.
        token: Token,
        /// How it ended.
        answer: Answer,
        /// The memory that was lent.
        leases: Vec<Lent>,
    },
    /// The owner has answered a question, with yes if true.
    Asked(u64, bool),
}

#[derive(Default)]
struct Shared {
    /// What each thread is to do, by its number.
    given: BTreeMap<u64, Work>,
    done: Vec<Done>,
}

/// What a thread does now.
enum State {
    /// It will ask for work.
    Starting,
    Idle(Reply<(), CrewError>),
    Busy {
        with: Doing,
        /// Nobody waits for it.
        is_cancelled: bool,
    },
}

/// What a thread is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A call.
    Call(Token),
    /// The question with this number.
    Question(u64),
}

struct Thread {
    state: State,
    /// It goes on alone when this is dropped.
    handle: JoinHandle<()>,
}

/// The threads, and what they do.
pub struct Workers<'e> {
    /// Where they ask, by this badge.
    endpoint: &'e EndpointClient,
    badge: u64,
    shared: Arc<Mutex<Shared>>,
    threads: BTreeMap<u64, Thread>,
    /// The number of the newest thread.
    newest: u64,
    calls: Fair<Job>,
    questions: VecDeque<Question>,
}

impl<'e> Workers<'e> {
    /// Nobody yet. They will ask at `endpoint`, by this badge.
    pub fn new(endpoint: &'e EndpointClient, badge: u64) -> Self {
        Workers {
            endpoint,
            badge,
            shared: Arc::default(),
            threads: BTreeMap::new(),
            newest: 0,
            calls: Fair::default(),
            questions: VecDeque::new(),
        }
    }

    /// A call is to be made.
    pub fn call(&mut self, job: Job) {
        self.calls.add(job.device, job.behind, job.token, job);
        self.go_on();
    }

    /// The owner is to be asked.
    pub fn ask(&mut self, question: Question) {
        self.questions.push_back(question);
        self.go_on();
    }

    /// A thread asks for work.
    pub fn asked(&mut self, number: u64, reply: Reply<(), CrewError>) {
        let Some(thread) = self.threads.get_mut(&number) else {
            reply.answer(Err(CrewError::Enough));
            return;
        };
        if self.shared.lock().given.contains_key(&number) {
            // What it was told got lost, for it was interrupted just then.
            reply.answer(Ok(()));
            return;
        }
        thread.state = State::Idle(reply);
        self.go_on();
        let is_idle = |thread: &&Thread| matches!(thread.state, State::Idle(_));
        if self.threads.values().filter(is_idle).count() > KEPT
            && let Some(Thread {
                state: State::Idle(reply),
                ..
            }) = self.threads.remove(&number)
        {
            reply.answer(Err(CrewError::Enough));
        }
    }

    /// What has been done since.
    pub fn done(&mut self) -> Vec<Done> {
        let done = core::mem::take(&mut self.shared.lock().done);
        for one in &done {
            if let Done::Called { token, .. } = one {
                self.calls.ended(*token);
            }
        }
        done
    }

    /// Takes out a call that has not begun; false if it has.
    pub fn take(&mut self, token: Token) -> bool {
        let waits = !self.calls.take(|one, _| one == token).is_empty();
        if !waits && self.take_back(Doing::Call(token)) {
            self.calls.ended(token);
            return true;
        }
        waits
    }

    /// Takes back what a thread was told to do and has not begun: it may not have run since.
    /// It finds nothing then, and asks again.
    fn take_back(&mut self, what: Doing) -> bool {
        let is_it = |_: &u64, work: &mut Work| work.what() == what;
        let taken = self.shared.lock().given.extract_if(.., is_it).next();
        let Some((number, _)) = taken else {
            return false;
        };
        if let Some(thread) = self.threads.get_mut(&number) {
            thread.state = State::Starting;
        }
        true
    }

    /// Takes out the calls that wait and whose callers do so no longer.
    pub fn late(&mut self, now: Instant) -> Vec<Token> {
        let late = self.calls.take(|_, job| job.deadline <= now);
        late.into_iter().map(|(token, _)| token).collect()
    }

    /// Ends the wait for what a thread is busy with: nobody wants the answer. A question
    /// that was not asked yet is not.
    pub fn interrupt(&mut self, what: Doing) {
        if let Doing::Question(number) = what {
            self.questions.retain(|question| question.number != number);
            if self.take_back(what) {
                return;
            }
        }
        for thread in self.threads.values_mut() {
            if let State::Busy { with, is_cancelled } = &mut thread.state
                && *with == what
            {
                *is_cancelled = true;
                thread.handle.cancel();
            }
        }
    }

    /// The same for those whose threads had not begun to wait then.
    pub fn interrupt_again(&self) {
        for thread in self.threads.values() {
            if let State::Busy {
                is_cancelled: true, ..
            } = thread.state
            {
                thread.handle.cancel();
            }
        }
    }

    /// Gives out what can be done now.
    pub fn go_on(&mut self) {
        while !self.questions.is_empty() || self.calls.is_ready() {
            let mut threads = self.threads.iter_mut();
            let idle = threads.find(|(_, thread)| matches!(thread.state, State::Idle(_)));
            let Some((number, thread)) = idle else {
                return self.start();
            };
            let question = self.questions.pop_front().map(Work::Ask);
            let call = || self.calls.begin().map(|(_, job)| Work::Call(job));
            let Some(work) = question.or_else(call) else {
                return;
            };
            let state = State::Busy {
                with: work.what(),
                is_cancelled: false,
            };
            self.shared.lock().given.insert(*number, work);
            if let State::Idle(reply) = core::mem::replace(&mut thread.state, state) {
                reply.answer(Ok(()));
            }
        }
    }

    /// Makes a thread more, one at a time. If that cannot be, what waits goes on waiting
    /// until another has done its work.
    fn start(&mut self) {
        let is_new = |thread: &Thread| matches!(thread.state, State::Starting);
        if self.threads.len() >= MOST || self.threads.values().any(is_new) {
            return;
        }
        let Ok(crew) = self.endpoint.mint_client::<CrewClient>(self.badge) else {
            return;
        };
        let (number, shared) = (self.newest + 1, self.shared.clone());
        let run = move || work(number, &crew, &shared);
        if let Ok(handle) = thread::spawn_with(CALLERS_PRIORITY, STACK, run) {
            self.newest = number;
            let thread = Thread {
                state: State::Starting,
                handle,
            };
            self.threads.insert(number, thread);
        }
    }
}

/// What a thread of the crew does.
fn work(number: u64, crew: &CrewClient, shared: &Mutex<Shared>) {
    loop {
        match crew.next(number) {
            Ok(()) => {}
            // What was to be interrupted had ended by itself.
            Err(CallError::Transport(error)) if error.cause == Cause::Cancelled => continue,
            Err(_) => return,
        }
        let Some(work) = shared.lock().given.remove(&number) else {
            continue;
        };
        let done = match work {
            Work::Call(mut job) => Done::Called {
                token: job.token,
                answer: call(&mut job),
                leases: job.leases,
            },
            Work::Ask(Question {
                number,
                owner,
                text,
            }) => {
                let answer = owner.with_timeout(PATIENCE).ask(text);
                Done::Asked(number, answer == Ok(true))
            }
        };
        shared.lock().done.push(done);
    }
}

fn call(job: &mut Job) -> Answer {
    if job.deadline <= Instant::now() {
        return Answer::Ended(TransportError::refused(Cause::TimedOut));
    }
    let mut words = job.payload.words.to_vec();
    let (more, _) = job.payload.bytes.as_chunks();
    words.extend(more.iter().map(|word| u64::from_le_bytes(*word)));
    let outbound = Outbound {
        operation: job.operation,
        hash: job.hash,
        words: &words,
        capabilities: core::mem::take(&mut job.capabilities),
    };
    let lent = job.leases.iter_mut();
    let mut memory: Vec<_> = lent
        .map(|lent| match lent.access.writes() {
            true => Memory::Write(&mut lent.bytes),
            false => Memory::Read(&lent.bytes),
        })
        .collect();
    outbound.call(&job.server, &mut memory, job.deadline)
}

#[cfg(test)]
mod tests;
