//! A waiting call for tests: its memory and answer stay with the test.

use crate::{WaitingRead, WaitingWrite};
use alloc::{rc::Rc, string::String, vec::Vec};
use core::cell::{Cell, RefCell};
use libipc::interfaces::StreamError;

/// A read or a write; clones are the same call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    size: usize,
    bytes: Rc<RefCell<Vec<u8>>>,
    answer: Rc<Cell<Option<Result<u64, StreamError>>>>,
    cancelled: Rc<Cell<bool>>,
    broken: Rc<Cell<bool>>,
}

impl Call {
    /// A read of up to `size` bytes.
    pub fn read(size: usize) -> Self {
        Call {
            size,
            ..Call::default()
        }
    }

    /// A write of `bytes`.
    pub fn write(bytes: &[u8]) -> Self {
        Call {
            size: bytes.len(),
            bytes: Rc::new(RefCell::new(bytes.into())),
            ..Call::default()
        }
    }

    /// A call whose memory cannot be used.
    pub fn broken(self) -> Self {
        self.broken.set(true);
        self
    }

    /// Nobody waits for it any more.
    pub fn cancel(&self) {
        self.cancelled.set(true);
    }

    /// Its answer, if it has one.
    pub fn answered(&self) -> Option<Result<u64, StreamError>> {
        self.answer.get()
    }

    /// What a read got, or what a write brings.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }

    /// The same, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.borrow()).into_owned()
    }

    fn check(&self) -> Result<(), StreamError> {
        if self.broken.get() {
            Err(StreamError::BadMemory)
        } else {
            Ok(())
        }
    }

    fn finish(&self, outcome: Result<u64, StreamError>) {
        assert!(
            self.answer.replace(Some(outcome)).is_none(),
            "answered twice"
        );
    }
}

impl WaitingRead for Call {
    fn wanted(&self) -> usize {
        self.size
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StreamError> {
        self.check()?;
        assert_eq!(self.bytes.borrow().len(), offset, "a gap or an overlap");
        assert!(offset + bytes.len() <= self.size, "past the lease");
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn answer(self, outcome: Result<u64, StreamError>) {
        self.finish(outcome);
    }
}

impl WaitingWrite for Call {
    fn offered(&self) -> usize {
        self.size
    }

    fn get(&mut self, offset: usize, into: &mut [u8]) -> Result<(), StreamError> {
        self.check()?;
        into.copy_from_slice(&self.bytes.borrow()[offset..offset + into.len()]);
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn answer(self, outcome: Result<u64, StreamError>) {
        self.finish(outcome);
    }
}
