//! The port to ARMv8-A (aarch64), with GICv2, PL011 and PSCI.
//!
//! "ARM" in comments is the Arm Architecture Reference Manual, DDI 0487.
//!
//! Reading order: [`context`] and `trap.S` (how user programs run and stop),
//! [`fp`], [`paging`], [`timer`], [`interrupts`], [`cpu`] (a core's registers),
//! [`firmware`], [`console`], [`machine`].

mod console;
mod context;
mod cpu;
mod firmware;
mod fp;
mod interrupts;
mod machine;
mod paging;
mod timer;

use super::{Access, Arch, Boot, Entry, Exit, Line};
use crate::{platform::Platform, schedule::core::Core};
use core::ops::Range;
use libipc_abi::{
    handle::Handle,
    label::Label,
    objects::{RegistersInfo, Shutdown},
    registers::{CallIn, CallOut},
};

/// This port.
pub enum Port {}

impl Arch for Port {
    type Context = context::Context;

    const NAME: &'static str = "aarch64";

    fn asids() -> u16 {
        paging::asids()
    }

    fn start(context: &Self::Context, entry: u64, stack: u64, arguments: [u64; 2], thread: u64) {
        context.start(entry, stack, arguments, thread);
    }

    #[inline(always)]
    fn leave(context: &Self::Context) -> ! {
        context.leave()
    }

    #[inline(always)]
    fn call_in(context: &Self::Context) -> CallIn {
        context.call_in()
    }

    #[inline(always)]
    fn called(context: &Self::Context) -> (Handle, Label) {
        context.called()
    }

    #[inline(always)]
    fn word(context: &Self::Context, index: usize) -> u64 {
        context.word(index)
    }

    #[inline(always)]
    fn request(context: &Self::Context) -> Handle {
        context.request()
    }

    #[inline(always)]
    fn call_out(context: &Self::Context, out: &CallOut) {
        context.call_out(out);
    }

    #[inline(always)]
    fn words_out(context: &Self::Context, out: &CallOut) {
        context.words_out(out);
    }

    #[inline(always)]
    fn slowly() -> ! {
        context::slowly()
    }

    #[inline(always)]
    fn pass<const ALONE: bool>(
        core: &Core,
        from: &Self::Context,
        exit: Exit<'_>,
        float: bool,
    ) -> ! {
        from.pass::<ALONE>(core, exit, float)
    }

    #[inline(always)]
    fn object_out(context: &Self::Context, label: Label) {
        context.object_out(label);
    }

    #[inline(always)]
    fn set_word(context: &Self::Context, index: usize, word: u64) {
        context.set_word(index, word);
    }

    fn retry(context: &Self::Context) {
        context.retry();
    }

    fn stand_in(context: &Self::Context, instruction: u32) -> bool {
        context.stand_in(instruction)
    }

    fn registers(context: &Self::Context) -> RegistersInfo {
        context.registers()
    }

    fn fp_load(context: &Self::Context) {
        context.fp().load();
    }

    fn fp_save(context: &Self::Context) {
        context.fp().save();
    }

    #[inline(always)]
    fn fp_keep(context: &Self::Context) {
        context.fp().keep();
    }

    #[inline(always)]
    fn fp_rests(context: &Self::Context) -> bool {
        context.fp().rests()
    }

    fn fp_drop(context: &Self::Context) {
        context.fp().forget();
    }

    fn page_entry(physical: u64, access: Access) -> u64 {
        paging::page_entry(physical, access)
    }

    fn table_entry(physical: u64) -> u64 {
        paging::table_entry(physical)
    }

    fn entry(word: u64, level: usize) -> Entry {
        paging::entry(word, level)
    }

    fn root_entries() -> impl Iterator<Item = (usize, u64)> {
        // The kernel has a root of its own (`TTBR1_EL1`).
        core::iter::empty()
    }

    fn space(root: u64, asid: u16) -> u64 {
        paging::space(root, asid)
    }

    fn switch_space(space: u64) {
        paging::switch_space(space);
    }

    #[inline(always)]
    fn pass_space<const ALONE: bool>(space: u64) {
        paging::pass_space(space);
    }

    fn page_came(_asid: u16, _address: u64) {
        paging::page_came();
    }

    fn invalidate_pages(asid: u16, address: u64, pages: u64) {
        paging::invalidate_pages(asid, address, pages);
    }

    fn invalidate_space(asid: u16) {
        paging::invalidate_space(asid);
    }

    fn synchronise_code(address: *const u8, length: usize) {
        paging::synchronise_code(address, length);
    }

    fn physical(address: u64) -> *mut u8 {
        paging::physical(address)
    }

    fn now() -> u64 {
        timer::now()
    }

    #[inline(always)]
    fn count() -> u64 {
        timer::count()
    }

    fn frequency() -> u64 {
        timer::frequency()
    }

    fn set_alarm(deadline: u64) {
        timer::set_alarm(deadline);
    }

    fn claim() -> Option<Line> {
        interrupts::claim()
    }

    fn interrupt_waits() -> bool {
        interrupts::waits()
    }

    fn unmask(line: u32) -> bool {
        interrupts::unmask(line)
    }

    fn mask(line: u32) -> bool {
        interrupts::mask(line)
    }

    fn idle() {
        cpu::idle();
    }

    fn clear_core_interrupt() {
        interrupts::clear_core_interrupt();
    }

    fn interrupt_core(core: usize) {
        interrupts::interrupt_core(core);
    }

    fn initialise(platform: &Platform) {
        firmware::initialise(platform);
        console::initialise(platform.console);
        interrupts::initialise(platform);
        machine::initialise(platform);
    }

    fn core() -> usize {
        cpu::core()
    }

    fn print(byte: u8) {
        console::print(byte);
    }

    fn shutdown(how: Shutdown) -> ! {
        machine::shutdown(how)
    }

    fn keeps(range: &Range<u64>) -> bool {
        machine::keeps(range)
    }

    fn guards() -> [(&'static str, Option<bool>); 2] {
        cpu::guards()
    }

    #[inline(always)]
    fn frame_pointer() -> usize {
        cpu::frame_pointer()
    }

    fn caller(frame: usize) -> Option<(usize, usize)> {
        cpu::caller(frame)
    }
}

impl Boot for Port {
    const OFFSET: u64 = paging::OFFSET;

    fn kernel_entry(physical: u64, access: Access, level: usize) -> u64 {
        paging::kernel_entry(physical, access, level)
    }

    fn adopt(root: u64) {
        cpu::adopt(root);
    }

    fn core_up(platform: &Platform, core: usize, stack: Range<usize>) {
        cpu::up(core, stack);
        interrupts::core_up(platform, core);
    }

    fn start_core(platform: &Platform, core: usize, entry: u64) -> bool {
        firmware::initialise(platform);
        firmware::start_core(platform.core_ids[core], entry, core)
    }

    fn pause() {
        cpu::pause();
    }

    fn early_console(registers: u64) {
        console::initialise(registers);
    }
}
