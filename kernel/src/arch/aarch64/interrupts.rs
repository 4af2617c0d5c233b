//! The interrupt controller: GICv2 (Arm IHI 0048B, chapter 4).

#![allow(unsafe_code, reason = "device registers")]

use super::{paging, timer};
use crate::{
    arch::Line,
    platform::{CORES, Platform},
};
use core::{
    arch::asm,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

// Distributor registers. Arrays have one bit or byte a line.
const D_CONTROL: u64 = 0x000;
const D_TYPE: u64 = 0x004;
const D_SET_ENABLE: u64 = 0x100;
const D_CLEAR_ENABLE: u64 = 0x180;
const D_PRIORITY: u64 = 0x400;
const D_TARGETS: u64 = 0x800;
const D_SOFTWARE: u64 = 0xf00;

// Registers of a core's interface.
const C_CONTROL: u64 = 0x00;
const C_PRIORITY_MASK: u64 = 0x04;
const C_ACKNOWLEDGE: u64 = 0x0c;
const C_END: u64 = 0x10;
const C_HIGHEST: u64 = 0x18;

/// Lines below are a core's own: 0 to 15 from other cores, then its devices.
const SHARED: u32 = 32;
/// From here on numbers mean that nothing waits.
const SPURIOUS: u32 = 1020;
/// Every line's priority; the interfaces let all through.
const PRIORITY: u8 = 0x80;

/// Where the registers are, and how many lines there are.
static DISTRIBUTOR: AtomicU64 = AtomicU64::new(0);
static INTERFACE: AtomicU64 = AtomicU64::new(0);
static LINES: AtomicU32 = AtomicU32::new(0);
static TIMER: AtomicU32 = AtomicU32::new(0);
/// Each core's interface, as a bit.
static INTERFACES: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];

pub(super) fn initialise(platform: &Platform) {
    DISTRIBUTOR.store(platform.interrupts.start, Relaxed);
    let distributor = platform.interrupts.start;
    let lines = (read(distributor + D_TYPE) & 0x1f) * 32 + 32;
    LINES.store(lines.min(SPURIOUS), Relaxed);
    // Where firmware left lines enabled nobody would expect them.
    for word in 1..u64::from(lines / 32) {
        write(distributor + D_CLEAR_ENABLE + word * 4, u32::MAX);
    }
    write(distributor + D_CONTROL, 1);
}

/// Opens the calling core's interface for its timer and for other cores.
pub(super) fn core_up(platform: &Platform, core: usize) {
    INTERFACE.store(platform.interrupts_cpu.start, Relaxed);
    TIMER.store(platform.timer_line, Relaxed);
    let distributor = platform.interrupts.start;
    for line in 0..u64::from(SHARED) {
        write_byte(distributor + D_PRIORITY + line, PRIORITY);
    }
    // A core's own lines name its interface as their only target.
    INTERFACES[core].store(read(distributor + D_TARGETS) & 0xff, Relaxed);
    write(distributor + D_CLEAR_ENABLE, u32::MAX);
    write(
        distributor + D_SET_ENABLE,
        0xffff | 1 << platform.timer_line,
    );
    write(platform.interrupts_cpu.start + C_PRIORITY_MASK, 0xff);
    write(platform.interrupts_cpu.start + C_CONTROL, 1);
}

pub(super) fn claim() -> Option<Line> {
    let interface = INTERFACE.load(Relaxed);
    let acknowledged = read(interface + C_ACKNOWLEDGE);
    let line = acknowledged & 0x3ff;
    if line >= SPURIOUS {
        return None;
    }
    let found = if line == TIMER.load(Relaxed) {
        timer::set_alarm(u64::MAX);
        Line::Timer
    } else if line < SHARED {
        Line::Core
    } else {
        mask(line);
        Line::Device(line)
    };
    write(interface + C_END, acknowledged);
    Some(found)
}

/// `ISR_EL1`: IRQ and FIQ in bits 7:6 (ARM D19.2.74).
pub(super) fn waits() -> bool {
    let status: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, isr_el1", out(reg) status, options(nomem, nostack, preserves_flags)) };
    status & 0b11 << 6 != 0
}

/// Acknowledges line 0, if that comes first: of all lines of one priority the
/// lowest does.
pub(super) fn clear_core_interrupt() {
    let interface = INTERFACE.load(Relaxed);
    if read(interface + C_HIGHEST) & 0x3ff == 0 {
        let acknowledged = read(interface + C_ACKNOWLEDGE);
        write(interface + C_END, acknowledged);
    }
}

/// Line 0 of another core, by a software generated interrupt (4.3.15).
pub(super) fn interrupt_core(core: usize) {
    // SAFETY: waits until what was written is visible to other cores.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    let target = INTERFACES[core].load(Relaxed);
    write(DISTRIBUTOR.load(Relaxed) + D_SOFTWARE, target << 16);
}

pub(super) fn unmask(line: u32) -> bool {
    if !is_device(line) {
        return false;
    }
    let distributor = DISTRIBUTOR.load(Relaxed);
    write_byte(distributor + D_PRIORITY + u64::from(line), PRIORITY);
    // To the core that booted, whose interface has the number 0.
    write_byte(distributor + D_TARGETS + u64::from(line), 1);
    write(distributor + D_SET_ENABLE + word(line), 1 << (line % 32));
    true
}

pub(super) fn mask(line: u32) -> bool {
    if !is_device(line) {
        return false;
    }
    let distributor = DISTRIBUTOR.load(Relaxed);
    write(distributor + D_CLEAR_ENABLE + word(line), 1 << (line % 32));
    true
}

fn is_device(line: u32) -> bool {
    (SHARED..LINES.load(Relaxed)).contains(&line)
}

/// Offset of the word that has the line's bit.
fn word(line: u32) -> u64 {
    u64::from(line / 32) * 4
}

fn read(register: u64) -> u32 {
    // SAFETY: a register of the interrupt controller, which boot has mapped.
    unsafe { paging::physical(register).cast::<u32>().read_volatile() }
}

fn write(register: u64, value: u32) {
    // SAFETY: a register of the interrupt controller, which boot has mapped; at
    // worst an interrupt comes or stays away.
    unsafe {
        paging::physical(register)
            .cast::<u32>()
            .write_volatile(value)
    };
}

fn write_byte(register: u64, value: u8) {
    // SAFETY: as in `write`.
    unsafe { paging::physical(register).write_volatile(value) };
}
