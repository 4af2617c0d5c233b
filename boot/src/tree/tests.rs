//! QEMU's trees as they are, and broken in every way that a seed can find.

use super::*;
use tessera_kernel::platform::CORES;

const AARCH64: &[u8] = include_bytes!("../../tests/trees/virt-aarch64.dtb");
const RISCV64: &[u8] = include_bytes!("../../tests/trees/virt-riscv64.dtb");
const MACHINES: [(&[u8], Machine, u64); 2] = [
    (AARCH64, Machine::Aarch64, 0x4000_0000),
    (RISCV64, Machine::Riscv64, 0x8000_0000),
];

/// Reads a tree for a kernel 2 MiB above the start of RAM, booted by core 2.
fn read(bytes: &[u8], machine: Machine, ram: u64) -> Result<Platform, Refusal> {
    let image = ram + 0x20_0000..ram + 0x30_0000;
    platform(bytes, ram + 0x400_0000, 2, image, machine)
}

/// Where a word of the tree is.
fn position(bytes: &[u8], word: &[u8]) -> usize {
    bytes
        .windows(word.len())
        .position(|window| window == word)
        .unwrap()
}

fn with(bytes: &[u8], at: usize, word: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + word.len()].copy_from_slice(word);
    bytes
}

#[test]
fn qemu_for_aarch64_is_understood() {
    let found = read(AARCH64, Machine::Aarch64, 0x4000_0000).unwrap();
    let expected = Platform {
        memory: 0x4000_0000..0x4800_0000,
        image: 0x4020_0000..0x4030_0000,
        device_tree: 0x4400_0000..0x4400_0000 + AARCH64.len() as u64,
        console: 0x900_0000,
        interrupts: 0x800_0000..0x801_0000,
        interrupts_cpu: 0x801_0000..0x802_0000,
        timer_line: 27,
        cores: 4,
        core_ids: [2, 1, 0, 3, 0, 0, 0, 0],
        seed: found.seed,
        ..Platform::default()
    };
    assert_eq!(found, expected);
    assert_ne!(found.seed, 0);
    assert_eq!(console(AARCH64, Machine::Aarch64), Some(0x900_0000));
}

#[test]
fn qemu_for_riscv64_is_understood() {
    let found = read(RISCV64, Machine::Riscv64, 0x8000_0000).unwrap();
    let mut expected = Platform {
        memory: 0x8000_0000..0x8800_0000,
        image: 0x8020_0000..0x8030_0000,
        device_tree: 0x8400_0000..0x8400_0000 + RISCV64.len() as u64,
        console: 0x1000_0000,
        interrupts: 0xc00_0000..0xc60_0000,
        frequency: 10_000_000,
        cores: 4,
        core_ids: [2, 1, 0, 3, 0, 0, 0, 0],
        contexts: [5, 3, 1, 7, 0, 0, 0, 0],
        sstc: true,
        power: 0x10_0000,
        seed: found.seed,
        ..Platform::default()
    };
    expected.reserved[0] = 0x8000_0000..0x8008_0000;
    assert_eq!(found, expected);
    assert_ne!(found.seed, 0);
    assert_eq!(console(RISCV64, Machine::Riscv64), Some(0x1000_0000));
}

#[test]
fn what_is_missing_is_named() {
    let refusal = |bytes: &[u8], machine, ram| read(bytes, machine, ram).unwrap_err();
    let aarch64 = |word: &[u8], by: &[u8]| {
        let bytes = with(AARCH64, position(AARCH64, word), by);
        refusal(&bytes, Machine::Aarch64, 0x4000_0000)
    };
    let riscv64 = |word: &[u8], by: &[u8]| {
        let bytes = with(RISCV64, position(RISCV64, word), by);
        refusal(&bytes, Machine::Riscv64, 0x8000_0000)
    };
    assert_eq!(aarch64(b"arm,pl011", b"x"), Refusal::Missing("console"));
    assert_eq!(
        aarch64(b"arm,cortex-a15-gic", b"x"),
        Refusal::Missing("interrupt controller")
    );
    assert_eq!(
        aarch64(b"arm,armv8-timer", b"x"),
        Refusal::Missing("generic timer")
    );
    assert_eq!(
        riscv64(b"timebase-frequency", b"x"),
        Refusal::Missing("timebase-frequency")
    );
    assert_eq!(
        riscv64(b"interrupts-extended", b"x"),
        Refusal::Missing("interrupt context for a core")
    );
    let image = 0x4020_0000..0x4030_0000;
    assert_eq!(
        platform(AARCH64, 0x4400_0000, 9, image, Machine::Aarch64),
        Err(Refusal::Missing("core that booted"))
    );
    assert_eq!(
        refusal(AARCH64, Machine::Aarch64, 0x8000_0000),
        Refusal::Missing("RAM at the kernel")
    );
}

#[test]
fn the_console_is_the_one_that_was_chosen() {
    let chosen = position(AARCH64, b"/pl011@9000000");
    let other = with(AARCH64, chosen, b"/pl011@9000001");
    assert_eq!(console(&other, Machine::Aarch64), None);
    let options = with(AARCH64, chosen, b"/pl011@9000000:115200\0");
    // The longer text runs over what follows, which is no longer a tree.
    assert!(read(&options, Machine::Aarch64, 0x4000_0000).is_err());
    let property = position(AARCH64, b"stdout-path");
    let none = with(AARCH64, property, b"x");
    assert_eq!(console(&none, Machine::Aarch64), Some(0x900_0000));
}

#[test]
fn memory_reservations_are_kept() {
    let mut bytes = RISCV64.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let block = bytes.len() as u32;
    for word in [0x8100_0000u64, 0x1000, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    let total = (bytes.len() as u32).to_be_bytes();
    bytes[4..8].copy_from_slice(&total);
    bytes[16..20].copy_from_slice(&block.to_be_bytes());
    let found = read(&bytes, Machine::Riscv64, 0x8000_0000).unwrap();
    assert_eq!(found.reserved[1], 0x8100_0000..0x8100_1000);

    let unending = with(&bytes, bytes.len() - 1, &[1]);
    assert_eq!(
        read(&unending, Machine::Riscv64, 0x8000_0000),
        Err(Refusal::Malformed("memory reservations"))
    );
}

#[test]
fn a_tree_cut_short_is_refused() {
    for (bytes, machine, ram) in MACHINES {
        for cut in (0..bytes.len()).step_by(37) {
            assert!(read(&bytes[..cut], machine, ram).is_err());
            if cut >= HEADER {
                let total = (cut as u32).to_be_bytes();
                assert!(read(&with(&bytes[..cut], 4, &total), machine, ram).is_err());
            }
        }
    }
}

#[test]
fn a_lying_header_is_refused() {
    for (bytes, machine, ram) in MACHINES {
        for at in (0..HEADER).step_by(4) {
            for word in [0, 1, 15, 0x7fff_ffff, 0xffff_fff0, u32::MAX] {
                // Version and boot core are nobody's business.
                let found = read(&with(bytes, at, &u32::to_be_bytes(word)), machine, ram);
                assert_eq!(found.is_err(), !(20..32).contains(&at), "{at} {word:#x}");
            }
        }
    }
}

/// Xorshift, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn broken_trees_never_panic() {
    const WORDS: [u32; 8] = [0, 1, 2, 3, 4, 9, 0x8000_0000, u32::MAX];

    let mut random = Random(0x7e55_e7a0);
    let mut accepted = 0;
    for (bytes, machine, ram) in MACHINES {
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let mut broken = bytes.to_vec();
            for _ in 0..=random.below(4) {
                let at = random.below(broken.len() / 4) * 4;
                match random.below(3) {
                    0 => broken[at] ^= 1 << random.below(8),
                    1 => {
                        let word = WORDS[random.below(WORDS.len())];
                        broken[at..at + 4].copy_from_slice(&word.to_be_bytes());
                    }
                    _ => {
                        let length = random.below(32).min(broken.len() - at);
                        let from = random.below(broken.len() - length);
                        broken.copy_within(from..from + length, at);
                    }
                }
            }
            let _ = console(&broken, machine);
            if let Ok(found) = read(&broken, machine, ram) {
                accepted += 1;
                assert!(found.memory.start <= found.image.start);
                assert!(found.image.end <= found.memory.end);
                assert!((1..=CORES).contains(&found.cores));
                assert_eq!(found.core_ids[0], 2);
            }
        }
    }
    // Most bytes are of devices that boot does not look at.
    assert!(accepted > 0);
}
