//! Programs made by hand, whole and damaged.

use libipc::{
    CallError, fake,
    interfaces::loader::{ElfError, Loader, LoaderClient, Plan},
};
use proptest::prelude::*;
use tessera_loader::{Limits, Machine, Reader, check, read, server::FILE};

const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const NOTE: u32 = 4;
const SEALED: u32 = 0x6474_e552;

/// A program header: type, flags, offset and address, bytes in the file, bytes
/// in memory.
type Header = (u32, u32, u64, u64, u64);

const HEADERS: [Header; 6] = [
    (LOAD, READ, 0, 0x1000, 0x1000),
    (LOAD, READ | EXECUTE, 0x1000, 0x1000, 0x1000),
    (LOAD, READ | WRITE, 0x2000, 0x1000, 0x3000),
    (DYNAMIC, READ | WRITE, 0x2000, 64, 64),
    (SEALED, READ, 0x2000, 0x800, 0x800),
    (NOTE, READ, 0x800, 64, 64),
];

/// A file of 12 KiB with these headers, a note and two relocations.
fn elf(headers: &[Header], machine: u16) -> Vec<u8> {
    let mut file = vec![0; 0x3000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &3_u16.to_le_bytes());
    put(18, &machine.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &0x1010_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &(headers.len() as u16).to_le_bytes());
    for (index, &(kind, flags, offset, length, memory)) in headers.iter().enumerate() {
        let at = 64 + 56 * index;
        put(at, &kind.to_le_bytes());
        put(at + 4, &flags.to_le_bytes());
        let fields = [offset, offset, offset, length, memory, 4];
        for (field, value) in fields.into_iter().enumerate() {
            put(at + 8 + 8 * field, &value.to_le_bytes());
        }
    }
    for (index, (tag, value)) in [(7, 0x900_u64), (8, 48), (9, 24), (0, 0)]
        .into_iter()
        .enumerate()
    {
        put(0x2000 + 16 * index, &u64::to_le_bytes(tag));
        put(0x2008 + 16 * index, &value.to_le_bytes());
    }
    put(0x800, &[8, 0, 0, 0, 44, 0, 0, 0, 1, 0, 0, 0]);
    put(0x80c, b"Tessera\0\x01");
    for (index, offset) in [0x2100_u64, 0x2108].into_iter().enumerate() {
        put(0x900 + 24 * index, &offset.to_le_bytes());
        put(0x908 + 24 * index, &0x403_u64.to_le_bytes());
        put(0x910 + 24 * index, &0x1010_u64.to_le_bytes());
    }
    file
}

const AARCH64: u16 = 183;
const LIMITS: Limits = Limits {
    file: 0x3000,
    span: 0x10_0000,
};

fn plan(headers: &[Header]) -> Result<Plan, ElfError> {
    let plan = read(&elf(headers, AARCH64), Machine::Aarch64)?;
    check(&plan, LIMITS)?;
    Ok(plan)
}

/// [`HEADERS`] with one of them replaced.
fn with(index: usize, header: Header) -> Vec<Header> {
    let mut headers = HEADERS.to_vec();
    headers[index] = header;
    headers
}

#[test]
fn a_program_is_planned_as_its_headers_say() {
    let plan = plan(&HEADERS).unwrap();
    let access: Vec<_> = plan
        .segments()
        .iter()
        .map(|segment| segment.access)
        .collect();
    assert_eq!(access, [1, 5, 3]);
    assert_eq!((plan.entry, plan.segments()[2].memory), (0x1010, 0x3000));
    assert_eq!((plan.relocations, plan.relocation_count), (0x900, 2));
    assert_eq!(
        (plan.note.as_slice().len(), plan.note.as_slice()[0]),
        (44, 1)
    );
}

#[test]
fn what_is_sealed_is_not_writable() {
    let sealed = (SEALED, READ, 0x2000, 0x1000, 0x3000);
    assert_eq!(plan(&with(4, sealed)).unwrap().segments()[2].access, 1);
}

#[test]
fn wrong_programs_are_refused_for_their_reason() {
    let refused = |index, header| plan(&with(index, header)).unwrap_err();
    let all = READ | WRITE | EXECUTE;
    assert_eq!(
        refused(2, (LOAD, all, 0x2000, 0x1000, 0x1000)),
        ElfError::WriteExecute
    );
    assert_eq!(
        refused(2, (LOAD, 6, 0x1ff0, 0x10, 0x10)),
        ElfError::SegmentRange
    );
    assert_eq!(
        refused(2, (LOAD, 6, 0x2000, 0x1001, 0x1001)),
        ElfError::SegmentRange
    );
    assert_eq!(
        refused(2, (LOAD, 6, 0x2000, 0x1000, 0xfff)),
        ElfError::SegmentRange
    );
    assert_eq!(
        refused(2, (LOAD, 6, 0x2000, 0x1000, u64::MAX)),
        ElfError::SegmentRange
    );
    assert_eq!(
        refused(2, (LOAD, 0, 0x2000, 0x1000, 0x1000)),
        ElfError::SegmentRange
    );
    assert_eq!(
        refused(1, (LOAD, READ, 0x1000, 0x1000, 0x1000)),
        ElfError::Entry
    );
    assert_eq!(
        refused(0, (3, READ, 0, 0x1000, 0x1000)),
        ElfError::NotStaticPie
    );
    assert_eq!(plan(&[]), Err(ElfError::SegmentCount));
    assert_eq!(plan(&[HEADERS[0]; 9]), Err(ElfError::SegmentCount));
    let other = read(&elf(&HEADERS, AARCH64), Machine::Riscv64);
    assert_eq!(other, Err(ElfError::OtherMachine));
}

#[test]
fn a_short_file_is_refused() {
    let file = elf(&HEADERS, AARCH64);
    for length in (0..0x2ff0).step_by(61) {
        let limits = Limits {
            file: length as u64,
            ..LIMITS
        };
        let plan = read(&file[..length], Machine::Aarch64).and_then(|plan| check(&plan, limits));
        assert!(plan.is_err(), "{length} bytes");
    }
}

#[test]
fn a_served_file_is_answered_as_if_it_were_read_here() {
    let loader: LoaderClient =
        fake::serve(|endpoint| libipc::serve::<dyn Loader>(endpoint, &mut Reader));
    let file = elf(&HEADERS, AARCH64);
    assert_eq!(loader.plan(&file).unwrap(), plan(&HEADERS).unwrap());
    let refused = |file: &[u8]| loader.plan(file).unwrap_err();
    assert_eq!(refused(&file[..64]), CallError::Server(ElfError::NotElf));
    assert_eq!(
        refused(&vec![0; FILE + 1]),
        CallError::Server(ElfError::TooLarge)
    );
}

proptest! {
    #[test]
    fn damage_never_panics_and_never_makes_code_writable(
        changes in prop::collection::vec((0_usize..0x3000, any::<u8>()), 1..24),
    ) {
        let mut file = elf(&HEADERS, AARCH64);
        for (at, byte) in changes {
            file[at % 0x200] = byte;
            file[at] = byte;
        }
        if let Ok(plan) = read(&file, Machine::Aarch64)
            && check(&plan, LIMITS).is_ok()
        {
            for segment in plan.segments() {
                prop_assert!(segment.access != 0 && segment.access & 6 != 6);
                prop_assert!(segment.offset + segment.length <= LIMITS.file);
                prop_assert!(segment.address + segment.memory <= LIMITS.span);
            }
        }
    }
}
