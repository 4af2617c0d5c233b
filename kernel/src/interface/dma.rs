//! Calls on what a device may reach.

use super::Caller;
use crate::{
    capability::object::Target,
    memory::{frames::Search, space::Progress},
    object::{dma::Dma, memory::Memory},
};
use libipc_abi::{
    handle::{ObjectType, Rights},
    objects::{self, MemoryClient, ObjectError},
};

/// Most pages of memory whose frames follow one another: they are taken at once.
const CONTIGUOUS: u64 = 16;

/// What a device may reach, which is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) dma: &'k Dma,
}

impl On<'_, '_> {
    /// The first of so many free frames that follow one another. The error does not
    /// count if the call is to be made again.
    fn adjacent(&mut self, pages: u64) -> Result<u64, ObjectError> {
        let k = self.caller.k;
        let mut from = self.caller.progress();
        loop {
            match k.kernel.frames.search(from, pages) {
                Search::Found(first) => return Ok(first),
                Search::Nowhere => return Err(ObjectError::NotFound),
                Search::NotYet(next) => from = next,
            }
            if k.wanted() {
                self.caller.interrupted(from)?;
                return Err(ObjectError::NotFound);
            }
        }
    }
}

impl objects::Dma for On<'_, '_> {
    fn pin(&mut self, memory: &MemoryClient) -> Result<u64, ObjectError> {
        self.caller.need(Rights::PIN)?;
        let rights = Rights::READ | Rights::WRITE;
        let target = self.caller.argument(memory.0, ObjectType::Memory, rights)?;
        let Target::Memory(memory) = target else {
            return Err(ObjectError::Denied);
        };
        if memory.fixed.get() != 0 {
            return Err(ObjectError::BadArgument);
        }
        let pin = self.dma.pin(memory).ok_or(ObjectError::QuotaExceeded)?;
        Ok(pin as u64)
    }

    fn unpin(&mut self, pin: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::PIN)?;
        if self.dma.unpin(self.caller.k, pin) {
            Ok(())
        } else {
            Err(ObjectError::NotFound)
        }
    }

    fn addresses(&mut self, pin: u64, first: u64) -> Result<[u64; 8], ObjectError> {
        self.caller.need(Rights::PIN)?;
        let k = self.caller.k;
        let memory = self.dma.pinned(k, pin).ok_or(ObjectError::NotFound)?;
        if first >= memory.pages.get() {
            return Err(ObjectError::OutOfRange);
        }
        let mut addresses = [0; 8];
        for (page, address) in (first..memory.pages.get()).zip(&mut addresses) {
            let was_absent = !memory.has_page(k, page);
            *address = memory.page(k, page).unwrap_or(0);
            // What is filled in stays, so the call comes further when made again. The
            // error does not count then.
            if was_absent && k.wanted() {
                self.caller.finished(Progress::Again)?;
                return Err(ObjectError::NotFound);
            }
        }
        Ok(addresses)
    }

    fn release_all(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let progress = self.dma.release_all(self.caller.k);
        self.caller.finished(progress)
    }

    fn pins(&mut self) -> Result<u64, ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        Ok(self.dma.count.get())
    }

    fn create_contiguous(&mut self, pages: u64) -> Result<MemoryClient, ObjectError> {
        self.caller.need(Rights::PIN)?;
        if pages == 0 || pages > CONTIGUOUS {
            return Err(ObjectError::OutOfRange);
        }
        let k = self.caller.k;
        let first = self.adjacent(pages)?;
        let memory = Memory::contiguous(k, self.caller.task, pages, first)?;
        let rights = Rights::GRANT | Rights::READ | Rights::WRITE;
        let given = self.caller.give(&Target::Memory(memory), rights);
        if given.is_err() {
            memory.discard(k);
        }
        given.map(MemoryClient)
    }
}
