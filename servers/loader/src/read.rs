//! Reads an ELF file.

use elf::{
    ElfBytes, abi,
    endian::LittleEndian,
    file::Class,
    segment::{ProgramHeader, SegmentTable},
};
use libipc::{
    handle::Rights,
    interfaces::loader::{ElfError, NOTE, Plan, Segment},
    note,
    wire::Bytes,
};

/// A processor architecture, as ELF files tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Machine {
    /// The one that this program was built for; a host stands for ARM.
    pub const THIS: Machine = if cfg!(target_arch = "riscv64") {
        Machine::Riscv64
    } else {
        Machine::Aarch64
    };

    const fn number(self) -> u16 {
        match self {
            Machine::Aarch64 => abi::EM_AARCH64,
            Machine::Riscv64 => abi::EM_RISCV,
        }
    }

    /// Number of the one kind of relocation that there may be.
    pub const fn relative(self) -> u64 {
        match self {
            Machine::Aarch64 => abi::R_AARCH64_RELATIVE as u64,
            Machine::Riscv64 => abi::R_RISCV_RELATIVE as u64,
        }
    }
}

type Elf<'f> = ElfBytes<'f, LittleEndian>;

/// How to load the static position-independent program in `file`.
pub fn read(file: &[u8], machine: Machine) -> Result<Plan, ElfError> {
    let elf = Elf::minimal_parse(file).map_err(|_| ElfError::NotElf)?;
    if elf.ehdr.class != Class::ELF64 || elf.ehdr.e_machine != machine.number() {
        return Err(ElfError::OtherMachine);
    }
    let table = elf.segments().ok_or(ElfError::SegmentCount)?;
    if elf.ehdr.e_type != abi::ET_DYN || find(&table, abi::PT_INTERP).is_some() {
        return Err(ElfError::NotStaticPie);
    }
    let mut plan = Plan {
        entry: elf.ehdr.e_entry,
        ..Plan::default()
    };
    let sealed = find(&table, abi::PT_GNU_RELRO);
    let is_loaded = |header: &ProgramHeader| header.p_type == abi::PT_LOAD && header.p_memsz > 0;
    for header in table.iter().filter(is_loaded) {
        let index = plan.count as usize;
        let room = plan.segments.get_mut(index).ok_or(ElfError::SegmentCount)?;
        *room = segment(&header, sealed.as_ref());
        plan.count += 1;
    }
    plan.segments[..plan.count as usize].sort_unstable_by_key(|segment| segment.address);
    (plan.relocations, plan.relocation_count) = relocations(&elf, &plan)?;
    plan.note = own_note(&elf, &table);
    Ok(plan)
}

fn find(table: &SegmentTable<'_, LittleEndian>, kind: u32) -> Option<ProgramHeader> {
    table.iter().find(|header| header.p_type == kind)
}

/// Data that `sealed` covers is only written while it is loaded.
fn segment(header: &ProgramHeader, sealed: Option<&ProgramHeader>) -> Segment {
    let end = |header: &ProgramHeader| header.p_vaddr.saturating_add(header.p_memsz);
    let is_sealed = header.p_flags & abi::PF_X == 0
        && sealed
            .is_some_and(|sealed| sealed.p_vaddr <= header.p_vaddr && end(header) <= end(sealed));
    let mut access = Rights::empty();
    access.set(Rights::READ, header.p_flags & abi::PF_R != 0);
    access.set(Rights::WRITE, header.p_flags & abi::PF_W != 0 && !is_sealed);
    access.set(Rights::EXECUTE, header.p_flags & abi::PF_X != 0);
    Segment {
        address: header.p_vaddr,
        memory: header.p_memsz,
        offset: header.p_offset,
        length: header.p_filesz,
        access: access.bits().into(),
    }
}

/// Offset in the file and number of the relocations.
fn relocations(elf: &Elf<'_>, plan: &Plan) -> Result<(u64, u64), ElfError> {
    const ENTRY: u64 = 24;

    let Some(dynamic) = elf.dynamic().map_err(|_| ElfError::NotElf)? else {
        return Ok((0, 0));
    };
    let (mut address, mut bytes) = (0, 0);
    for entry in dynamic.iter() {
        match entry.d_tag {
            abi::DT_RELA => address = entry.d_val(),
            abi::DT_RELASZ => bytes = entry.d_val(),
            abi::DT_RELAENT if entry.d_val() != ENTRY => return Err(ElfError::Relocation),
            abi::DT_REL | abi::DT_JMPREL | abi::DT_TEXTREL => return Err(ElfError::Relocation),
            abi::DT_NEEDED => return Err(ElfError::NotStaticPie),
            abi::DT_NULL => break,
            _ => {}
        }
    }
    if bytes == 0 {
        return Ok((0, 0));
    }
    if !bytes.is_multiple_of(ENTRY) {
        return Err(ElfError::Relocation);
    }
    let holder = plan.segments().iter().find(|segment| {
        let start = address.checked_sub(segment.address);
        let end = start.and_then(|start| start.checked_add(bytes));
        end.is_some_and(|end| end <= segment.length)
    });
    let holder = holder.ok_or(ElfError::Relocation)?;
    let offset = holder.offset.checked_add(address - holder.address);
    Ok((offset.ok_or(ElfError::Relocation)?, bytes / ENTRY))
}

/// The note for whoever starts the program; without one, or with one that is
/// damaged, it is empty.
fn own_note(elf: &Elf<'_>, table: &SegmentTable<'_, LittleEndian>) -> Bytes<NOTE> {
    let find = |header: ProgramHeader| {
        elf.segment_data_as_notes(&header)
            .ok()?
            .find_map(|any| match any {
                elf::note::Note::Unknown(any)
                    if any.n_type == note::KIND.into() && any.name == note::OWNER =>
                {
                    Bytes::new(any.desc)
                }
                _ => None,
            })
    };
    let notes = table.iter().filter(|header| header.p_type == abi::PT_NOTE);
    notes.filter_map(find).next().unwrap_or_default()
}
