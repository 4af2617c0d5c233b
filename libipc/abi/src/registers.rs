//! Where each part of a message travels.
//!
//! One table for both architectures:
//!
//! | part in | part out | aarch64 (`svc #0`) | riscv64 (`ecall`) |
//! |---|---|---|---|
//! | handle | status | x0 | a0 |
//! | label | label | x1 | a1 |
//! | words 0 to 7 | words 0 to 7 | x2 to x9 | a2 to a7, t0, t1 |
//! | deadline | badge | x10 | t2 |
//! | kept reply, or the request acted for | request id | x11 | t3 |
//!
//! All other caller-saved registers are cleared by a call. Of the floating-point
//! and vector registers `v8` to `v15` and `FPCR`, or `fs0` to `fs11` and `fcsr`, are
//! kept; all others are cleared.

use crate::{handle::Handle, label::Label};

/// Words of a message that travel in registers.
pub const WORDS: usize = 8;

/// What a system call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CallIn {
    /// Whom it concerns.
    pub handle: Handle,
    /// What it is.
    pub label: Label,
    /// The first words.
    pub words: [u64; WORDS],
    /// When to give up, in absolute counter ticks.
    pub deadline: u64,
    /// Reply: a kept reply to answer, or null for the implicit one.
    /// Call: the request that it acts for, or null for the current one.
    pub request: Handle,
}

/// What a system call leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CallOut {
    /// See [`crate::status::Status`].
    pub status: u64,
    /// The message's or reply's label.
    pub label: Label,
    /// The first words; word 0 is the signal word if signals came.
    pub words: [u64; WORDS],
    /// The badge of the capability that the message came through.
    pub badge: u64,
    /// Thread 24 bits (high), call number 40 bits (low).
    pub request_id: u64,
}
