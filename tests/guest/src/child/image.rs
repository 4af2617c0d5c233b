//! The program's own image, as something that can be mapped into another task
//! at the same addresses.
//!
//! What cannot change is copied once and shared by all children. What can is
//! copied as it was before any code ran, so that a child starts afresh.
#![allow(unsafe_code, reason = "the program's own ELF header and segments")]

use crate::check::Failure;
use alloc::vec::Vec;
use core::{cell::UnsafeCell, slice};
use libipc::{PAGE, child::Child, handle::Rights, objects::MemoryClient};

/// Most bytes of initialised data that can be remembered.
const ROOM: usize = 128 << 10;

/// Initialised data as it was before any code ran.
struct Pristine(UnsafeCell<[u8; ROOM]>);

// SAFETY: written by `remember` alone, before there is a second thread.
unsafe impl Sync for Pristine {}

static PRISTINE: Pristine = Pristine(UnsafeCell::new([0; ROOM]));

unsafe extern "C" {
    /// Where the linker put the ELF header.
    static __ehdr_start: u8;
}

/// A loadable segment.
#[derive(Clone, Copy)]
struct Segment {
    address: usize,
    file_length: usize,
    length: usize,
    access: Rights,
}

impl Segment {
    fn is_writable(&self) -> bool {
        self.access.contains(Rights::WRITE)
    }

    fn pages(&self) -> u64 {
        ((self.address % PAGE + self.length).div_ceil(PAGE)) as u64
    }

    fn first_page(&self) -> u64 {
        (self.address - self.address % PAGE) as u64
    }

    /// What the file initialised, as it is now.
    fn initialised(&self) -> &'static [u8] {
        // SAFETY: the program header says that the segment was loaded there.
        unsafe { slice::from_raw_parts(self.address as *const u8, self.file_length) }
    }
}

/// Reads a field of the program's own headers.
fn field<T: Copy>(address: usize) -> T {
    // SAFETY: the headers are part of the first segment, and aligned.
    unsafe { (address as *const T).read() }
}

fn segments() -> impl Iterator<Item = Segment> {
    let header = (&raw const __ehdr_start).addr();
    let table = header + field::<u64>(header + 32) as usize;
    let size = usize::from(field::<u16>(header + 54));
    let count = usize::from(field::<u16>(header + 56));
    (0..count)
        .map(move |index| table + index * size)
        .filter(|entry| field::<u32>(*entry) == 1)
        .map(move |entry| {
            let flags = field::<u32>(entry + 4);
            let right = |bit: u32, right: Rights| {
                if flags & bit != 0 {
                    right
                } else {
                    Rights::empty()
                }
            };
            Segment {
                address: header + field::<u64>(entry + 16) as usize,
                file_length: field::<u64>(entry + 32) as usize,
                length: field::<u64>(entry + 40) as usize,
                access: right(1, Rights::EXECUTE)
                    | right(2, Rights::WRITE)
                    | right(4, Rights::READ),
            }
        })
}

/// Remembers the initialised data. Called before anything else runs.
pub(crate) fn remember() {
    let mut end = 0;
    for segment in segments().filter(Segment::is_writable) {
        let bytes = segment.initialised();
        // SAFETY: there is only one thread so far, and nobody holds a reference.
        let room = unsafe { &mut *PRISTINE.0.get() };
        room[end..end + bytes.len()].copy_from_slice(bytes);
        end += bytes.len();
    }
}

/// The segments that never change, in memory that can be mapped.
pub(crate) struct Image {
    shared: Vec<(Segment, MemoryClient)>,
}

impl Image {
    /// Copies what can be shared.
    pub(crate) fn new() -> Result<Image, Failure> {
        let mut shared = Vec::new();
        for segment in segments().filter(|segment| !segment.is_writable()) {
            let memory = libipc::task().create_memory(segment.pages())?;
            let offset = (segment.address % PAGE) as u64;
            memory.write_from(offset, segment.initialised())?;
            shared.push((segment, memory));
        }
        Ok(Image { shared })
    }

    /// Maps the whole image into `task`, which pays for what it can change.
    pub(crate) fn map(&self, task: &Child) -> Result<(), Failure> {
        for (segment, memory) in &self.shared {
            map(task, segment, memory)?;
        }
        let mut end = 0;
        for segment in segments().filter(Segment::is_writable) {
            let memory = task.create_memory(segment.pages())?;
            let bytes = end..end + segment.file_length;
            end = bytes.end;
            // SAFETY: nobody writes it any more.
            let pristine = unsafe { &*PRISTINE.0.get() };
            memory.write_from((segment.address % PAGE) as u64, &pristine[bytes])?;
            map(task, &segment, &memory)?;
        }
        Ok(())
    }
}

fn map(task: &Child, segment: &Segment, memory: &MemoryClient) -> Result<(), Failure> {
    let access = u64::from(segment.access.bits());
    task.map(memory, segment.first_page(), 0, segment.pages(), access)?;
    Ok(())
}
