//! What a hostile task does to its own quota: uses it up, and its table's slots,
//! and goes on.

use super::{
    hostile::{Hostile, system_call_row},
    table::{ROWS, system_call},
};
use crate::raw;
use alloc::vec::Vec;
use libipc::{
    label::{Flags, Label},
    message_buffer::word,
    objects::{endpoint, task},
    registers::CallOut,
    status::Status,
};

/// Most capabilities that are made to fill the table.
const MOST: usize = 300;
/// Calls that are made then.
const CALLS: u64 = 12;

impl Hostile {
    /// Leaves no slot and hardly a frame for what comes next, then gives back.
    pub(super) fn starve(&mut self) {
        let (mut memory, mut copies) = (Vec::with_capacity(64), Vec::with_capacity(MOST));
        let mut pages = 256;
        while pages > 0 && memory.len() < memory.capacity() {
            if is_ok(&self.on_own_task(task::number::CREATE_MEMORY, [pages, 0])) {
                memory.push(raw::get(word::CAPABILITIES));
            } else {
                pages /= 4;
            }
        }
        self.fill_table(&mut copies);
        self.call_own_server();
        // Now there is a slot for the first of two capabilities.
        if let Some(handle) = copies.pop() {
            self.on_own_task(task::number::DELETE, [handle, 0]);
            self.call_own_server();
        }
        // A frame or two come back, each with the slot that led to it.
        for _ in 0..self.random.below(4) {
            if let Some(handle) = memory.pop() {
                self.on_own_task(task::number::DELETE, [handle, 0]);
            }
        }
        for _ in 0..CALLS {
            let row = match self.random.below(10) {
                0..6 => object_row(
                    task::INTERFACE.hash,
                    self.random.one(&[
                        task::number::CREATE_TASK,
                        task::number::CREATE_THREAD,
                        task::number::START_THREAD,
                        task::number::CREATE_ENDPOINT,
                        task::number::CREATE_MEMORY,
                    ]),
                ),
                6 => object_row(endpoint::INTERFACE.hash, endpoint::number::MINT),
                7 => system_call_row(system_call::RECEIVE),
                _ => system_call_row(system_call::CALL),
            };
            self.call_row(row);
        }
        for handle in memory.into_iter().chain(copies) {
            self.on_own_task(task::number::DELETE, [handle, 0]);
        }
    }

    fn fill_table(&mut self, copies: &mut Vec<u64>) {
        while copies.len() < MOST {
            let out = self.on_own_task(task::number::DERIVE, [self.echo.0, 255]);
            if !is_ok(&out) {
                break;
            }
            copies.push(out.words[0]);
        }
    }

    /// A call with capabilities, for which its receiver has no room.
    fn call_own_server(&mut self) {
        raw::attach(0, self.echo);
        raw::attach(1, self.echo);
        raw::passing(0b11);
        let label = Label::call(0, 0).with_capabilities(2);
        let out = raw::call_until(self.echo, label, &[], self.deadline());
        self.counts.note(system_call_row(system_call::CALL), &out);
    }

    fn on_own_task(&mut self, number: u8, words: [u64; 2]) -> CallOut {
        let label = Label::call(number, task::INTERFACE.hash).with_flags(Flags::OBJECT);
        raw::open(1);
        let out = raw::call(self.own, label, &words);
        self.counts
            .note(object_row(task::INTERFACE.hash, number), &out);
        out
    }
}

fn is_ok(out: &CallOut) -> bool {
    raw::status(out) == Some(Status::Message) && out.label.operation() == Label::OK
}

/// The row of an object's operation.
fn object_row(hash: u32, number: u8) -> usize {
    let of = |row: &super::table::Row| {
        let hashes = row.interface.map(|interface| interface.hash);
        hashes == Some(hash) && row.number == number
    };
    ROWS.iter().position(of).unwrap_or(0)
}
