//! What a server remembers of recorded operations, so that a repeat is answered
//! and not run.
//!
//! A thread has one call outstanding, so there is at most one record for each
//! thread of a session, and the thread's next recorded call replaces it. A
//! record is made before the operation runs: one without a reply says that the
//! operation may have run in part.

use crate::{
    buffer::Buffer,
    label::Label,
    message::Writer,
    message_buffer::{MAX_WORDS, word},
    registers::WORDS,
    sync::Mutex,
    wire::Sink,
};
use alloc::{boxed::Box, collections::BTreeMap, collections::VecDeque};
use core::fmt;

/// Most bytes that the records of one session may take. Beyond it the oldest
/// goes, and a repeat of that call is thrown away unanswered.
const SESSION_BYTES: usize = 32 * 1024;

/// The records of a server. Several threads that serve one endpoint share them:
/// see [`Receiver::sharing`](crate::server::Receiver::sharing).
#[derive(Default)]
pub struct Records {
    /// By badge, each the oldest first.
    sessions: Mutex<BTreeMap<u64, VecDeque<Record>>>,
}

struct Record {
    request_id: u64,
    request: Message,
    reply: Option<Message>,
}

/// A message as it is kept.
#[derive(PartialEq, Eq)]
struct Message {
    label: Label,
    words: [u64; WORDS],
    /// Those in the buffer.
    more: Box<[u64]>,
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Run it.
    Run,
    /// Its answer is in the writer.
    Answered,
    /// Nobody knows how far it came: throw it away.
    Unknown,
    /// It is no repeat of what it says it repeats.
    Malformed,
}

impl Records {
    /// No records.
    pub fn new() -> Records {
        Records::default()
    }

    /// A request of a recorded operation has arrived in the calling thread's
    /// buffer.
    pub(crate) fn begin(
        &self,
        badge: u64,
        request_id: u64,
        label: Label,
        words: &[u64; WORDS],
        repeats: bool,
        answer: &mut Writer,
    ) -> Begun {
        let request = Message::kept(label, words);
        let mut sessions = self.sessions.lock();
        if repeats {
            let records = sessions.get(&badge).into_iter().flatten();
            let mut same = records.filter(|record| record.request_id == request_id);
            return match same.next() {
                Some(record) if record.request != request => Begun::Malformed,
                Some(Record {
                    reply: Some(reply), ..
                }) => {
                    reply.put(answer);
                    Begun::Answered
                }
                _ => Begun::Unknown,
            };
        }
        let records = sessions.entry(badge).or_default();
        records.retain(|record| thread(record.request_id) != thread(request_id));
        records.push_back(Record {
            request_id,
            request,
            reply: None,
        });
        trim(records);
        Begun::Run
    }

    /// The operation is done, and this is its reply.
    pub(crate) fn complete(&self, badge: u64, request_id: u64, reply: &Writer) {
        let mut sessions = self.sessions.lock();
        let Some(records) = sessions.get_mut(&badge) else {
            return;
        };
        let mut same = records.iter_mut().filter(|r| r.request_id == request_id);
        if let Some(record) = same.next() {
            record.reply = Some(Message::kept(reply.input.label, &reply.input.words));
        }
        trim(records);
    }

    /// The operation did not run.
    pub(crate) fn forget(&self, badge: u64, request_id: u64) {
        if let Some(records) = self.sessions.lock().get_mut(&badge) {
            records.retain(|record| record.request_id != request_id);
        }
    }

    /// A session has ended.
    pub(crate) fn closed(&self, badge: u64) {
        self.sessions.lock().remove(&badge);
    }
}

/// The number of the thread that made a request.
fn thread(request_id: u64) -> u64 {
    request_id >> 40
}

/// Keeps a session's records within its bytes; the newest stays.
fn trim(records: &mut VecDeque<Record>) {
    let mut bytes: usize = records.iter().map(Record::bytes).sum();
    while bytes > SESSION_BYTES && records.len() > 1 {
        bytes -= records.pop_front().map_or(0, |oldest| oldest.bytes());
    }
}

impl Record {
    fn bytes(&self) -> usize {
        let reply = self.reply.as_ref().map_or(0, |reply| reply.more.len());
        size_of::<Record>() + 8 * (self.request.more.len() + reply)
    }
}

impl Message {
    /// A message whose further words are in the calling thread's buffer.
    fn kept(label: Label, words: &[u64; WORDS]) -> Message {
        let (buffer, count) = (Buffer::current(), label.bytes().div_ceil(8));
        let count = count.min(MAX_WORDS - WORDS);
        Message {
            label,
            words: *words,
            more: (0..count).map(|i| buffer.get(word::BYTES + i)).collect(),
        }
    }

    /// Makes this the message in the writer.
    fn put(&self, writer: &mut Writer) {
        writer.clear();
        for &word in self.words.iter().chain(&self.more) {
            writer.word(word);
        }
        writer.input.label = self.label;
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records of {} sessions", self.sessions.lock().len())
    }
}
