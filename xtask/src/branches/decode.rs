//! What an instruction does to the flow of control.

use crate::arch::Arch;

/// What comes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Next,
    /// The next one, or the one at this address.
    Branch(u64),
    /// The one at this address.
    Jump(u64),
    /// A function at this address, then the next one.
    Call(u64),
    /// A trap, from which there is no return.
    Trap,
    /// Something that the instruction alone does not tell.
    Unknown,
}

/// The length of the instruction that `text` begins with, and where it leads
/// from `address`. `None` if the text ends within it.
pub fn decode(arch: Arch, text: &[u8], address: u64) -> Option<(u64, Flow)> {
    match arch {
        Arch::Aarch64 => {
            let word = u32::from_le_bytes(*text.first_chunk()?);
            Some((4, aarch64(word, address)))
        }
        Arch::Riscv64 => {
            let half = u16::from_le_bytes(*text.first_chunk()?);
            if half & 3 != 3 {
                return Some((2, compressed(u32::from(half), address)));
            }
            let word = u32::from_le_bytes(*text.first_chunk()?);
            if let Some(flow) = far(word, text.get(4..), address) {
                return Some((8, flow));
            }
            Some((4, riscv64(word, address)))
        }
    }
}

/// The bits from `low` to `high`, as a number.
fn bits(word: u32, low: u32, high: u32) -> u64 {
    u64::from(word) >> low & ((1 << (high - low + 1)) - 1)
}

/// `address` and a signed offset of so many bits.
fn offset(address: u64, offset: u64, width: u32) -> u64 {
    let spare = 64 - width;
    address.wrapping_add(((offset << spare) as i64 >> spare) as u64)
}

fn aarch64(word: u32, address: u64) -> Flow {
    let far = offset(address, bits(word, 0, 25) << 2, 28);
    let near = offset(address, bits(word, 5, 23) << 2, 21);
    let nearer = offset(address, bits(word, 5, 18) << 2, 16);
    match word {
        _ if word & 0xfc00_0000 == 0x1400_0000 => Flow::Jump(far),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Flow::Call(far),
        // b.cond; cbz and cbnz; tbz and tbnz.
        _ if word & 0xff00_0010 == 0x5400_0000 => Flow::Branch(near),
        _ if word & 0x7e00_0000 == 0x3400_0000 => Flow::Branch(near),
        _ if word & 0x7e00_0000 == 0x3600_0000 => Flow::Branch(nearer),
        // br, blr, ret, eret.
        _ if word & 0xfe00_0000 == 0xd600_0000 => Flow::Unknown,
        // brk, udf.
        _ if word & 0xffe0_001f == 0xd420_0000 || word >> 16 == 0 => Flow::Trap,
        _ => Flow::Next,
    }
}

fn riscv64(word: u32, address: u64) -> Flow {
    const EBREAK: u32 = 0x0010_0073;
    let link = bits(word, 7, 11) != 0;
    match word & 0x7f {
        0x63 => {
            let far = bits(word, 8, 11) << 1
                | bits(word, 25, 30) << 5
                | bits(word, 7, 7) << 11
                | bits(word, 31, 31) << 12;
            Flow::Branch(offset(address, far, 13))
        }
        0x6f => {
            let far = bits(word, 21, 30) << 1
                | bits(word, 20, 20) << 11
                | bits(word, 12, 19) << 12
                | bits(word, 31, 31) << 20;
            match link {
                true => Flow::Call(offset(address, far, 21)),
                false => Flow::Jump(offset(address, far, 21)),
            }
        }
        // jalr; also mret and sret, which no function of the kernel calls in its middle.
        0x67 => Flow::Unknown,
        _ if word == EBREAK => Flow::Trap,
        _ => Flow::Next,
    }
}

/// A call or a jump that takes two instructions, as all between far functions do:
/// auipc, then jalr with the same register.
fn far(word: u32, rest: Option<&[u8]>, address: u64) -> Option<Flow> {
    let next = u32::from_le_bytes(*rest?.first_chunk()?);
    let (auipc, jalr) = (word & 0x7f == 0x17, next & 0x707f == 0x67);
    if !auipc || !jalr || bits(word, 7, 11) != bits(next, 15, 19) {
        return None;
    }
    let high = offset(address, u64::from(word & 0xffff_f000), 32);
    let to = offset(high, bits(next, 20, 31), 12);
    Some(match bits(next, 7, 11) {
        0 => Flow::Jump(to),
        _ => Flow::Call(to),
    })
}

/// Compressed instructions, by quadrant and function.
fn compressed(half: u32, address: u64) -> Flow {
    match (half & 3, half >> 13) {
        // c.unimp
        _ if half == 0 => Flow::Trap,
        (1, 0b101) => {
            let far = bits(half, 3, 5) << 1
                | bits(half, 11, 11) << 4
                | bits(half, 2, 2) << 5
                | bits(half, 7, 7) << 6
                | bits(half, 6, 6) << 7
                | bits(half, 9, 10) << 8
                | bits(half, 8, 8) << 10
                | bits(half, 12, 12) << 11;
            Flow::Jump(offset(address, far, 12))
        }
        // c.beqz and c.bnez.
        (1, 0b110 | 0b111) => {
            let near = bits(half, 3, 4) << 1
                | bits(half, 10, 11) << 3
                | bits(half, 2, 2) << 5
                | bits(half, 5, 6) << 6
                | bits(half, 12, 12) << 8;
            Flow::Branch(offset(address, near, 9))
        }
        // c.ebreak
        _ if half == 0x9002 => Flow::Trap,
        // c.jr and c.jalr have no second register; c.mv and c.add have one.
        (2, 0b100) if bits(half, 2, 6) == 0 => Flow::Unknown,
        _ => Flow::Next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: u64 = 0xffff_ff80_4020_1000;

    fn of(arch: Arch, bytes: &[u8]) -> (u64, Flow) {
        decode(arch, bytes, HERE).unwrap()
    }

    // The bytes come from an assembler, at `HERE`.
    #[test]
    fn branches_of_aarch64() {
        for (word, flow) in [
            (0x5400_0080_u32, Flow::Branch(HERE + 16)), // b.eq .+16
            (0x54ff_ffe1, Flow::Branch(HERE - 4)),      // b.ne .-4
            (0xb400_0045, Flow::Branch(HERE + 8)),      // cbz x5, .+8
            (0x35ff_ff80, Flow::Branch(HERE - 16)),     // cbnz w0, .-16
            (0xb608_0049, Flow::Branch(HERE + 8)),      // tbz x9, #33, .+8
            (0x3707_ffe3, Flow::Branch(HERE - 4)),      // tbnz w3, #0, .-4
            (0x1400_0002, Flow::Jump(HERE + 8)),        // b .+8
            (0x97ff_ffff, Flow::Call(HERE - 4)),        // bl .-4
            (0xd65f_03c0, Flow::Unknown),               // ret
            (0xd61f_0200, Flow::Unknown),               // br x16
            (0xd420_0020, Flow::Trap),                  // brk #1
            (0x9100_0400, Flow::Next),                  // add x0, x0, #1
            (0x9a82_1020, Flow::Next),                  // csel x0, x1, x2, ne
        ] {
            let found = of(Arch::Aarch64, &word.to_le_bytes());
            assert_eq!(found, (4, flow), "{word:#x}");
        }
    }

    #[test]
    fn branches_of_riscv64() {
        for (word, flow) in [
            (0x00b5_0463_u32, Flow::Branch(HERE + 8)), // beq a0, a1, .+8
            (0xfe05_1ee3, Flow::Branch(HERE - 4)),     // bnez a0, .-4
            (0x7ec5_ffe3, Flow::Branch(HERE + 0xffe)), // bgeu a1, a2, .+4094
            (0x0080_006f, Flow::Jump(HERE + 8)),       // j .+8
            (0xffdf_f0ef, Flow::Call(HERE - 4)),       // jal .-4
            (0x0000_8067, Flow::Unknown),              // ret
            (0x0010_0073, Flow::Trap),                 // ebreak
            (0x00b5_0533, Flow::Next),                 // add a0, a0, a1
        ] {
            let found = of(Arch::Riscv64, &word.to_le_bytes());
            assert_eq!(found, (4, flow), "{word:#x}");
        }
        for (half, flow) in [
            (0xc501_u16, Flow::Branch(HERE + 8)), // c.beqz a0, .+8
            (0xfdf5, Flow::Branch(HERE - 4)),     // c.bnez a1, .-4
            (0xa021, Flow::Jump(HERE + 8)),       // c.j .+8
            (0xbff5, Flow::Jump(HERE - 4)),       // c.j .-4
            (0x8082, Flow::Unknown),              // c.jr ra
            (0x9782, Flow::Unknown),              // c.jalr a5
            (0x852e, Flow::Next),                 // c.mv a0, a1
            (0x9002, Flow::Trap),                 // c.ebreak
            (0x0505, Flow::Next),                 // c.addi a0, 1
        ] {
            let found = of(Arch::Riscv64, &half.to_le_bytes());
            assert_eq!(found, (2, flow), "{half:#x}");
        }
        assert_eq!(decode(Arch::Riscv64, &[0x63], HERE), None);
        // auipc ra, 0x1; jalr -8(ra): a call of 4096 - 8 from here.
        let call = [0x0000_1097_u32, 0xff80_80e7].map(u32::to_le_bytes);
        let to = HERE + 0xff8;
        assert_eq!(of(Arch::Riscv64, call.as_flattened()), (8, Flow::Call(to)));
    }
}
