//! `memcpy`, `memmove` and `memset` for bare targets, in place of those that come
//! with the compiler: these are for any machine and take three times as many
//! instructions (`cargo xtask bench --case zero_page`).
//!
//! The kernel is built without vectors, and a program that has not touched them
//! since its last call would trap at the first one here, which costs more than they
//! save (`docs/performance.md` has the figures); so these use general registers, and on
//! aarch64 `dc zva` for zeros. The two copies are one, which asks for the direction
//! only.
//!
//! Linking the crate is all there is to it: `extern crate libipc_mem as _;`. Besides
//! these there is [`copy_words`], which is no function to call.
#![no_std]
#![allow(unsafe_code, reason = "assembly")]

mod words;

pub use words::copy_words;

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
core::arch::global_asm!(include_str!("aarch64.S"));
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
core::arch::global_asm!(include_str!("riscv64.S"));
