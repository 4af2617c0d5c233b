//! Frames that follow one another: the search for them, and memory of them.

use super::{
    dma::{Setting, setting},
    invariants,
    machine::*,
    steps,
};
use crate::{
    arch::host,
    capability::object::Target,
    memory::frames::{Frames, Search, words},
    object::{memory::Memory, task::Task},
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    FOREVER, PAGE,
    buffer::word,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, dma, system},
};
use std::vec::Vec;

impl Setting {
    fn contiguous(&self, pages: u64) -> Answer {
        let number = dma::number::CREATE_CONTIGUOUS;
        self.call(self.driver, self.pins, number, &[], &[pages])
    }

    /// The memory that was made, and where its frames are.
    fn made(&self, pages: u64) -> (Handle, Vec<u64>) {
        let handle = self.m.received(self.driver);
        let pin = self.pin(handle).word();
        let addresses = (0..pages).map(|page| self.addresses(pin, page).word());
        let addresses = addresses.collect();
        assert!(self.unpin(pin).is_ok());
        (handle, addresses)
    }

    fn is_zero(&self, frame: u64) -> bool {
        let mut words = words(self.m.k, frame).iter();
        words.all(|word| word.load(Relaxed) == 0)
    }
}

/// Searches to the end; where, and in how many steps.
fn found(frames: &Frames, count: u64) -> (Option<u64>, usize) {
    let mut from = 0;
    for step in 1..100 {
        match frames.search(from, count) {
            Search::Found(first) => return (Some(first), step),
            Search::Nowhere => return (None, step),
            Search::NotYet(next) => from = next,
        }
    }
    panic!("it does not end")
}

#[test]
fn frames_follow_one_another_and_are_zeroed() {
    let s = setting();
    // The list is in no order, and has holes.
    let (_, handle) = s.memory(s.driver_task, 20);
    let pin = s.pin(handle).word();
    for first in [0, 8, 16] {
        assert!(s.addresses(pin, first).is_ok());
    }
    for pages in [1, 8, 9, 16] {
        let used = s.driver_task.used.get();
        assert!(s.contiguous(pages).is_ok(), "{pages}");
        assert!(s.driver_task.used.get() >= used + pages);
        let (handle, addresses) = s.made(pages);
        let step = PAGE as u64;
        assert!(addresses.windows(2).all(|two| two[1] == two[0] + step));
        assert!(addresses.iter().all(|frame| s.is_zero(*frame)));
        // Dirty, for who comes next.
        for frame in addresses {
            words(s.m.k, frame)[7].store(1, Relaxed);
        }
        s.delete(handle);
        assert!(s.driver_task.used.get() <= used + 1);
        invariants::check(&s.m, |_| 1);
    }
    let outside = Answer::error(ObjectError::OutOfRange);
    assert_eq!(s.contiguous(0), outside);
    assert_eq!(s.contiguous(17), outside);
}

#[test]
fn adjacent_frames_are_found_in_steps_and_only_if_there_are() {
    let m = Machine::new(1024);
    let frames = &m.k.kernel.frames;
    let mut sorted: Vec<_> = (0..frames.free()).map(|_| frames.pop()).collect();
    assert_eq!(found(frames, 1).0, None);
    // Every second one, and three in a row far behind.
    sorted.sort_unstable();
    for frame in sorted[..700].iter().step_by(2) {
        frames.push(*frame);
    }
    for frame in [702, 700, 701] {
        frames.push(sorted[frame]);
    }
    // One to fill it with zeros, one to find it.
    assert_eq!(found(frames, 1), (Some(sorted[0]), 2));
    // No step looks at more than 65 records, or fills more than one frame.
    let (first, steps) = found(frames, 3);
    assert_eq!(first, Some(sorted[700]));
    assert!(steps >= 700 / 65 + 3, "{steps}");
    assert_eq!(found(frames, 4).0, None);
    let free = frames.free();
    frames.take(sorted[701]);
    assert_eq!(frames.free(), free - 1);
    assert_eq!(found(frames, 2).0, None);
    // The list is whole: all of it comes out, each once.
    let mut rest: Vec<_> = (0..free - 1).map(|_| frames.pop()).collect();
    rest.sort_unstable();
    rest.dedup();
    assert_eq!(rest.len() as u64, free - 1);
    assert!(!rest.contains(&sorted[701]));
}

#[test]
fn what_was_zeroed_and_used_since_is_zeroed_again() {
    let m = Machine::new(512);
    let frames = &m.k.kernel.frames;
    let first = found(frames, 1).0.unwrap();
    frames.take(first);
    words(m.k, first)[3].store(1, Relaxed);
    frames.push(first);
    assert_eq!(found(frames, 1).0, Some(first));
    frames.take(first);
    assert_eq!(words(m.k, first)[3].load(Relaxed), 0);
    words(m.k, first)[3].store(1, Relaxed);
    frames.push(first);
    while frames.pop() != first {}
    assert_eq!(words(m.k, first)[3].load(Relaxed), 0);
}

#[test]
fn an_interrupted_search_goes_on_and_loses_nothing() {
    let s = setting();
    let used = s.driver_task.used.get();
    // The free ones begin far behind.
    let frames = &s.m.k.kernel.frames;
    let taken: Vec<_> = (0..700).map(|_| frames.pop()).collect();
    for pieces in 0..30 {
        let free = frames.free();
        host::interrupt_after(pieces);
        let answer = s.contiguous(12);
        assert!(answer.is_ok(), "{pieces}: {answer:?}");
        s.delete(s.m.received(s.driver));
        assert!(s.driver_task.used.get() <= used + 1);
        assert!(frames.free() + 1 >= free);
    }
    taken.into_iter().for_each(|frame| frames.push(frame));
    invariants::check(&s.m, |_| 1);
}

#[test]
fn an_interrupt_waits_for_no_more_than_one_step_of_a_search() {
    let s = setting();
    let frames = &s.m.k.kernel.frames;
    let taken: Vec<_> = (0..700).map(|_| frames.pop()).collect();
    s.m.set_buffer(s.driver, word::OPEN, 1);
    let label = Label::call(dma::number::CREATE_CONTIGUOUS, dma::INTERFACE.hash);
    let call = call_in(s.pins, label, &[12], FOREVER);
    let tries = steps::tries(&s.m, s.driver, &call);
    assert!(tries as usize >= 700 / 65 + 12, "{tries}");
    assert_eq!(s.m.result(s.driver).status, MESSAGE);
    taken.into_iter().for_each(|frame| frames.push(frame));
}

#[test]
fn where_the_search_goes_on_is_the_callers_word_and_harms_nobody() {
    let s = setting();
    for from in [1, 500, 1 << 20, 1 << 32, u64::MAX - 1, u64::MAX] {
        let words = [3, 0, 0, 0, 0, 0, 0, from];
        let number = dma::number::CREATE_CONTIGUOUS;
        let answer = s.call(s.driver, s.pins, number, &[], &words);
        if from > 1024 {
            assert_eq!(answer, Answer::error(ObjectError::NotFound));
        } else {
            assert!(answer.is_ok());
            let (_, addresses) = s.made(3);
            assert!(addresses.iter().all(|frame| s.is_zero(*frame)));
        }
    }
    invariants::check(&s.m, |_| 1);
}

#[test]
fn what_a_quota_does_not_allow_takes_no_frame() {
    let s = setting();
    let (used, free) = (s.driver_task.used.get(), s.m.k.kernel.frames.free());
    let left = s.driver_task.limit.get() - used;
    let (_, handle) = s.memory(s.driver_task, left - 10);
    let (held, free_now) = (s.driver_task.used.get(), s.m.k.kernel.frames.free());
    let exceeded = Answer::error(ObjectError::QuotaExceeded);
    assert_eq!(s.contiguous(16), exceeded);
    assert_eq!(s.driver_task.used.get(), held);
    assert_eq!(s.m.k.kernel.frames.free(), free_now);
    invariants::check(&s.m, |_| 1);
    s.delete(handle);
    assert!(s.driver_task.used.get() <= used + 1);
    assert!(s.m.k.kernel.frames.free() + 1 >= free);
    assert!(s.contiguous(16).is_ok());
}

#[test]
fn the_objects_own_frame_is_none_of_its_pages() {
    let s = setting();
    // Its slab has no frame yet, and the list begins where the search finds.
    let task = Task::create(s.m.k, s.m.root, 40).unwrap();
    task.uses.add(1);
    let frames = &s.m.k.kernel.frames;
    let first = found(frames, 16).0.unwrap();
    frames.take(first);
    frames.push(first);
    assert_eq!(found(frames, 16).0, Some(first));
    let memory = Memory::contiguous(s.m.k, task, 16, first).unwrap();
    for page in 0..16 {
        let frame = first + page * PAGE as u64;
        assert_eq!(memory.page(s.m.k, page), Some(frame));
        assert!(!frames.record(frame).is_free());
    }
    memory.discard(s.m.k);
    s.m.leave();
    invariants::check(&s.m, |_| 1);
}

#[test]
fn what_finds_no_slot_is_given_back() {
    let s = setting();
    let (k, task) = (s.m.k, s.driver_task);
    let devices = s.m.give(task, Target::System, Rights::DEVICES);
    // Frames for objects of both kinds are there.
    assert!(s.contiguous(1).is_ok());
    let make = || {
        s.m.open(s.driver, 1);
        let (number, hash) = (system::number::CREATE_DMA, system::INTERFACE.hash);
        Answer::of(&s.m.object(s.driver, devices, number, hash, &[]))
    };
    assert!(make().is_ok());
    // The next capability needs a frame, and there is none to pay.
    let slots = (1..task.table.slots.get()).filter_map(|index| task.table.slot(k, index));
    let empty = slots.filter(|slot| slot.handle().object_type().is_none());
    for _ in 0..empty.count() {
        s.m.give(task, Target::System, Rights::empty());
    }
    let left = task.limit.get() - task.used.get();
    let filler = Memory::create(k, task, left - 17 - 1).unwrap();
    filler.uses.add(1);
    let (used, free) = (task.used.get(), k.kernel.frames.free());
    assert_eq!(task.limit.get() - used, 17);
    let exceeded = Answer::error(ObjectError::QuotaExceeded);
    assert_eq!(s.contiguous(16), exceeded);
    assert_eq!((task.used.get(), k.kernel.frames.free()), (used, free));
    let rest = Memory::create(k, task, 16).unwrap();
    let dmas = invariants::Census::take(k).dmas.len();
    assert_eq!(make(), exceeded);
    assert_eq!(invariants::Census::take(k).dmas.len(), dmas);
    rest.discard(k);
    filler.release(k);
    s.m.leave();
    invariants::check(&s.m, |_| 1);
}
