//! The part of QEMU's plugin API that is used here, as safe functions.

#![allow(unsafe_code, reason = "functions of another program")]

use std::ffi::{c_int, c_uint, c_void};
use std::marker::PhantomData;

/// A plugin's number.
pub(crate) type Id = u64;
type Translated = extern "C" fn(Id, &mut Block);
type Ended = extern "C" fn(Id, *mut c_void);
/// Called with the number of a core and what was registered.
type Executed = extern "C" fn(c_uint, *mut c_void);

/// A translated block, which only callbacks of `on_translation` get to see.
#[repr(C)]
pub(crate) struct Block {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawInstruction {
    _opaque: [u8; 0],
}

/// The callback neither reads nor writes registers.
const NO_REGISTERS: c_int = 0;

// Declared as in `qemu-plugin.h` of version 7.2.
unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: Translated);
    fn qemu_plugin_register_atexit_cb(id: Id, callback: Ended, data: *mut c_void);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        callback: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut RawInstruction,
        callback: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut RawInstruction;
    fn qemu_plugin_insn_vaddr(instruction: *const RawInstruction) -> u64;
    fn qemu_plugin_insn_haddr(instruction: *const RawInstruction) -> *mut c_void;
    fn qemu_plugin_insn_data(instruction: *const RawInstruction) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const RawInstruction) -> usize;
}

/// An instruction of a block, while that is being translated.
pub(crate) struct Instruction<'b> {
    raw: *mut RawInstruction,
    block: PhantomData<&'b Block>,
}

/// A number as what QEMU hands back to a callback.
fn data(number: u64) -> *mut c_void {
    std::ptr::without_provenance_mut(number as usize)
}

/// Calls back whenever a block has been translated.
pub(crate) fn on_translation(id: Id, callback: Translated) {
    // SAFETY: `id` is ours, and the function is there as long as the plugin is.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, callback) }
}

/// Calls back when the machine ends.
pub(crate) fn on_exit(id: Id, callback: Ended) {
    // SAFETY: as above; the data is not used.
    unsafe { qemu_plugin_register_atexit_cb(id, callback, std::ptr::null_mut()) }
}

/// Calls back with this number whenever the block begins.
pub(crate) fn on_block(block: &mut Block, callback: Executed, number: u64) {
    // SAFETY: QEMU made the block and is translating it. What it hands back is a
    // number.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(block, callback, NO_REGISTERS, data(number)) }
}

/// The instructions of the block that is being translated.
pub(crate) fn instructions(block: &Block) -> impl Iterator<Item = Instruction<'_>> {
    // SAFETY: as in `on_block`.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    (0..count).map(move |index| Instruction {
        // SAFETY: as above, and the index is below the count.
        raw: unsafe { qemu_plugin_tb_get_insn(block, index) },
        block: PhantomData,
    })
}

impl Instruction<'_> {
    /// Its virtual address.
    pub(crate) fn address(&self) -> u64 {
        // SAFETY: it belongs to the block that is being translated.
        unsafe { qemu_plugin_insn_vaddr(self.raw) }
    }

    /// Where the emulator keeps it, as a number; the same for the same memory.
    pub(crate) fn host(&self) -> u64 {
        // SAFETY: as above.
        unsafe { qemu_plugin_insn_haddr(self.raw) }.addr() as u64
    }

    /// Its encoding.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: as above.
        let size = unsafe { qemu_plugin_insn_size(self.raw) };
        // SAFETY: as above.
        let data = unsafe { qemu_plugin_insn_data(self.raw) };
        // SAFETY: QEMU keeps so many bytes there while the block is translated.
        unsafe { std::slice::from_raw_parts(data.cast(), size) }
    }

    /// Calls back with this number whenever it is executed.
    pub(crate) fn on_execution(&self, callback: Executed, number: u64) {
        // SAFETY: as above. What it hands back is a number.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(self.raw, callback, NO_REGISTERS, data(number));
        }
    }
}
