//! A copy that is no call, for where nothing may be called.

#[cfg(target_os = "none")]
use core::arch::asm;

/// Copies `bytes`, a multiple of 8 and not 0, from `source` to `destination`.
///
/// # Safety
///
/// Both are aligned to 8 bytes and valid for so many, and they do not overlap.
#[inline(always)]
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub unsafe fn copy_words(source: *const u8, destination: *mut u8, bytes: usize) {
    // SAFETY: the caller's word.
    unsafe {
        asm!(
            "subs {left}, {left}, #64",
            "b.lo 3f",
            "2:",
            "ldp {a}, {b}, [{source}], #64",
            "ldp {c}, {d}, [{source}, #-48]",
            "stp {a}, {b}, [{destination}], #64",
            "stp {c}, {d}, [{destination}, #-48]",
            "ldp {a}, {b}, [{source}, #-32]",
            "ldp {c}, {d}, [{source}, #-16]",
            "stp {a}, {b}, [{destination}, #-32]",
            "stp {c}, {d}, [{destination}, #-16]",
            "subs {left}, {left}, #64",
            "b.hs 2b",
            "3:",
            "adds {left}, {left}, #64",
            "b.eq 5f",
            "4:",
            "ldr {a}, [{source}], #8",
            "subs {left}, {left}, #8",
            "str {a}, [{destination}], #8",
            "b.ne 4b",
            "5:",
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            source = inout(reg) source => _, destination = inout(reg) destination => _,
            left = inout(reg) bytes => _, options(nostack),
        );
    }
}

/// The same.
///
/// # Safety
///
/// The same.
#[inline(always)]
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
pub unsafe fn copy_words(source: *const u8, destination: *mut u8, bytes: usize) {
    // SAFETY: the caller's word.
    unsafe {
        asm!(
            "addi {left}, {left}, -64",
            "bltz {left}, 3f",
            "2:",
            "ld {a}, 0({source})",
            "ld {b}, 8({source})",
            "sd {a}, 0({destination})",
            "sd {b}, 8({destination})",
            "ld {a}, 16({source})",
            "ld {b}, 24({source})",
            "sd {a}, 16({destination})",
            "sd {b}, 24({destination})",
            "ld {a}, 32({source})",
            "ld {b}, 40({source})",
            "sd {a}, 32({destination})",
            "sd {b}, 40({destination})",
            "ld {a}, 48({source})",
            "ld {b}, 56({source})",
            "sd {a}, 48({destination})",
            "sd {b}, 56({destination})",
            "addi {left}, {left}, -64",
            "addi {source}, {source}, 64",
            "addi {destination}, {destination}, 64",
            "bgez {left}, 2b",
            "3:",
            "addi {left}, {left}, 64",
            "beqz {left}, 5f",
            "4:",
            "ld {a}, 0({source})",
            "addi {left}, {left}, -8",
            "addi {source}, {source}, 8",
            "sd {a}, 0({destination})",
            "addi {destination}, {destination}, 8",
            "bnez {left}, 4b",
            "5:",
            a = out(reg) _, b = out(reg) _,
            source = inout(reg) source => _, destination = inout(reg) destination => _,
            left = inout(reg) bytes => _, options(nostack),
        );
    }
}

/// The same.
///
/// # Safety
///
/// The same.
#[cfg(not(target_os = "none"))]
pub unsafe fn copy_words(source: *const u8, destination: *mut u8, bytes: usize) {
    // SAFETY: the caller's word.
    unsafe { core::ptr::copy_nonoverlapping(source, destination, bytes) };
}
