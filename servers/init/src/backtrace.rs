//! Which functions a thread is in, by its chain of frame pointers.

use alloc::vec::Vec;
use libipc::objects::RegistersInfo;
use tessera_loader::Machine;

/// Most frames of a backtrace.
pub const FRAMES: usize = 16;

/// Addresses in the functions that a thread is in, the innermost first: its
/// program counter, then where each call returns to. `read` reads two words of
/// its memory, which may hold anything.
pub fn walk(
    machine: Machine,
    registers: &RegistersInfo,
    mut read: impl FnMut(u64) -> Option<[u64; 2]>,
) -> Vec<u64> {
    let mut addresses = Vec::with_capacity(FRAMES);
    addresses.push(registers.pc);
    let mut frame = registers.fp;
    while addresses.len() < FRAMES && frame.is_multiple_of(8) {
        // Each function saves its caller's frame pointer and return address: on
        // ARM where its own frame pointer points, on RISC-V just below.
        let record = match machine {
            Machine::Aarch64 => frame,
            Machine::Riscv64 => frame.wrapping_sub(16),
        };
        let Some([caller, returns]) = read(record) else {
            break;
        };
        if returns == 0 {
            break;
        }
        addresses.push(returns);
        // Stacks grow down, so whoever called lies above.
        if caller <= frame {
            break;
        }
        frame = caller;
    }
    if addresses.len() == 1 && registers.ra != 0 {
        addresses.push(registers.ra);
    }
    addresses
}

/// The same for a thread that jumped to where there is no code: only the return
/// address tells from where.
pub fn walk_from_nowhere(
    machine: Machine,
    registers: &RegistersInfo,
    read: impl FnMut(u64) -> Option<[u64; 2]>,
) -> Vec<u64> {
    let mut addresses = walk(machine, registers, read);
    if addresses.get(1) != Some(&registers.ra) {
        addresses.insert(1, registers.ra);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(fp: u64) -> RegistersInfo {
        RegistersInfo {
            pc: 1,
            sp: 0,
            fp,
            ra: 99,
            general: [0; 31],
        }
    }

    /// Memory of records 32 bytes apart up to `end`.
    fn stack(end: u64) -> impl FnMut(u64) -> Option<[u64; 2]> {
        move |at| (at < end).then(|| [at + 32, at + 7])
    }

    #[test]
    fn the_chain_is_followed_to_its_end() {
        let walked = walk(Machine::Aarch64, &registers(0x100), stack(0x140));
        assert_eq!(walked, [1, 0x107, 0x127]);
        let jumped = walk_from_nowhere(Machine::Aarch64, &registers(0x120), stack(0x140));
        assert_eq!(jumped, [1, 99, 0x127]);
        let riscv = |at: u64| (at < 0x130).then(|| [at + 16 + 32, at + 7]);
        let walked = walk(Machine::Riscv64, &registers(0x110), riscv);
        assert_eq!(walked, [1, 0x107, 0x127]);
    }

    #[test]
    fn hostile_stacks_end_it() {
        let endless = walk(Machine::Aarch64, &registers(0x100), stack(u64::MAX));
        assert_eq!(endless.len(), FRAMES);
        let circle = walk(Machine::Aarch64, &registers(0x100), |_| Some([0x100, 5]));
        assert_eq!(circle, [1, 5]);
        let nothing = walk(Machine::Riscv64, &registers(8), |_| None);
        assert_eq!(nothing, [1, 99]);
        let odd = walk(Machine::Riscv64, &registers(3), |_| Some([0, 0]));
        assert_eq!(odd, [1, 99]);
    }
}
