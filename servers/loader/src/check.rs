//! Checks a plan, whoever made it.

use libipc::{
    PAGE,
    handle::Rights,
    interfaces::loader::{ElfError, Plan, SEGMENTS, Segment},
};

/// What a plan must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of the address range that the program may take.
    pub span: u64,
}

/// Whether a plan can be carried out: all ranges inside the limits, no page in
/// two segments, nothing writable and executable, the entry in code. Each
/// relocation is checked when it is applied.
pub fn check(plan: &Plan, limits: Limits) -> Result<(), ElfError> {
    if plan.count == 0 || plan.count > SEGMENTS as u64 {
        return Err(ElfError::SegmentCount);
    }
    let mut free = 0;
    for segment in plan.segments() {
        let (first, end) = check_segment(segment, limits)?;
        if first < free {
            return Err(ElfError::SegmentRange);
        }
        free = end;
    }
    let has_entry = |segment: &Segment| {
        let executable = segment.access & u64::from(Rights::EXECUTE.bits()) != 0;
        executable && (segment.address..segment.address + segment.length).contains(&plan.entry)
    };
    if !plan.segments().iter().any(has_entry) {
        return Err(ElfError::Entry);
    }
    let bytes = plan.relocation_count.checked_mul(RELOCATION as u64);
    let end = bytes.and_then(|bytes| bytes.checked_add(plan.relocations));
    if end.is_none_or(|end| end > limits.file) {
        return Err(ElfError::Relocation);
    }
    Ok(())
}

/// Bytes of a relocation in the file.
pub const RELOCATION: usize = 24;

/// Checks a segment by itself and returns its pages.
fn check_segment(segment: &Segment, limits: Limits) -> Result<(u64, u64), ElfError> {
    let known = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    let access = u8::try_from(segment.access)
        .ok()
        .map(Rights::from_bits_retain);
    let access = access.filter(|access| !access.is_empty() && known.contains(*access));
    let access = access.ok_or(ElfError::SegmentRange)?;
    if access.contains(Rights::WRITE | Rights::EXECUTE) {
        return Err(ElfError::WriteExecute);
    }
    let end = segment.address.checked_add(segment.memory);
    let file_end = segment.offset.checked_add(segment.length);
    match (end, file_end) {
        (Some(end), Some(file_end))
            if segment.memory > 0
                && end <= limits.span
                && segment.length <= segment.memory
                && file_end <= limits.file =>
        {
            Ok((segment.address / PAGE as u64, end.div_ceil(PAGE as u64)))
        }
        _ => Err(ElfError::SegmentRange),
    }
}
