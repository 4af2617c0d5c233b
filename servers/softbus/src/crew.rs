//! Threads that make the calls of other devices here, one call each at a time, so that a
//! server that takes its time holds up nobody else.
//!
//! A thread asks for work by a call at the bus's own endpoint, which is answered when
//! there is some; what is to be done and what came of it stands in memory that they share.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use libipc::{
    Capability, ErrorCode,
    forward::{Answer, Memory, Outbound},
    interface,
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
pub struct Done {
    /// See [`Job::token`].
    pub token: Token,
    /// How the call ended.
    pub answer: Answer,
    /// The memory that was lent.
    pub leases: Vec<Lent>,
}

#[derive(Default)]
struct Shared {
    jobs: VecDeque<Job>,
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
    pub fn give(&mut self, job: Job) -> bool {
        {
            let mut shared = self.shared.lock();
            if shared.jobs.len() >= WAITING {
                return false;
            }
            shared.jobs.push_back(job);
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
        let Some(mut job) = shared.lock().jobs.pop_front() else {
            continue;
        };
        let answer = call(&mut job);
        let done = Done {
            token: job.token,
            answer,
            leases: job.leases,
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
