//! Memory that a device may reach: pins, what they keep, and who releases them.

use super::{machine::*, steps};
use crate::{
    arch::Access,
    capability::object::Target,
    cell::Word,
    memory::space,
    object::{dma::Dma, memory::Memory, task::Task, thread::Thread},
};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, dma, system},
    registers::WORDS,
};

/// A driver, and a manager who has the same object.
pub(super) struct Setting {
    pub(super) m: Machine,
    pub(super) driver_task: &'static Task,
    pub(super) driver: &'static Thread,
    manager: &'static Thread,
    dma: &'static Dma,
    pub(super) pins: Handle,
    control: Handle,
}

pub(super) fn setting() -> Setting {
    let m = Machine::new(1024);
    let (driver_task, manager_task) = (m.task(64), m.task(64));
    let (driver, manager) = (m.thread(driver_task), m.thread(manager_task));
    let dma = Dma::create(m.k, manager_task).unwrap();
    let pins = m.give(driver_task, Target::Dma(dma), Rights::PIN);
    let control = m.give(manager_task, Target::Dma(dma), Rights::CONTROL);
    Setting {
        m,
        driver_task,
        driver,
        manager,
        dma,
        pins,
        control,
    }
}

impl Setting {
    pub(super) fn call(
        &self,
        thread: &'static Thread,
        handle: Handle,
        operation: u8,
        capabilities: &[Handle],
        words: &[u64],
    ) -> Answer {
        self.m.open(thread, 1);
        for (index, handle) in capabilities.iter().enumerate() {
            self.m
                .set_buffer(thread, word::CAPABILITIES + index, handle.0);
        }
        self.m.set_buffer(thread, word::PASSING, 1);
        let label = Label::call(operation, dma::INTERFACE.hash);
        let label = label.with_capabilities(capabilities.len());
        let out = self.m.call(thread, handle, label, words);
        Answer::of(&out.expect("kernel objects answer at once"))
    }

    /// The driver pins memory that it holds.
    pub(super) fn pin(&self, memory: Handle) -> Answer {
        self.call(self.driver, self.pins, dma::number::PIN, &[memory], &[])
    }

    pub(super) fn unpin(&self, pin: u64) -> Answer {
        self.call(self.driver, self.pins, dma::number::UNPIN, &[], &[pin])
    }

    pub(super) fn addresses(&self, pin: u64, first: u64) -> Answer {
        let number = dma::number::ADDRESSES;
        self.call(self.driver, self.pins, number, &[], &[pin, first])
    }

    fn release_all(&self) -> Answer {
        let number = dma::number::RELEASE_ALL;
        self.call(self.manager, self.control, number, &[], &[])
    }

    /// Memory of a task, with a capability for the driver.
    pub(super) fn memory(&self, owner: &'static Task, pages: u64) -> (&'static Memory, Handle) {
        let memory = Memory::create(self.m.k, owner, pages).unwrap();
        let rights = Rights::READ | Rights::WRITE | Rights::GRANT;
        let handle = self
            .m
            .give(self.driver_task, Target::Memory(memory), rights);
        (memory, handle)
    }

    pub(super) fn delete(&self, handle: Handle) {
        let table = &self.driver_task.table;
        table.delete(self.m.k, table.find(self.m.k, handle).unwrap());
        self.m.leave();
    }
}

#[test]
fn the_driver_learns_the_addresses_of_what_it_pinned() {
    let s = setting();
    let (memory, handle) = s.memory(s.driver_task, 11);
    let pin = s.pin(handle).word();
    let Answer::Ok(first) = s.addresses(pin, 0) else {
        panic!("refused")
    };
    let Answer::Ok(last) = s.addresses(pin, 8) else {
        panic!("refused")
    };
    for page in 0..11 {
        let address = if page < 8 {
            first[page]
        } else {
            last[page - 8]
        };
        assert_eq!(Some(address), memory.page(s.m.k, page as u64));
    }
    assert_eq!(last[3..], [0; 5]);
    let outside = Answer::error(ObjectError::OutOfRange);
    assert_eq!(s.addresses(pin, 11), outside);
    assert_eq!(s.addresses(pin, u64::MAX), outside);
    let nothing = Answer::error(ObjectError::NotFound);
    for other in [pin + 1, 64, u64::MAX] {
        assert_eq!(s.addresses(other, 0), nothing);
        assert_eq!(s.unpin(other), nothing);
    }
}

#[test]
fn each_right_allows_its_own() {
    let s = setting();
    let (_, handle) = s.memory(s.driver_task, 1);
    let denied = Answer::error(ObjectError::Denied);
    for number in [dma::number::RELEASE_ALL, dma::number::PINS] {
        assert_eq!(s.call(s.driver, s.pins, number, &[], &[]), denied);
    }
    for number in [
        dma::number::UNPIN,
        dma::number::ADDRESSES,
        dma::number::CREATE_CONTIGUOUS,
    ] {
        assert_eq!(s.call(s.manager, s.control, number, &[], &[1, 0]), denied);
    }
    let manager = s.manager.task.get(s.m.k).unwrap();
    let own = Memory::create(s.m.k, manager, 1).unwrap();
    let rights = Rights::READ | Rights::WRITE;
    let own = s.m.give(manager, Target::Memory(own), rights);
    let pin = s.call(s.manager, s.control, dma::number::PIN, &[own], &[]);
    assert_eq!(pin, denied);
    // Memory that the driver may not write, or that is a device's.
    let memory = Memory::create(s.m.k, s.driver_task, 1).unwrap();
    let read =
        s.m.give(s.driver_task, Target::Memory(memory), Rights::READ);
    assert_eq!(s.pin(read), denied);
    let range = 0x1000..0x2000;
    let device = Memory::fixed(s.m.k, s.driver_task, &range, true).unwrap();
    let device = s.m.give(s.driver_task, Target::Memory(device), rights);
    assert_eq!(s.pin(device), Answer::error(ObjectError::BadArgument));
    assert_eq!(s.pin(s.pins), denied);
    assert!(s.pin(handle).is_ok());
    // And the object itself.
    let (number, hash) = (system::number::CREATE_DMA, system::INTERFACE.hash);
    for (rights, expected) in [
        (Rights::all() - Rights::DEVICES, denied),
        (Rights::DEVICES, Answer::Ok([0; WORDS])),
    ] {
        let system = s.m.give(s.driver_task, Target::System, rights);
        s.m.open(s.driver, 1);
        let out = s.m.object(s.driver, system, number, hash, &[]);
        assert_eq!(Answer::of(&out), expected);
    }
    let made = s.m.received(s.driver).rights();
    assert_eq!(made, Rights::PIN | Rights::CONTROL | Rights::GRANT);
}

#[test]
fn a_pin_keeps_frames_when_every_capability_is_gone() {
    let s = setting();
    let used = s.driver_task.used.get();
    let (memory, handle) = s.memory(s.driver_task, 3);
    let (address, access) = (0x60_0000, Access::READ | Access::WRITE);
    let mapping = space::Mapping {
        memory,
        source: None,
        address,
        offset: 0,
        pages: 3,
        access,
        most: access,
        tables: Word::default(),
    };
    assert_eq!(
        space::map(s.m.k, s.driver_task, &mapping),
        Ok(space::Progress::Done)
    );
    s.m.poke(s.driver_task, address, b"for the device");
    let pin = s.pin(handle).word();
    let frame = memory.page(s.m.k, 0).unwrap();
    s.delete(handle);
    assert_eq!(
        space::unmap(s.m.k, s.driver_task, address, 3),
        Ok(space::Progress::Done)
    );
    s.m.leave();
    assert!(s.driver_task.used.get() >= used + 3);
    let words = crate::memory::frames::words(s.m.k, frame);
    let first = words[0].load(core::sync::atomic::Ordering::Relaxed);
    assert_eq!(&first.to_le_bytes(), b"for the ");
    let free = s.m.k.kernel.frames.free();
    assert!(s.unpin(pin).is_ok());
    assert_eq!(s.m.k.kernel.frames.free(), free + 1);
    assert_eq!(s.unpin(pin), Answer::error(ObjectError::NotFound));
}

#[test]
fn a_killed_owners_quota_comes_back_with_the_last_pin() {
    let s = setting();
    let (root, before) = (s.m.root, s.m.root.used.get());
    let owner = Task::create(s.m.k, root, 32).unwrap();
    owner.uses.add(1);
    let (memory, handle) = s.memory(owner, 4);
    let first = s.pin(handle).word();
    let second = s.pin(handle).word();
    assert_ne!(first, second);
    let frame = memory.page(s.m.k, 1).unwrap();
    s.delete(handle);
    s.m.kill(owner);
    assert!(owner.reaped.get());
    for pin in [first, second] {
        // Still charged, and nobody gets the frame.
        assert_eq!(root.used.get(), before + 32);
        assert!(!owner.ended.get());
        assert!(s.addresses(pin, 1).is_ok());
        assert!(!s.m.k.kernel.frames.record(frame).is_free());
        assert!(s.unpin(pin).is_ok());
        s.m.leave();
    }
    assert!(owner.ended.get());
    owner.release(s.m.k);
    s.m.leave();
    assert_eq!(root.used.get(), before);
}

#[test]
fn a_dead_drivers_pins_stay_until_the_device_was_reset() {
    let s = setting();
    let (root, before) = (s.m.root, s.m.root.used.get());
    let (_, own) = s.memory(s.driver_task, 5);
    assert!(s.pin(own).is_ok());
    s.m.kill(s.driver_task);
    assert!(s.driver_task.reaped.get() && !s.driver_task.ended.get());
    assert_eq!(root.used.get(), before);
    let pins = s.call(s.manager, s.control, dma::number::PINS, &[], &[]);
    assert_eq!(pins.word(), 1);
    assert!(s.release_all().is_ok());
    s.m.leave();
    assert!(s.driver_task.ended.get());
    assert_eq!(root.used.get(), before - 64);
    let pins = s.call(s.manager, s.control, dma::number::PINS, &[], &[]);
    assert_eq!(pins.word(), 0);
}

#[test]
fn revoking_the_memory_takes_no_pin_away() {
    let s = setting();
    let owner = s.m.task(32);
    let memory = Memory::create(s.m.k, owner, 2).unwrap();
    let rights = Rights::READ | Rights::WRITE | Rights::GRANT;
    let whole = s.m.give(owner, Target::Memory(memory), rights);
    let from = owner.table.find(s.m.k, whole).unwrap();
    let table = &s.driver_task.table;
    let target = Target::Memory(memory);
    let derived = table.insert_from(s.m.k, s.driver_task, &target, rights, from);
    let pin = s.pin(derived.unwrap()).word();
    assert_eq!(
        crate::capability::revoke::revoke(s.m.k, from, &mut 0),
        space::Progress::Done
    );
    assert!(table.find(s.m.k, derived.unwrap()).is_none());
    assert!(s.addresses(pin, 0).is_ok());
    assert_eq!(s.dma.count.get(), 1);
}

#[test]
fn there_are_so_many_pins_and_no_more() {
    let s = setting();
    let (memory, handle) = s.memory(s.driver_task, 1);
    let numbers: std::vec::Vec<_> = (0..64).map(|_| s.pin(handle).word()).collect();
    assert_eq!(numbers, (0..64).collect::<std::vec::Vec<_>>());
    assert_eq!(memory.uses.get(), 65);
    assert_eq!(s.pin(handle), Answer::error(ObjectError::QuotaExceeded));
    assert!(s.unpin(17).is_ok());
    assert_eq!(s.pin(handle).word(), 17);
    assert!(s.release_all().is_ok());
    assert_eq!((memory.uses.get(), s.dma.count.get()), (1, 0));
}

#[test]
fn what_nobody_manages_stays_pinned() {
    let s = setting();
    let (memory, handle) = s.memory(s.driver_task, 1);
    assert!(s.pin(handle).is_ok());
    s.m.kill(s.driver_task);
    let manager = s.manager.task.get(s.m.k).unwrap();
    s.m.kill(manager);
    assert_eq!((memory.uses.get(), s.dma.uses.get()), (1, 0));
    assert!(!manager.ended.get(), "the object is still paid for");
}

#[test]
fn memory_of_two_devices_is_free_after_both_resets() {
    let s = setting();
    let manager = s.manager.task.get(s.m.k).unwrap();
    let other = Dma::create(s.m.k, manager).unwrap();
    let used = s.driver_task.used.get();
    let (memory, handle) = s.memory(s.driver_task, 2);
    let pin = s.pin(handle).word();
    assert_eq!(other.pin(memory), Some(0));
    let frame = memory.page(s.m.k, 1).unwrap();
    s.delete(handle);
    assert!(s.release_all().is_ok());
    s.m.leave();
    assert_eq!(s.addresses(pin, 0), Answer::error(ObjectError::NotFound));
    assert!(s.driver_task.used.get() >= used + 2);
    assert!(!s.m.k.kernel.frames.record(frame).is_free());
    assert_eq!(other.release_all(s.m.k), space::Progress::Done);
    s.m.leave();
    assert!(s.driver_task.used.get() <= used + 1);
    assert!(s.m.k.kernel.frames.record(frame).is_free());
}

#[test]
fn an_interrupt_waits_for_no_more_than_one_frame_or_pin() {
    let s = setting();
    // A directory, and eight pages of which three are there.
    let (memory, handle) = s.memory(s.driver_task, 20);
    let pin = s.pin(handle).word();
    for page in [8, 9, 15] {
        memory.page(s.m.k, page);
    }
    let call = |handle, number, words: &[u64]| {
        let label = Label::call(number, dma::INTERFACE.hash);
        call_in(handle, label, words, FOREVER)
    };
    let addresses = call(s.pins, dma::number::ADDRESSES, &[pin, 8]);
    assert_eq!(steps::tries(&s.m, s.driver, &addresses), 5 + 1);
    let told = s.m.result(s.driver).words;
    for (page, address) in (8..).zip(told) {
        assert!(memory.has_page(s.m.k, page));
        assert_eq!(memory.page(s.m.k, page), Some(address));
    }
    assert!(!memory.has_page(s.m.k, 7) && !memory.has_page(s.m.k, 16));
    for _ in 1..20 {
        assert!(s.pin(handle).is_ok());
    }
    let release_all = call(s.control, dma::number::RELEASE_ALL, &[]);
    assert_eq!(steps::tries(&s.m, s.manager, &release_all), 20 + 1);
    assert_eq!((memory.uses.get(), s.dma.count.get()), (1, 0));
}
