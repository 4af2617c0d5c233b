//! Calls on the machine.

use super::{Caller, reservation};
use crate::{
    arch::{Arch, Port},
    capability::object::Target,
    cell::Word,
    memory::{
        copy::{self, Place},
        slab,
    },
    object::{dma::Dma, interrupt::Interrupt, memory::Memory, reservation::Reservation},
    schedule::core::Core,
};
use libipc_abi::{
    PAGE,
    handle::Rights,
    objects::{
        self, Counters, DmaClient, EndpointClient, InterruptClient, MemoryClient, ObjectError,
        ReservationClient, Shutdown,
    },
};

/// Bytes of the log that one call copies at most.
const PIECE: usize = 512;

/// The machine that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
}

impl objects::System for On<'_, '_> {
    fn shutdown(&mut self, how: Shutdown) -> Result<(), ObjectError> {
        self.caller.need(Rights::SHUTDOWN)?;
        Port::shutdown(how)
    }

    fn counters(&mut self) -> Result<Counters, ObjectError> {
        self.caller.need(Rights::COUNTERS)?;
        let kernel = self.caller.k.kernel;
        let now = Port::now();
        let sum = |of: &dyn Fn(&Core) -> u64| kernel.cores().iter().map(of).sum();
        Ok(Counters {
            now,
            frequency: Port::frequency(),
            frames: kernel.frames.total(),
            free: kernel.frames.free(),
            idle: sum(&|core| core.idle_until(now)),
            cores: kernel.cores().len() as u64,
            calls: sum(&|core| core.counts().0),
            interrupts: sum(&|core| core.interrupts.get()),
            switches: sum(&|core| core.counts().1),
            copied: sum(&|core| core.copied.get()),
        })
    }

    fn read_log(&mut self, from: u64, into: u64, length: u64) -> Result<(u64, u64), ObjectError> {
        self.caller.need(Rights::LOG)?;
        let mut bytes = [0; PIECE];
        let wanted = length.min(PIECE as u64) as usize;
        let (first, count) = self.caller.k.kernel.log.read(from, &mut bytes[..wanted]);
        copy::write(
            self.caller.k,
            &bytes[..count],
            Place::Task(self.caller.task, into),
        )
        .map_err(|_| ObjectError::LeaseFault)?;
        Ok((first, count as u64))
    }

    fn write_log(&mut self, from: u64, length: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::LOG)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= PIECE);
        let length = length.ok_or(ObjectError::OutOfRange)?;
        let mut bytes = [0; PIECE];
        let bytes = &mut bytes[..length];
        copy::read(self.caller.k, Place::Task(self.caller.task, from), bytes)
            .map_err(|_| ObjectError::LeaseFault)?;
        bytes
            .iter()
            .for_each(|byte| self.caller.k.kernel.log.put(*byte));
        Ok(())
    }

    fn bind_log(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::LOG)?;
        let reader = &self.caller.k.kernel.log.reader;
        self.caller.bind(reader, endpoint.0, signals)
    }

    fn release_console(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::LOG)?;
        self.caller.k.kernel.log.release_console();
        Ok(())
    }

    fn device_memory(&mut self, address: u64, pages: u64) -> Result<MemoryClient, ObjectError> {
        self.caller.need(Rights::DEVICES)?;
        let k = self.caller.k;
        let end = pages
            .checked_mul(PAGE as u64)
            .and_then(|length| address.checked_add(length));
        let end = end
            .filter(|end| *end < 1 << 48)
            .ok_or(ObjectError::OutOfRange)?;
        if pages == 0 || address == 0 || !address.is_multiple_of(PAGE as u64) {
            return Err(ObjectError::BadAddress);
        }
        let range = address..end;
        if k.kernel.frames.holds(&range) || Port::keeps(&range) {
            return Err(ObjectError::Denied);
        }
        let memory = Memory::fixed(k, self.caller.task, &range, true)?;
        let rights = Rights::GRANT | Rights::READ | Rights::WRITE;
        let given = self.caller.give(&Target::Memory(memory), rights);
        if given.is_err() {
            memory.discard(k);
        }
        given.map(MemoryClient)
    }

    fn interrupt(&mut self, line: u64) -> Result<InterruptClient, ObjectError> {
        self.caller.need(Rights::DEVICES)?;
        let k = self.caller.k;
        let line = u32::try_from(line).map_err(|_| ObjectError::NotFound)?;
        if k.kernel.line(k, line).is_some() {
            return Err(ObjectError::Overlap);
        }
        if !Port::mask(line) {
            return Err(ObjectError::NotFound);
        }
        let fields = Interrupt {
            id: Word::new(k.kernel.new_id()),
            line: Word::new(line),
            ..Interrupt::default()
        };
        let interrupt = slab::create(k, self.caller.task, fields)?;
        if !k.kernel.set_line(interrupt) {
            slab::retire(k, interrupt);
            return Err(ObjectError::NotFound);
        }
        let given = self
            .caller
            .give(&Target::Interrupt(interrupt), Rights::BIND | Rights::GRANT);
        if given.is_err() {
            interrupt.uses.add(1);
            interrupt.release(k);
        }
        given.map(InterruptClient)
    }

    fn create_reservation(
        &mut self,
        budget: u64,
        period: u64,
    ) -> Result<ReservationClient, ObjectError> {
        self.caller.need(Rights::TIME)?;
        reservation::check(budget, period)?;
        let k = self.caller.k;
        let made = Reservation::create(k, self.caller.task, budget, period)?;
        let rights = Rights::CONTROL | Rights::INSPECT | Rights::GRANT;
        let given = self.caller.give(&Target::Reservation(made), rights);
        if given.is_err() {
            made.uses.add(1);
            made.release(k);
        }
        given.map(ReservationClient)
    }

    fn create_dma(&mut self) -> Result<DmaClient, ObjectError> {
        self.caller.need(Rights::DEVICES)?;
        let k = self.caller.k;
        let made = Dma::create(k, self.caller.task)?;
        let rights = Rights::PIN | Rights::CONTROL | Rights::GRANT;
        let given = self.caller.give(&Target::Dma(made), rights);
        if given.is_err() {
            made.uses.add(1);
            made.release(k);
        }
        given.map(DmaClient)
    }
}
