//! What a new task finds when it starts: start information, at the address in the first
//! argument register, which is a multiple of 8. A supervisor puts it where the stack
//! begins, as it is read once; the kernel gives the first task a page that cannot be
//! written.
//!
//! A thread starts with: first argument register = that address, second = the argument given to `Task::create_thread`, thread register
//! (`tpidr_el0`, `tp`) = its message buffer, stack pointer as given.
//!
//! It is a [`Header`], then [`NamedCapability`] entries, then the
//! arguments: each a 16-bit length and its UTF-8 bytes.

use crate::handle::Handle;

/// First word of start information: "TESSERA1" in little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TESSERA1");

/// Longest name of a capability in start information, in bytes.
pub const NAME: usize = 24;

/// The fixed part of start information: words of 64 bits, little endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// The task's capability for itself.
    pub task: Handle,
    /// Ticks of the architecture's counter in one second.
    pub counter_frequency: u64,
    /// First address of the heap.
    pub heap: u64,
    /// Bytes of the heap; its pages are filled with zeros at first touch.
    pub heap_length: u64,
    /// Where the program was loaded.
    pub base: u64,
    /// Entries of the capability table.
    pub capabilities: u64,
    /// Number of arguments.
    pub arguments: u64,
    /// Bytes of the whole start information.
    pub length: u64,
    /// Random bits for the task's own use, or zero where there is no entropy.
    pub seed: u64,
    /// Lowest address of the first thread's stack, or zero if it is not told.
    pub stack: u64,
    /// Bytes of that stack, start information included if it lies there.
    pub stack_length: u64,
}

/// A capability that the task was given, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct NamedCapability {
    /// UTF-8, filled up with zeros.
    pub name: [u8; NAME],
    /// The handle in the task's own table.
    pub handle: Handle,
}

/// A checked view of start information.
///
/// ```
/// use libipc_abi::{handle::Handle, start::{write, Header, StartInfo}};
/// let mut page = [0; 4096];
/// write(&mut page, Header::default(), [("log", Handle(7))], ["ls", "-l"]).unwrap();
/// let start = StartInfo::new(&page).unwrap();
/// assert_eq!(start.capability("log"), Some(Handle(7)));
/// assert!(start.arguments().eq(["ls", "-l"]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StartInfo<'a> {
    bytes: &'a [u8],
    header: Header,
}

const FIXED: usize = size_of::<Header>();
const ENTRY: usize = size_of::<NamedCapability>();

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl<'a> StartInfo<'a> {
    /// Checks the fixed part and the lengths; `None` if this is none.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let field = |index: usize| word(bytes, index * 8);
        let header = Header {
            magic: field(0)?,
            task: Handle(field(1)?),
            counter_frequency: field(2)?,
            heap: field(3)?,
            heap_length: field(4)?,
            base: field(5)?,
            capabilities: field(6)?,
            arguments: field(7)?,
            length: field(8)?,
            seed: field(9)?,
            stack: field(10)?,
            stack_length: field(11)?,
        };
        Self::after(header, bytes)
    }

    /// The same for who has read the fixed part, which `bytes` begin with, already.
    pub fn after(header: Header, bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(header.length).ok()?;
        let table = usize::try_from(header.capabilities)
            .ok()?
            .checked_mul(ENTRY)?;
        if header.magic != MAGIC || length > bytes.len() || FIXED.checked_add(table)? > length {
            return None;
        }
        Some(StartInfo {
            bytes: &bytes[..length],
            header,
        })
    }

    /// The fixed part.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All capabilities with their names.
    pub fn capabilities(&self) -> impl Iterator<Item = (&'a str, Handle)> + use<'a> {
        let table = &self.bytes[FIXED..FIXED + self.header.capabilities as usize * ENTRY];
        table.chunks_exact(ENTRY).filter_map(|entry| {
            let length = entry[..NAME].iter().position(|&b| b == 0).unwrap_or(NAME);
            let name = core::str::from_utf8(&entry[..length]).ok()?;
            Some((name, Handle(word(entry, NAME)?)))
        })
    }

    /// The capability with this name.
    pub fn capability(&self, name: &str) -> Option<Handle> {
        self.capabilities()
            .find(|(found, _)| *found == name)
            .map(|(_, handle)| handle)
    }

    /// The arguments, the program's name first.
    pub fn arguments(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = &self.bytes[FIXED + self.header.capabilities as usize * ENTRY..];
        (0..self.header.arguments).map_while(move |_| {
            let (length, after) = rest.split_at_checked(2)?;
            let length = u16::from_le_bytes(length.try_into().ok()?) as usize;
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            core::str::from_utf8(text).ok()
        })
    }
}

/// Why start information could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// A capability's name is empty or longer than [`NAME`] bytes.
    Name,
    /// It does not fit, or an argument is longer than 65,535 bytes.
    TooLong,
}

/// Writes start information into `bytes` and returns its length. The counts,
/// length and magic of `header` are filled in.
pub fn write<'n>(
    bytes: &mut [u8],
    header: Header,
    capabilities: impl IntoIterator<Item = (&'n str, Handle)>,
    arguments: impl IntoIterator<Item = &'n str>,
) -> Result<usize, WriteError> {
    let mut end = FIXED;
    let mut append = |piece: &[u8]| {
        let room = bytes
            .get_mut(end..end + piece.len())
            .ok_or(WriteError::TooLong)?;
        room.copy_from_slice(piece);
        end += piece.len();
        Ok(end)
    };
    let (mut count, mut argument_count, mut length) = (0, 0, FIXED);
    for (name, handle) in capabilities {
        if name.is_empty() || name.len() > NAME {
            return Err(WriteError::Name);
        }
        let mut padded = [0; NAME];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        append(&padded)?;
        length = append(&handle.0.to_le_bytes())?;
        count += 1;
    }
    for argument in arguments {
        let size = u16::try_from(argument.len()).map_err(|_| WriteError::TooLong)?;
        append(&size.to_le_bytes())?;
        length = append(argument.as_bytes())?;
        argument_count += 1;
    }
    let fields = [
        MAGIC,
        header.task.0,
        header.counter_frequency,
        header.heap,
        header.heap_length,
        header.base,
        count,
        argument_count,
        length as u64,
        header.seed,
        header.stack,
        header.stack_length,
    ];
    let fixed = bytes.get_mut(..FIXED).ok_or(WriteError::TooLong)?;
    for (room, field) in fixed.chunks_exact_mut(8).zip(fields) {
        room.copy_from_slice(&field.to_le_bytes());
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_lying_page_is_refused() {
        let mut page = [0; 512];
        let caps = [("console", Handle(1)), ("log", Handle(2))];
        let length = write(&mut page, Header::default(), caps, ["a", ""]).unwrap();
        assert!(StartInfo::new(&page).is_some());
        assert!((0..length).all(|cut| StartInfo::new(&page[..cut]).is_none()));
        page[6 * 8..7 * 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(StartInfo::new(&page).is_none());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut page = [0; 128];
        let header = Header::default();
        let caps: [(&str, Handle); 0] = [];
        assert_eq!(
            write(&mut page, header, [("", Handle(1))], []),
            Err(WriteError::Name)
        );
        let long = "x".repeat(NAME + 1);
        assert_eq!(
            write(&mut page, header, [(&*long, Handle(1))], []),
            Err(WriteError::Name)
        );
        assert_eq!(
            write(&mut page, header, caps, [&*"x".repeat(60)]),
            Err(WriteError::TooLong)
        );
        assert_eq!(
            write(&mut [0; 8], header, caps, []),
            Err(WriteError::TooLong)
        );
    }
}
