//! Threads that make the calls of other devices here, one call each at a time, so that a
//! server that takes its time holds up nobody else.
//!
//! A thread asks for work by a call at the bus's own endpoint, which is answered when
//! there is some; what is to be done and what came of it stands in memory that they share.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;
use libipc::{
    Capability, ErrorCode, Text,
    forward::{Answer, Memory, Outbound},
    interface,
    interfaces::ConsentClient,
    objects::EndpointClient,
    server::Reply,
    sync::Mutex,
    thread,
    time::Instant,
};
use tessera_softbus_protocol::{
    node::{Lent, Token},
    wire::Payload,
};

/// Threads.
pub const CREW: usize = 8;

/// How long the owner has to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls that wait for a thread; more are refused.
const WAITING: usize = 64;

/// Why a thread gets no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum CrewError {
    /// Who asks is no thread of the crew.
    NotPermitted = 1,
}

/// Where the threads of the crew ask for work.
#[interface]
pub trait Crew {
    /// Waits for work, the number of which is returned; what came of the last is done.
    #[op(0)]
    #[deferred]
    fn next(&mut self) -> Result<u64, CrewError>;
}

/// What a thread does.
pub enum Work {
    /// A call.
    Call(Job),
    /// The owner is asked whether a device may use something.
    Ask {
        /// The question's number.
        question: u64,
        /// Where the owner is asked.
        owner: ConsentClient,
        /// What he is asked.
        text: Text<200>,
    },
}

/// A call to be made.
pub struct Job {
    /// Whose answer it is.
    pub token: Token,
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
        /// See [`Job::token`].
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
    jobs: VecDeque<Work>,
    done: Vec<Done>,
}

/// The threads, and what they do.
#[derive(Default)]
pub struct Workers {
    shared: Arc<Mutex<Shared>>,
    idle: Vec<Reply<u64, CrewError>>,
    /// Jobs that no idle thread was told of.
    untold: usize,
}

impl Workers {
    /// Starts the threads, which ask at `crew`. How many there are: fewer if there is no
    /// memory for all.
    pub fn start(&self, mut crew: impl FnMut() -> Option<EndpointClient>) -> usize {
        let started = (0..CREW).map_while(|_| {
            let crew: CrewClient = Capability::from(crew()?).into();
            let shared = self.shared.clone();
            let thread = thread::spawn(move || work(&crew, &shared));
            thread.ok().map(thread::JoinHandle::detach)
        });
        started.count()
    }

    /// Gives work out; false if too much waits.
    #[must_use]
    pub fn give(&mut self, work: Work) -> bool {
        {
            let mut shared = self.shared.lock();
            if shared.jobs.len() >= WAITING {
                return false;
            }
            shared.jobs.push_back(work);
        }
        match self.idle.pop() {
            Some(idle) => {
                idle.answer(Ok(0));
            }
            None => self.untold += 1,
        }
        true
    }

    /// A thread asks for work.
    pub fn asked(&mut self, reply: Reply<u64, CrewError>) {
        if self.untold > 0 {
            self.untold -= 1;
            reply.answer(Ok(0));
        } else {
            self.idle.push(reply);
        }
    }

    /// What has been done since.
    pub fn done(&self) -> Vec<Done> {
        core::mem::take(&mut self.shared.lock().done)
    }
}

/// What a thread of the crew does.
fn work(crew: &CrewClient, shared: &Mutex<Shared>) {
    while crew.next().is_ok() {
        let Some(work) = shared.lock().jobs.pop_front() else {
            continue;
        };
        let done = match work {
            Work::Call(mut job) => Done::Called {
                token: job.token,
                answer: call(&mut job),
                leases: job.leases,
            },
            Work::Ask {
                question,
                owner,
                text,
            } => {
                let answer = owner.with_timeout(PATIENCE).ask(text);
                Done::Asked(question, answer == Ok(true))
            }
        };
        shared.lock().done.push(done);
    }
}

fn call(job: &mut Job) -> Answer {
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
