//! One pipe: a bounded ring between waiting reads and waiting writes.

use alloc::collections::VecDeque;
use libipc::interfaces::StreamError;
use tessera_stream::{Ring, WaitingRead, WaitingWrite};

/// Bytes that a pipe holds.
pub const CAPACITY: usize = 4096;

/// Calls that may wait at one end.
const WAITING: usize = 4;

/// A pipe, over the calls that wait at its ends.
#[derive(Debug)]
pub struct Pipe<R, W> {
    ring: Ring,
    reads: VecDeque<R>,
    writes: VecDeque<W>,
    reader_open: bool,
    writer_open: bool,
}

impl<R: WaitingRead, W: WaitingWrite> Pipe<R, W> {
    /// An empty pipe, open at both ends; `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        Some(Pipe {
            ring: Ring::new(CAPACITY)?,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            reader_open: true,
            writer_open: true,
        })
    }

    /// Reads what there is, now or later.
    pub fn read(&mut self, read: R) {
        self.reads.retain(|read| !read.is_cancelled());
        if self.reads.len() >= WAITING {
            return read.answer(Err(StreamError::Busy));
        }
        self.reads.push_back(read);
        self.pump();
    }

    /// Writes what fits, now or later.
    pub fn write(&mut self, write: W) {
        self.writes.retain(|write| !write.is_cancelled());
        if self.writes.len() >= WAITING {
            return write.answer(Err(StreamError::Busy));
        }
        self.writes.push_back(write);
        self.pump();
    }

    /// The last capability of the reading end is gone.
    pub fn close_reader(&mut self) {
        self.reader_open = false;
        self.reads.clear();
        self.pump();
    }

    /// The last capability of the writing end is gone.
    pub fn close_writer(&mut self) {
        self.writer_open = false;
        self.writes.clear();
        self.pump();
    }

    /// Whether neither end is left.
    pub fn is_dead(&self) -> bool {
        !self.reader_open && !self.writer_open
    }

    /// Moves bytes until nothing moves.
    fn pump(&mut self) {
        while self.serve_write() || self.serve_read() {}
    }

    /// Serves the first write, if that is possible now.
    fn serve_write(&mut self) -> bool {
        let Some(write) = self.writes.front_mut() else {
            return false;
        };
        let outcome = if write.is_cancelled() {
            None
        } else if !self.reader_open {
            Some(Err(StreamError::Closed))
        } else if write.offered() == 0 {
            Some(Ok(0))
        } else if self.ring.free() == 0 {
            return false;
        } else {
            Some(fill(&mut self.ring, write))
        };
        finish(self.writes.pop_front(), outcome, W::answer)
    }

    /// Serves the first read, if that is possible now.
    fn serve_read(&mut self) -> bool {
        let Some(read) = self.reads.front_mut() else {
            return false;
        };
        let outcome = if read.is_cancelled() {
            None
        } else if read.wanted() == 0 {
            Some(Ok(0))
        } else if !self.ring.is_empty() {
            Some(drain(&mut self.ring, read))
        } else if self.writer_open {
            return false;
        } else {
            Some(Ok(0))
        };
        finish(self.reads.pop_front(), outcome, R::answer)
    }
}

/// Answers a call that left its queue; a cancelled one is dropped.
fn finish<C>(
    call: Option<C>,
    outcome: Option<Result<u64, StreamError>>,
    answer: impl FnOnce(C, Result<u64, StreamError>),
) -> bool {
    if let (Some(call), Some(outcome)) = (call, outcome) {
        answer(call, outcome);
    }
    true
}

/// Takes as much of a write as fits.
fn fill(ring: &mut Ring, write: &mut impl WaitingWrite) -> Result<u64, StreamError> {
    let mut done = 0;
    // The room is at most two pieces.
    while done < write.offered() && ring.free() > 0 {
        let room = ring.room();
        let count = room.len().min(write.offered() - done);
        match write.get(done, &mut room[..count]) {
            Ok(()) => ring.commit(count),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        done += count;
    }
    Ok(done as u64)
}

/// Gives a read as much as there is. What could not be delivered stays.
fn drain(ring: &mut Ring, read: &mut impl WaitingRead) -> Result<u64, StreamError> {
    let mut done = 0;
    while done < read.wanted() && !ring.is_empty() {
        let front = ring.front();
        let count = front.len().min(read.wanted() - done);
        match read.put(done, &front[..count]) {
            Ok(()) => ring.consume(count),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        done += count;
    }
    Ok(done as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;
    use tessera_stream::testing::Call;

    fn pipe() -> Pipe<Call, Call> {
        Pipe::new().unwrap()
    }

    #[test]
    fn a_read_waits_for_a_write() {
        let mut pipe = pipe();
        let read = Call::read(10);
        pipe.read(read.clone());
        assert_eq!(read.answered(), None);
        let write = Call::write(b"hello");
        pipe.write(write.clone());
        assert_eq!(write.answered(), Some(Ok(5)));
        assert_eq!(read.answered(), Some(Ok(5)));
        assert_eq!(read.bytes(), b"hello");
    }

    #[test]
    fn a_full_pipe_makes_writes_wait() {
        let mut pipe = pipe();
        let first = Call::write(&vec![1; CAPACITY + 10]);
        pipe.write(first.clone());
        assert_eq!(first.answered(), Some(Ok(CAPACITY as u64)));
        let second = Call::write(b"x");
        pipe.write(second.clone());
        assert_eq!(second.answered(), None);
        pipe.read(Call::read(1));
        assert_eq!(second.answered(), Some(Ok(1)));
    }

    #[test]
    fn the_end_comes_after_the_rest() {
        let mut pipe = pipe();
        pipe.write(Call::write(b"rest"));
        pipe.close_writer();
        let reads = [Call::read(9), Call::read(9)];
        for read in &reads {
            pipe.read(read.clone());
        }
        assert_eq!(
            reads.map(|read| read.answered()),
            [Some(Ok(4)), Some(Ok(0))]
        );
        pipe.close_reader();
        assert!(pipe.is_dead());
    }

    #[test]
    fn writes_to_nobody_fail() {
        let mut pipe = pipe();
        pipe.write(Call::write(&[0; CAPACITY]));
        let waiting = Call::write(b"x");
        pipe.write(waiting.clone());
        pipe.close_reader();
        let late = Call::write(b"y");
        pipe.write(late.clone());
        for write in [waiting, late] {
            assert_eq!(write.answered(), Some(Err(StreamError::Closed)));
        }
    }

    #[test]
    fn a_cancelled_read_takes_nothing() {
        let mut pipe = pipe();
        let gone = Call::read(9);
        pipe.read(gone.clone());
        gone.cancel();
        pipe.write(Call::write(b"kept"));
        assert_eq!(gone.answered(), None);
        let read = Call::read(9);
        pipe.read(read.clone());
        assert_eq!(read.bytes(), b"kept");
    }

    #[test]
    fn bad_memory_loses_nothing() {
        let mut pipe = pipe();
        pipe.write(Call::write(b"kept"));
        let bad = Call::read(9).broken();
        pipe.read(bad.clone());
        assert_eq!(bad.answered(), Some(Err(StreamError::BadMemory)));
        let bad = Call::write(b"junk").broken();
        pipe.write(bad.clone());
        assert_eq!(bad.answered(), Some(Err(StreamError::BadMemory)));
        let read = Call::read(9);
        pipe.read(read.clone());
        assert_eq!(read.bytes(), b"kept");
    }

    #[test]
    fn only_so_many_calls_wait() {
        let mut pipe = pipe();
        let reads: Vec<Call> = (0..=WAITING).map(|_| Call::read(1)).collect();
        for read in &reads {
            pipe.read(read.clone());
        }
        assert_eq!(reads[WAITING].answered(), Some(Err(StreamError::Busy)));
        reads[0].cancel();
        let read = Call::read(1);
        pipe.read(read.clone());
        assert_eq!(read.answered(), None);
    }

    proptest! {
        #[test]
        fn bytes_arrive_once_and_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..6000), 1..40),
        ) {
            let mut pipe = pipe();
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            let mut next = 0_u8;
            for (is_write, size) in steps {
                if is_write {
                    let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(7); next }).collect();
                    let call = Call::write(&bytes);
                    pipe.write(call.clone());
                    writes.push(call);
                } else {
                    let call = Call::read(size);
                    pipe.read(call.clone());
                    reads.push(call);
                }
            }
            pipe.close_writer();
            let rest = Call::read(CAPACITY * WAITING);
            pipe.read(rest.clone());
            reads.push(rest);
            let mut written = Vec::new();
            for call in writes {
                if let Some(Ok(count)) = call.answered() {
                    written.extend_from_slice(&call.bytes()[..count as usize]);
                }
            }
            let mut read = Vec::new();
            for call in reads {
                match call.answered() {
                    Some(Ok(count)) => prop_assert_eq!(count as usize, call.bytes().len()),
                    Some(Err(error)) => prop_assert_eq!(error, StreamError::Busy),
                    None => prop_assert!(false, "left waiting"),
                }
                read.extend(call.bytes());
            }
            prop_assert_eq!(read, written);
        }
    }
}
