//! aarch64: `svc #0`, `tpidr_el0`, `cntvct_el0`.
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
                "svc #0",
                inout("x0") $status, inout("x1") $label, inout("x2") $first,
                $($words)*
                inout("x10") $badge, inout("x11") $request,
                // As a call in C, but that all of v8 to v15 stays.
                out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _,
                out("x17") _, out("x18") _, out("x30") _, out("v0") _, out("v1") _,
                out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _,
                out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
                out("v30") _, out("v31") _,
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
        inout("x3") w1, inout("x4") w2, inout("x5") w3, inout("x6") w4,
        inout("x7") w5, inout("x8") w6, inout("x9") w7,
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
        out("x3") w1, out("x4") w2, out("x5") w3, out("x6") w4,
        out("x7") w5, out("x8") w6, out("x9") w7,
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
        asm!("mrs {}, tpidr_el0", out(reg) buffer, options(pure, nomem, nostack, preserves_flags));
    }
    buffer
}

/// The counter.
#[inline]
pub(crate) fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: it only reads the counter; the barrier keeps it in its place.
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    ticks
}

/// The stack pointer.
#[inline]
pub(crate) fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: it only reads the stack pointer.
    unsafe {
        asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Where memory is that has an address without being mapped: nowhere.
#[inline]
pub(crate) fn memory(_: &MemoryClient, _: Rights) -> Option<u64> {
    None
}
