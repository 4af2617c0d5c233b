//! The part of the service that is streams: pipes, and files seen as streams.

use crate::{
    namespace::Place,
    pipe::{CAPACITY, Pipe},
    quota::Account,
    service::Service,
    session::Opened,
};
use libipc::interfaces::{
    FileError, StreamError, StreamKind, StreamMode, clients::SERVER_BADGES, file::MAX_TRANSFER,
};
use tessera_stream::{WaitingRead, WaitingWrite};

impl<R: WaitingRead, W: WaitingWrite> Service<'_, R, W> {
    /// Makes a pipe; the badges of its reading and its writing end. Only for
    /// badges that the supervisor made.
    pub fn pipe(&mut self, badge: u64) -> Result<(u64, u64), FileError> {
        if badge >= SERVER_BADGES {
            return Err(FileError::NotPermitted);
        }
        let payer = self.session(badge)?.payer;
        self.accounts.charge_bytes(payer, CAPACITY as u64)?;
        let number = self.next_pipe;
        let reader = self.begin(payer, Opened::PipeReader(number));
        let writer = self.begin(payer, Opened::PipeWriter(number));
        if let (Ok(reader), Ok(writer), Some(pipe)) = (reader, writer, Pipe::new()) {
            self.next_pipe += 1;
            self.pipes.insert(number, pipe);
            return Ok((reader, writer));
        }
        self.accounts.refund_bytes(payer, CAPACITY as u64);
        for badge in [reader, writer].into_iter().flatten() {
            self.closed(badge);
        }
        reader.and(writer).and(Err(FileError::NoSpace))
    }

    /// What is behind a stream.
    pub fn stream_kind(&self, badge: u64) -> Result<StreamKind, StreamError> {
        match self.sessions.get(badge).map(|session| session.opened) {
            Some(Opened::Stream(..)) => Ok(StreamKind::File),
            Some(Opened::PipeReader(_) | Opened::PipeWriter(_)) => Ok(StreamKind::Pipe),
            _ => Err(StreamError::Stale),
        }
    }

    /// Reads from a stream, now or later.
    pub fn stream_read(&mut self, badge: u64, mut read: R) {
        let opened = self.sessions.get(badge).map(|session| session.opened);
        let error = match opened {
            Some(Opened::Stream(file, StreamMode::Read, position)) => {
                let wanted = (read.wanted() as u64).min(MAX_TRANSFER);
                let outcome = self.namespace.volume(file.volume).read(
                    file.node,
                    position,
                    wanted,
                    &mut |offset, bytes| {
                        let put = read.put(offset as usize, bytes);
                        put.map_err(|_| FileError::BadMemory)
                    },
                );
                if let Ok(count) = outcome {
                    self.advance(badge, position + count);
                }
                return read.answer(outcome.map_err(stream_error));
            }
            Some(Opened::PipeReader(number)) => match self.pipes.get_mut(&number) {
                Some(pipe) => return pipe.read(read),
                None => StreamError::Stale,
            },
            Some(Opened::Stream(..) | Opened::PipeWriter(_)) => StreamError::NotReadable,
            _ => StreamError::Stale,
        };
        read.answer(Err(error));
    }

    /// Writes to a stream, now or later.
    pub fn stream_write(&mut self, badge: u64, mut write: W, now: u64) {
        let session = self.sessions.get(badge).copied();
        let error = match session.map(|session| (session.opened, session.payer)) {
            Some((Opened::Stream(file, mode, position), payer)) if mode != StreamMode::Read => {
                let outcome = self.append_or_write(file, payer, (mode, position), &mut write, now);
                if let Ok((start, count)) = outcome {
                    self.advance(badge, start + count);
                }
                let outcome = outcome.map(|(_, count)| count);
                return write.answer(outcome.map_err(stream_error));
            }
            Some((Opened::PipeWriter(number), _)) => match self.pipes.get_mut(&number) {
                Some(pipe) => return pipe.write(write),
                None => StreamError::Stale,
            },
            Some((Opened::Stream(..) | Opened::PipeReader(_), _)) => StreamError::NotWritable,
            _ => StreamError::Stale,
        };
        write.answer(Err(error));
    }

    fn append_or_write(
        &mut self,
        file: Place,
        payer: Account,
        (mode, position): (StreamMode, u64),
        write: &mut W,
        now: u64,
    ) -> Result<(u64, u64), FileError> {
        let position = match mode {
            StreamMode::Append => self.namespace.stat(file)?.size,
            _ => position,
        };
        let length = write.offered() as u64;
        let mut inlet = |offset: u64, into: &mut [u8]| {
            let got = write.get(offset as usize, into);
            got.map_err(|_| FileError::BadMemory)
        };
        let count = self.write(file, payer, position, length, &mut inlet, now)?;
        Ok((position, count))
    }

    fn advance(&mut self, badge: u64, to: u64) {
        if let Some(session) = self.sessions.get_mut(badge)
            && let Opened::Stream(_, _, position) = &mut session.opened
        {
            *position = to;
        }
    }
}

/// How a file's error appears to whoever only sees a stream.
fn stream_error(error: FileError) -> StreamError {
    match error {
        FileError::NoSpace | FileError::OutOfRange => StreamError::NoSpace,
        FileError::BadMemory => StreamError::BadMemory,
        FileError::NotPermitted | FileError::ReadOnly => StreamError::NotWritable,
        _ => StreamError::Stale,
    }
}
