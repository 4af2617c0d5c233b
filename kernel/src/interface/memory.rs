//! Calls on memory.

use super::Caller;
use crate::{
    memory::copy::{self, Place},
    object::memory::Memory,
};
use libipc_abi::{
    PAGE,
    handle::Rights,
    objects::{self, ObjectError},
};

/// Memory that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) memory: &'k Memory,
}

impl On<'_, '_> {
    fn check(&self, offset: u64, length: u64) -> Result<(), ObjectError> {
        let end = offset.checked_add(length).ok_or(ObjectError::OutOfRange)?;
        if end > self.memory.pages.get() * PAGE as u64 {
            return Err(ObjectError::OutOfRange);
        }
        Ok(())
    }
}

impl objects::Memory for On<'_, '_> {
    fn pages(&mut self) -> Result<u64, ObjectError> {
        Ok(self.memory.pages.get())
    }

    fn read(&mut self, offset: u64, into: u64, length: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::READ)?;
        self.check(offset, length)?;
        let (from, to) = (
            Place::Memory(self.memory, offset),
            Place::Task(self.caller.task, into),
        );
        let result = copy::copy(self.caller.k, from, to, length);
        self.caller.copied(result, [0, 1], 2)
    }

    fn write(&mut self, offset: u64, from: u64, length: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::WRITE)?;
        self.check(offset, length)?;
        let (from, to) = (
            Place::Task(self.caller.task, from),
            Place::Memory(self.memory, offset),
        );
        let result = copy::copy(self.caller.k, from, to, length);
        self.caller.copied(result, [0, 1], 2)
    }
}
