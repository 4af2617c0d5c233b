//! Memory: mapping, filling, sharing, and what is refused.

use super::{invariants, machine::*};
use crate::{
    arch::{Access, Arch, Entry, Port, host},
    capability::object::Target,
    cell::Word,
    memory::{
        copy::{self, Place, Stop},
        fill,
        frames::{self, Frames},
        space::{self, Progress},
    },
    object::{memory::Memory, task::Task},
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    PAGE, USER_END,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, memory, system},
    status::Cause,
};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    vec::Vec,
};

const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const AT: u64 = 0x40_0000;
const PAGE_: u64 = PAGE as u64;

/// A task that maps memory of its own.
struct Mapper {
    pair: Pair,
    own: Handle,
    memory: Handle,
}

impl Mapper {
    /// With memory of so many pages, all rights on it.
    fn new(pages: u64) -> Mapper {
        let pair = Pair::new();
        let target = Target::Task(pair.client_task);
        let own = pair.machine.give(pair.client_task, target, Rights::all());
        let memory = pair
            .machine
            .make(pair.client, own, on_task::CREATE_MEMORY, &[pages]);
        Mapper { pair, own, memory }
    }

    fn call(&self, operation: u8, capabilities: &[Handle], words: &[u64]) -> Answer {
        let (m, thread) = (&self.pair.machine, self.pair.client);
        m.task_call(thread, self.own, operation, capabilities, words)
    }

    fn map(&self, address: u64, offset: u64, pages: u64, access: u64) -> Answer {
        let words = [address, offset, pages, access];
        self.call(on_task::MAP, &[self.memory], &words)
    }

    fn unmap(&self, address: u64, pages: u64) -> Answer {
        self.call(on_task::UNMAP, &[], &[address, pages])
    }

    fn protect(&self, address: u64, pages: u64, access: u64) -> Answer {
        self.call(on_task::PROTECT, &[], &[address, pages, access])
    }

    fn task(&self) -> &'static Task {
        self.pair.client_task
    }

    /// What the task can do at an address.
    fn access(&self, address: u64) -> Access {
        let k = self.pair.machine.k;
        let can = |access| fill::resolve(k, self.task(), address, access).is_ok();
        [Access::READ, Access::WRITE, Access::EXECUTE]
            .into_iter()
            .filter(|access| can(*access))
            .collect()
    }

    fn check(&self) {
        invariants::check(&self.pair.machine, |_| 1);
    }
}

fn error(error: ObjectError) -> Answer {
    Answer::error(error)
}

#[test]
fn nothing_is_writable_and_executable() {
    let mapper = Mapper::new(1);
    for access in 0..=8 {
        let answer = mapper.map(AT, 0, 1, access);
        match access {
            0 => assert_eq!(answer, error(ObjectError::Denied)),
            8 => assert_eq!(answer, error(ObjectError::BadArgument)),
            _ if access & 6 == 6 => assert_eq!(answer, error(ObjectError::WriteExecute)),
            _ => {
                assert!(answer.is_ok());
                let expected = Access::from_bits(access as u8).unwrap();
                assert_eq!(mapper.access(AT), expected);
                for next in 1..8 {
                    let answer = mapper.protect(AT, 1, next);
                    assert_eq!(answer.is_ok(), next & 6 != 6, "{access} to {next}");
                    let now = mapper.access(AT);
                    assert!(!now.contains(Access::WRITE | Access::EXECUTE));
                    if next & 6 != 6 {
                        assert_eq!(now.bits() as u64, next);
                    }
                }
                assert!(mapper.unmap(AT, 1).is_ok());
            }
        }
        assert_eq!(mapper.access(AT), Access::empty());
    }
    mapper.check();
}

#[test]
fn memory_s_rights_bound_its_mappings_for_good() {
    let mut mapper = Mapper::new(1);
    let words = [
        mapper.memory.0,
        u64::from((Rights::READ | Rights::EXECUTE).bits()),
    ];
    mapper.memory = Handle(mapper.call(on_task::DERIVE, &[], &words).word());
    assert_eq!(mapper.map(AT, 0, 1, WRITE), error(ObjectError::Denied));
    assert_eq!(
        mapper.map(AT, 0, 1, READ | WRITE),
        error(ObjectError::Denied)
    );
    assert!(mapper.map(AT, 0, 1, READ).is_ok());
    assert_eq!(
        mapper.protect(AT, 1, READ | WRITE),
        error(ObjectError::Denied)
    );
    assert!(mapper.protect(AT, 1, READ | EXECUTE).is_ok());
    // Neither can its bytes be written through the object.
    let (m, client) = (&mapper.pair.machine, mapper.pair.client);
    let hash = memory::INTERFACE.hash;
    let out = m.object(client, mapper.memory, 2, hash, &[0, DATA, 8]);
    assert_eq!(out.status, refused(Cause::Denied));
    let out = m.object(client, mapper.memory, 1, hash, &[0, DATA, 8]);
    assert_eq!(out.status, MESSAGE);
    mapper.check();
}

#[test]
fn ranges_are_checked() {
    let mapper = Mapper::new(4);
    let bad = error(ObjectError::BadAddress);
    let out = error(ObjectError::OutOfRange);
    for (address, offset, pages, expected) in [
        (0, 0, 1, bad),
        (AT + 8, 0, 1, bad),
        (AT, 0, 0, bad),
        (AT, 0, u64::MAX, bad),
        (AT, 0, u64::MAX / PAGE_ + 1, bad),
        (u64::MAX - 4095, 0, 1, bad),
        (USER_END, 0, 1, bad),
        (space::BUFFERS, 0, 1, bad),
        (space::BUFFERS - PAGE_, 0, 2, bad),
        (AT, 0, 5, out),
        (AT, 4, 1, out),
        (AT, 3, 2, out),
        (AT, u64::MAX, 1, out),
    ] {
        let answer = mapper.map(address, offset, pages, READ);
        assert_eq!(answer, expected, "{address:#x} {offset} {pages}");
        if expected == bad {
            assert_eq!(mapper.unmap(address, pages), bad);
            assert_eq!(mapper.protect(address, pages, READ), bad);
        }
    }
    assert!(mapper.map(space::BUFFERS - PAGE_, 3, 1, READ).is_ok());
    mapper.check();
}

#[test]
fn mappings_do_not_overlap() {
    let mapper = Mapper::new(4);
    assert!(mapper.map(AT, 0, 2, READ).is_ok());
    assert!(mapper.map(AT + 4 * PAGE_, 0, 2, READ).is_ok());
    for (page, pages) in [(0, 1), (1, 1), (1, 2), (0, 6), (3, 2), (5, 4)] {
        let pages = pages.min(4);
        let answer = mapper.map(AT + page * PAGE_, 0, pages, READ);
        assert_eq!(answer, error(ObjectError::Overlap), "{page} {pages}");
    }
    let before = AT - PAGE_;
    assert_eq!(mapper.map(before, 0, 2, READ), error(ObjectError::Overlap));
    assert!(mapper.map(before, 0, 1, READ).is_ok());
    assert!(mapper.map(AT + 2 * PAGE_, 0, 2, READ).is_ok());
    let addresses: Vec<u64> = mapper
        .task()
        .regions
        .iter(mapper.pair.machine.k)
        .map(|region| region.address.get())
        .collect();
    assert!(addresses.is_sorted());
    mapper.check();
}

#[test]
fn whole_mappings_are_unmapped() {
    let mapper = Mapper::new(4);
    for place in 0..3 {
        assert!(mapper.map(AT + place * 4 * PAGE_, 0, 2, READ).is_ok());
    }
    assert_eq!(mapper.unmap(AT + PAGE_, 1), error(ObjectError::Overlap));
    assert_eq!(mapper.unmap(AT, 5), error(ObjectError::Overlap));
    assert_eq!(
        mapper.unmap(AT + 2 * PAGE_, 2),
        error(ObjectError::NotMapped)
    );
    assert_eq!(mapper.access(AT), Access::READ);
    assert!(mapper.unmap(AT, 6).is_ok());
    assert_eq!(mapper.access(AT), Access::empty());
    assert_eq!(mapper.access(AT + 4 * PAGE_), Access::empty());
    assert_eq!(mapper.access(AT + 8 * PAGE_), Access::READ);
    let exact = error(ObjectError::NotMapped);
    for (page, pages) in [(8, 1), (9, 1), (8, 3), (7, 3), (20, 1)] {
        assert_eq!(mapper.protect(AT + page * PAGE_, pages, READ), exact);
    }
    mapper.check();
}

#[test]
fn pages_are_zero_and_come_at_first_touch() {
    let mapper = Mapper::new(3);
    let m = &mapper.pair.machine;
    let task = mapper.task();
    assert!(mapper.map(AT, 0, 3, READ | WRITE).is_ok());
    let (free, used) = (m.k.kernel.frames.free(), task.used.get());
    let mut bytes = [1; 64];
    m.peek(task, AT + PAGE_ + 32, &mut bytes);
    assert_eq!(bytes, [0; 64]);
    assert_eq!(m.k.kernel.frames.free(), free - 1);
    assert_eq!(task.used.get(), used, "all was charged at the beginning");
    // A frame that was used before is zero too.
    m.poke(task, AT, &[0xee; 128]);
    assert!(mapper.unmap(AT, 3).is_ok());
    assert!(
        mapper
            .call(on_task::DELETE, &[], &[mapper.memory.0])
            .is_ok()
    );
    assert_eq!(m.k.kernel.frames.free(), free, "both pages are back");
    m.map(task, AT, 8, Access::READ);
    for page in 0..8 {
        let mut bytes = [1; 64];
        m.peek(task, AT + page * PAGE_, &mut bytes);
        assert_eq!(bytes, [0; 64]);
    }
    mapper.check();
}

#[test]
fn memory_is_shared_by_reference() {
    let mapper = Mapper::new(2);
    let m = &mapper.pair.machine;
    let server = mapper.pair.server_task;
    let other = m.give(mapper.task(), Target::Task(server), Rights::all());
    let words = [AT, 1, 1, READ];
    let answer = m.task_call(
        mapper.pair.client,
        other,
        on_task::MAP,
        &[mapper.memory],
        &words,
    );
    assert!(answer.is_ok());
    assert!(mapper.map(AT, 0, 2, READ | WRITE).is_ok());
    m.poke(mapper.task(), AT + PAGE_, b"shared");
    let mut bytes = [0; 6];
    m.peek(server, AT, &mut bytes);
    assert_eq!(&bytes, b"shared");
    let k = m.k;
    assert!(fill::resolve(k, server, AT, Access::WRITE).is_err());
    // It stays with the other when this one lets go.
    assert!(mapper.unmap(AT, 2).is_ok());
    assert!(
        mapper
            .call(on_task::DELETE, &[], &[mapper.memory.0])
            .is_ok()
    );
    m.peek(server, AT, &mut bytes);
    assert_eq!(&bytes, b"shared");
    mapper.check();
}

#[test]
fn the_kernel_does_not_copy_device_registers() {
    let mapper = Mapper::new(1);
    let (m, client) = (&mapper.pair.machine, mapper.pair.client);
    let task = mapper.task();
    let system = m.give(task, Target::System, Rights::DEVICES);
    let hash = system::INTERFACE.hash;
    let ram = m.k.kernel.frames.numbered(5).unwrap().1;
    for (address, pages, expected) in [
        (0x1000_0000, 0, ObjectError::BadAddress),
        (0, 1, ObjectError::BadAddress),
        (0x1000_0800, 1, ObjectError::BadAddress),
        (0x1000_0000, u64::MAX, ObjectError::OutOfRange),
        (u64::MAX - 4095, 2, ObjectError::OutOfRange),
        (ram, 1, ObjectError::Denied),
        (ram - 16 * PAGE_, 64, ObjectError::Denied),
    ] {
        m.open(client, 1);
        let out = m.object(client, system, 6, hash, &[address, pages]);
        assert_eq!(Answer::of(&out), error(expected), "{address:#x} {pages}");
    }
    m.open(client, 1);
    let out = m.object(client, system, 6, hash, &[0x1000_0000, 2]);
    assert!(Answer::of(&out).is_ok());
    let device = m.received(client);
    assert_eq!(
        device.rights(),
        Rights::READ | Rights::WRITE | Rights::GRANT
    );
    let hash = memory::INTERFACE.hash;
    for operation in [1, 2] {
        let out = m.object(client, device, operation, hash, &[0, DATA, 8]);
        assert_eq!(out.status, refused(Cause::LeaseFault));
    }
    let words = [AT, 0, 2, READ | WRITE];
    assert!(mapper.call(on_task::MAP, &[device], &words).is_ok());
    let (physical, access) = fill::resolve(m.k, task, AT + PAGE_ + 4, Access::READ).unwrap();
    assert_eq!(physical, 0x1000_1004);
    assert!(access.contains(Access::DEVICE));
    assert!(mapper.protect(AT, 2, READ).is_ok());
    let access = fill::resolve(m.k, task, AT, Access::READ).unwrap().1;
    assert_eq!(access, Access::READ | Access::DEVICE, "it stays a device");
    let peek = mapper.call(on_task::PEEK, &[], &[AT, DATA, 8]);
    assert_eq!(peek, error(ObjectError::LeaseFault));
    let hash = memory::INTERFACE.hash;
    let out = m.object(client, mapper.memory, 1, hash, &[0, AT, 8]);
    assert_eq!(out.status, refused(Cause::LeaseFault));
    mapper.check();
}

#[test]
fn large_memory_has_directories() {
    let sizes: &[u64] = if cfg!(miri) {
        &[8, 9]
    } else {
        &[8, 9, 511, 512, 513, 1030]
    };
    for &pages in sizes {
        let m = Machine::new(2048);
        let task = m.task(1200);
        let (free, used) = (m.k.kernel.frames.free(), task.used.get());
        let memory = Memory::create(m.k, task, pages).unwrap();
        memory.uses.add(1);
        let directories = match pages {
            0..=8 => 0,
            9..=512 => 1,
            _ => 1 + pages.div_ceil(512),
        };
        assert_eq!(memory.charged.get(), pages + directories);
        let mut frames: Vec<u64> = (0..pages)
            .map(|page| memory.page(m.k, page).unwrap())
            .collect();
        assert_eq!(memory.page(m.k, pages), None);
        for (page, frame) in frames.iter().enumerate() {
            assert_eq!(memory.page(m.k, page as u64), Some(*frame));
        }
        frames.sort();
        frames.dedup();
        assert_eq!(
            frames.len() as u64,
            pages,
            "each page has a frame of its own"
        );
        assert_eq!(free - m.k.kernel.frames.free(), pages + directories);
        // Taken apart even if an interrupt always waits.
        memory.release(m.k);
        host::interrupt_after(0);
        for _ in 0..pages {
            m.leave();
        }
        host::interrupt_after(u32::MAX);
        assert!(m.k.kernel.dying_memory.is_empty());
        assert_eq!(m.k.kernel.frames.free(), free);
        assert_eq!(task.used.get(), used);
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let mapper = Mapper::new(1);
    let create = |pages| mapper.call(on_task::CREATE_MEMORY, &[], &[pages]);
    assert_eq!(create(0), error(ObjectError::OutOfRange));
    assert_eq!(create(u64::MAX), error(ObjectError::OutOfRange));
    assert_eq!(create((1 << 27) + 1), error(ObjectError::OutOfRange));
    assert_eq!(create(1 << 27), error(ObjectError::QuotaExceeded));
    assert_eq!(create(64), error(ObjectError::QuotaExceeded));
    mapper.check();
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn interrupted_operations_go_on() {
    const PAGES: u64 = 1200;
    for after in 0..8 {
        let m = Machine::new(2048);
        let task = m.task(1800);
        let thread = m.thread(task);
        let own = m.give(task, Target::Task(task), Rights::all());
        let memory = m.make(thread, own, on_task::CREATE_MEMORY, &[PAGES]);
        // One interrupt, or one that waits at every look.
        let call = |operation, capabilities: &[Handle], words: &[u64]| {
            host::interrupt_after(after);
            let answer = m.task_call(thread, own, operation, capabilities, words);
            host::interrupt_after(u32::MAX);
            assert!(answer.is_ok(), "{answer:?}");
        };
        let words = [AT - PAGE_, 0, PAGES, READ | WRITE];
        call(on_task::MAP, &[memory], &words);
        for page in 0..PAGES {
            m.poke(task, AT - PAGE_ + page * PAGE_, &[7]);
        }
        call(on_task::PROTECT, &[], &[AT - PAGE_, PAGES, READ]);
        for page in 0..PAGES {
            let at = AT - PAGE_ + page * PAGE_;
            assert!(fill::resolve(m.k, task, at, Access::WRITE).is_err());
            let mut byte = [0];
            m.peek(task, at, &mut byte);
            assert_eq!(byte, [7]);
        }
        call(on_task::UNMAP, &[], &[AT - PAGE_, PAGES]);
        for page in 0..PAGES {
            let entry = space::leaf(m.k, task, AT - PAGE_ + page * PAGE_).unwrap();
            assert_eq!(Port::entry(entry.load(Relaxed), 0), Entry::Empty);
        }
        assert_eq!(task.region_count.get(), 1, "that at DATA");
        let free = m.k.kernel.frames.free();
        call(on_task::DELETE, &[], &[memory.0]);
        m.leave();
        assert!(m.k.kernel.frames.free() >= free + PAGES);
        invariants::check(&m, |_| 1);
    }
}

#[test]
fn long_operations_end_though_an_interrupt_always_waits() {
    const PAGES: u64 = 200;
    let m = Machine::new(512);
    let task = m.task(400);
    m.map(task, AT, PAGES, Access::READ | Access::WRITE);
    for page in 0..PAGES {
        m.poke(task, AT + page * PAGE_, &[1]);
    }
    host::interrupt_after(0);
    let mut tries = 0;
    while space::protect(m.k, task, AT, PAGES, Access::READ) != Ok(space::Progress::Done) {
        tries += 1;
        assert!(tries < PAGES);
    }
    assert!(tries >= PAGES / 64, "it was interrupted between pieces");
    tries = 0;
    while space::unmap(m.k, task, AT, PAGES) != Ok(space::Progress::Done) {
        tries += 1;
        assert!(tries < PAGES);
    }
    let memory = Memory::create(m.k, task, 100).unwrap();
    let mapping = space::Mapping {
        memory,
        address: 0x7fff_f000,
        offset: 0,
        pages: 2,
        access: Access::READ,
        most: Access::READ,
        source: None,
        tables: Word::default(),
    };
    tries = 0;
    while space::map(m.k, task, &mapping) != Ok(space::Progress::Done) {
        tries += 1;
        assert!(tries < 3);
    }
    host::interrupt_after(u32::MAX);
    m.leave();
    invariants::check(&m, |_| 1);
}

#[test]
fn bytes_of_memory_are_read_and_written_within_it() {
    let mapper = Mapper::new(2);
    let (m, client) = (&mapper.pair.machine, mapper.pair.client);
    let hash = memory::INTERFACE.hash;
    m.poke(mapper.task(), DATA, b"across a page");
    let write = |words: &[u64]| Answer::of(&m.object(client, mapper.memory, 2, hash, words));
    let read = |words: &[u64]| Answer::of(&m.object(client, mapper.memory, 1, hash, words));
    assert!(write(&[PAGE_ - 3, DATA, 13]).is_ok());
    assert!(read(&[PAGE_ - 3, DATA + 100, 13]).is_ok());
    let mut bytes = [0; 13];
    m.peek(mapper.task(), DATA + 100, &mut bytes);
    assert_eq!(&bytes, b"across a page");
    for (offset, length) in [
        (0, 2 * PAGE_ + 1),
        (2 * PAGE_, 1),
        (u64::MAX, 1),
        (1, u64::MAX),
    ] {
        let out = error(ObjectError::OutOfRange);
        assert_eq!(read(&[offset, DATA, length]), out);
        assert_eq!(write(&[offset, DATA, length]), out);
    }
    let fault = error(ObjectError::LeaseFault);
    for address in [0, 0x5000, DATA + PAGE_ - 4, USER_END, u64::MAX] {
        assert_eq!(read(&[0, address, 8]), fault);
        assert_eq!(write(&[0, address, 8]), fault);
    }
    assert!(read(&[2 * PAGE_, 0, 0]).is_ok(), "nothing is always there");
    assert_eq!(
        Answer::of(&m.object(client, mapper.memory, 0, hash, &[])).word(),
        2
    );
    mapper.check();
}

#[test]
fn a_task_s_message_buffers_are_its_own_pages() {
    let pair = Pair::called(Label::call(0, HASH), &[]);
    let m = &pair.machine;
    let second = m.thread(pair.client_task);
    let at = |thread: &crate::object::thread::Thread| thread.buffer_address.get();
    assert_eq!(
        at(second) - at(pair.client),
        2 * PAGE_,
        "a guard between them"
    );
    let guard = at(pair.client) + PAGE_;
    for access in [Access::READ, Access::WRITE, Access::EXECUTE] {
        assert!(fill::resolve(m.k, pair.client_task, guard, access).is_err());
    }
    let buffer = fill::resolve(m.k, pair.client_task, at(pair.client), Access::WRITE);
    assert_eq!(buffer.unwrap().0, pair.client.buffer.get());
    let no = fill::resolve(m.k, pair.client_task, at(pair.client), Access::EXECUTE);
    assert!(no.is_err());
}

#[test]
fn a_copy_ends_where_it_should_on_both_sides_of_a_page() {
    let m = Machine::new(256);
    let task = m.task(100);
    let edge = AT + PAGE_ - 5;
    m.map(task, AT, 2, Access::READ | Access::WRITE);
    m.poke(task, edge, &[7; 40]);
    m.poke(task, edge, b"0123456789");
    let mut got = [0; 20];
    m.peek(task, edge, &mut got[..12]);
    assert_eq!(&got, b"0123456789\x07\x07\0\0\0\0\0\0\0\0");
    // From and to memory objects, at other offsets in their pages.
    let memory = Memory::create(m.k, task, 2).unwrap();
    let stored = Place::Memory(memory, PAGE_ - 3);
    assert_eq!(copy::copy(m.k, Place::Task(task, edge), stored, 10), Ok(()));
    m.poke(task, edge, &[8; 40]);
    assert_eq!(copy::copy(m.k, stored, Place::Task(task, edge), 10), Ok(()));
    let mut got = [0; 20];
    m.peek(task, edge, &mut got);
    assert_eq!(&got[..10], b"0123456789");
    assert_eq!(got[10..], [8; 10], "nothing beyond its end");
}

#[test]
fn a_copy_lets_interrupts_in_after_each_page_but_the_last() {
    let m = Machine::new(256);
    let task = m.task(100);
    m.map(task, AT, 6, Access::READ | Access::WRITE);
    let copy = |length| {
        host::interrupt_after(0);
        let (from, to) = (Place::Task(task, AT), Place::Task(task, AT + 3 * PAGE_));
        let result = copy::copy(m.k, from, to, length);
        host::interrupt_after(u32::MAX);
        result
    };
    assert_eq!(copy(PAGE_), Ok(()));
    assert_eq!(copy(2 * PAGE_), Err(Stop::Interrupt(PAGE_)));
    assert_eq!(copy(PAGE_ + 1), Err(Stop::Interrupt(PAGE_)));
}

#[test]
fn mapping_makes_one_table_for_each_two_mebibytes() {
    const SPAN: u64 = 2 << 20;
    let m = Machine::new(2048);
    let task = m.task(1800);
    let memory = Memory::create(m.k, task, 1536).unwrap();
    let map = |address, pages| {
        let mapping = space::Mapping {
            memory,
            source: None,
            address,
            offset: 0,
            pages,
            access: Access::READ,
            most: Access::READ,
            tables: Word::default(),
        };
        let (used, mut tries) = (task.used.get(), 0);
        host::interrupt_after(0);
        while space::map(m.k, task, &mapping) == Ok(space::Progress::Again) {
            tries += 1;
            assert!(tries < 10);
        }
        host::interrupt_after(u32::MAX);
        (task.used.get() - used, tries)
    };
    // The first brings the middle table, and a frame of regions is there.
    let first = map(1 << 30, 1).0;
    assert!((2..=3).contains(&first));
    assert_eq!(map((1 << 30) + SPAN, 512), (1, 0));
    assert_eq!(map((1 << 30) + 2 * SPAN, 1536), (3, 2));
    assert_eq!(map((1 << 30) + PAGE_, 1), (0, 0), "its table is there");
}

#[test]
fn what_is_reserved_is_never_handed_out() {
    const FRAMES: u64 = 64;
    let layout = Layout::from_size_align(FRAMES as usize * PAGE, PAGE).unwrap();
    // SAFETY: the layout's size is not zero.
    #[allow(unsafe_code, reason = "the RAM of a test")]
    let ram = unsafe { alloc_zeroed(layout) };
    let start = ram.expose_provenance() as u64;
    let frames = Frames::none();
    // The first frame and, by a byte, the fourth; from the middle of one to that
    // of another; the last.
    let reserved = [
        start..start + 3 * PAGE_ + 1,
        start + 20 * PAGE_ + 8..start + 22 * PAGE_ + 8,
        start + 63 * PAGE_..start + 64 * PAGE_,
    ];
    assert!(frames.take_over(start..start + FRAMES * PAGE_, &reserved));
    assert_eq!(frames.total(), FRAMES);
    let (free, mut seen) = (frames.free(), Vec::new());
    while frames.free() > 0 {
        seen.push((frames.pop() - start) / PAGE_);
    }
    // The records are in the first free frame.
    let taken = [0, 1, 2, 3, 4, 20, 21, 22, 63];
    assert_eq!(free, FRAMES - taken.len() as u64);
    assert!(seen.is_sorted(), "the lowest first");
    assert!(!seen.iter().any(|frame| taken.contains(frame)));
    for (range, holds) in [
        (start - 1..start, false),
        (start - 1..start + 1, true),
        (start + FRAMES * PAGE_..start + FRAMES * PAGE_ + 1, false),
    ] {
        assert_eq!(frames.holds(&range), holds);
    }
    // SAFETY: allocated above with this layout; nothing refers to it any more.
    #[allow(unsafe_code, reason = "the RAM of a test")]
    unsafe {
        dealloc(ram, layout);
    }
}

/// Which pages of the task are in its tables, from `AT` on.
fn there(m: &Machine, task: &Task, pages: u64) -> Vec<u64> {
    let is_there = |page: &u64| {
        let entry = space::leaf(m.k, task, AT + page * PAGE_).unwrap();
        matches!(Port::entry(entry.load(Relaxed), 0), Entry::Page(..))
    };
    (0..pages).filter(is_there).collect()
}

#[test]
fn pages_around_one_of_constant_memory_come_in_with_it() {
    let m = Machine::new(512);
    let task = m.task(100);
    // Frames that nobody uses.
    let first = (m.k.kernel.physical(task) & !(PAGE_ - 1)) - 200 * PAGE_;
    let range = first..first + 64 * PAGE_;
    let constant = Memory::fixed(m.k, m.root, &range, false).unwrap();
    let own = Memory::create(m.k, m.root, 64).unwrap();
    let map = |memory, access, most| {
        let mapping = space::Mapping {
            memory,
            source: None,
            address: AT + 2 * PAGE_,
            offset: 5,
            pages: 40,
            access,
            most,
            tables: Word::default(),
        };
        assert_eq!(space::map(m.k, task, &mapping), Ok(Progress::Done));
    };
    let unmap = || {
        let done = space::unmap(m.k, task, AT + 2 * PAGE_, 40);
        assert_eq!(done, Ok(Progress::Done));
    };
    let touch = |page: u64| fill::resolve(m.k, task, AT + page * PAGE_, Access::READ).unwrap();
    map(constant, Access::READ, Access::READ);
    // No further than the region, and than the piece of the address space.
    touch(7);
    assert_eq!(there(&m, task, 64), (2..16).collect::<Vec<_>>());
    touch(33);
    let all: Vec<_> = (2..16).chain(32..42).collect();
    assert_eq!(there(&m, task, 64), all);
    for page in all {
        assert_eq!(touch(page).0, first + (page + 3) * PAGE_);
    }
    unmap();
    // Code waits until this core was told of it.
    let execute = Access::READ | Access::EXECUTE;
    map(constant, execute, execute);
    touch(7);
    touch(9);
    assert_eq!(there(&m, task, 64), [7, 9]);
    unmap();
    map(constant, execute, execute);
    touch(9);
    assert_eq!(there(&m, task, 64), [7, 9]);
    touch(12);
    assert_eq!(there(&m, task, 64), [7, 9, 12]);
    unmap();
    // What is not constant comes in where it is touched.
    map(own, Access::READ, Access::READ);
    touch(7);
    assert_eq!(there(&m, task, 64), [7]);
}

#[test]
fn a_page_written_at_once_shows_nothing_that_its_frame_had() {
    let m = Machine::new(128);
    let make = |pages| Memory::create(m.k, m.root, pages).unwrap();
    let words = |memory: &Memory, page| frames::words(m.k, memory.page(m.k, page).unwrap());
    let fill = |memory: &Memory, page, word| {
        for place in words(memory, page) {
            place.store(word, Relaxed);
        }
    };
    let all = |memory: &Memory, page, word, but: &[usize]| {
        let mut words = words(memory, page).iter().enumerate();
        words.all(|(index, place)| (place.load(Relaxed) == word) != but.contains(&index))
    };
    let old = make(8);
    (0..8).for_each(|page| fill(old, page, u64::MAX));
    old.discard(m.k);
    m.leave();
    let from = make(1);
    fill(from, 0, 7);
    let to = make(8);
    let copy = |offset, length| {
        let (from, to) = (Place::Memory(from, 0), Place::Memory(to, offset));
        assert_eq!(copy::copy(m.k, from, to, length), Ok(()));
    };
    copy(0, PAGE_);
    assert!(all(to, 0, 7, &[]));
    // Nearly all of it, and as much as a page, but of two.
    copy(PAGE_, PAGE_ - 8);
    assert!(all(to, 1, 7, &[511]));
    assert_eq!(words(to, 1)[511].load(Relaxed), 0);
    copy(2 * PAGE_ + 8, PAGE_);
    assert!(all(to, 2, 7, &[0]) && all(to, 3, 0, &[0]));
    assert_eq!(words(to, 2)[0].load(Relaxed), 0);
}
