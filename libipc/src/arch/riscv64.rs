//! riscv64: `ecall`, `tp`, `time`.
#![allow(unsafe_code, reason = "the trap and two registers have no other name")]

use crate::{
    handle::{Handle, Rights},
    label::Label,
    objects::MemoryClient,
    registers::{CallIn, CallOut},
};
use core::arch::asm;

/// A system call whose words after the first are given, or not.
macro_rules! trap {
    ($status:ident, $label:ident, $first:ident, $badge:ident, $request:ident, $($words:tt)*) => {
        // SAFETY: the kernel writes only the registers named here, the message
        // buffer, which is reached through raw pointers only, and memory that the
        // message lends or names, whose borrow lasts as long as the call.
        unsafe {
            asm!(
                "ecall",
                inout("a0") $status, inout("a1") $label, inout("a2") $first,
                $($words)*
                inout("t2") $badge, inout("t3") $request,
                clobber_abi("C"),
                options(nostack),
            );
        }
    };
}

/// One system call: see `libipc_abi::registers`.
#[inline]
pub(crate) fn trap(input: &CallIn) -> CallOut {
    let Handle(mut status) = input.handle;
    let Label(mut label) = input.label;
    let [
        mut w0,
        mut w1,
        mut w2,
        mut w3,
        mut w4,
        mut w5,
        mut w6,
        mut w7,
    ] = input.words;
    let (mut badge, Handle(mut request_id)) = (input.deadline, input.request);
    trap!(
        status, label, w0, badge, request_id,
        inout("a3") w1, inout("a4") w2, inout("a5") w3, inout("a6") w4,
        inout("a7") w5, inout("t0") w6, inout("t1") w7,
    );
    CallOut {
        status,
        label: Label(label),
        words: [w0, w1, w2, w3, w4, w5, w6, w7],
        badge,
        request_id,
    }
}

/// One that nobody but the kernel hears, which looks at no more than one word: the
/// others are as they happen to be.
#[inline]
pub(crate) fn brief(handle: Handle, label: Label, word: u64, deadline: u64) -> CallOut {
    let (Handle(mut status), Label(mut label), mut w0) = (handle, label, word);
    let (w1, w2, w3, w4, w5, w6, w7);
    let (mut badge, Handle(mut request_id)) = (deadline, Handle::NULL);
    trap!(
        status, label, w0, badge, request_id,
        out("a3") w1, out("a4") w2, out("a5") w3, out("a6") w4,
        out("a7") w5, out("t0") w6, out("t1") w7,
    );
    CallOut {
        status,
        label: Label(label),
        words: [w0, w1, w2, w3, w4, w5, w6, w7],
        badge,
        request_id,
    }
}

/// The calling thread's message buffer.
#[inline]
pub(crate) fn buffer() -> *mut u64 {
    let buffer: *mut u64;
    // SAFETY: it only reads the thread register.
    unsafe {
        asm!("mv {}, tp", out(reg) buffer, options(pure, nomem, nostack, preserves_flags));
    }
    buffer
}

/// The counter.
#[inline]
pub(crate) fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: it only reads the counter.
    unsafe {
        asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    ticks
}

/// The stack pointer.
#[inline]
pub(crate) fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: it only reads the stack pointer.
    unsafe {
        asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Where memory is that has an address without being mapped: nowhere.
#[inline]
pub(crate) fn memory(_: &MemoryClient, _: Rights) -> Option<u64> {
    None
}
