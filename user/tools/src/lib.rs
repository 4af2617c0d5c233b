//! The tools.
#![no_std]
