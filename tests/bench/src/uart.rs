//! One register of the serial line: the one by which it interrupts at once, because
//! there is room to send.

use core::ptr::NonNull;
use libipc::{PAGE, handle::Rights, memory::Mapping, objects::MemoryClient, start::AnyError};

/// A serial line whose only use is to interrupt.
#[derive(Debug)]
pub struct Uart {
    register: NonNull<u8>,
    /// PL011's is a word; NS16550's is a byte.
    word: bool,
    /// Keeps the registers mapped.
    _mapping: Mapping,
}

impl Uart {
    /// The device with this `compatible` string, whose registers begin at `offset`.
    pub fn new(registers: &MemoryClient, compatible: &str, offset: u64) -> Result<Self, AnyError> {
        let offset = usize::try_from(offset).unwrap_or(PAGE);
        let (word, place) = match compatible {
            "arm,pl011" => (true, offset + 0x38),
            "ns16550a" => (false, offset + 1),
            _ => return Err(AnyError::new("there is no such serial line")),
        };
        let mapping = Mapping::new(registers, Rights::READ | Rights::WRITE)?;
        let fits = place < PAGE - 4 && (!word || place.is_multiple_of(4));
        let register = NonNull::new((mapping.address() + place) as *mut u8);
        Ok(Self {
            register: register
                .filter(|_| fits)
                .ok_or_else(|| AnyError::new("the registers do not fit a page"))?,
            word,
            _mapping: mapping,
        })
    }

    /// Whether it interrupts while there is room to send, which there always is.
    #[inline(always)]
    pub fn announce_room(&mut self, on: bool) {
        if self.word {
            // SAFETY: `new` made sure that it is aligned and in the mapping, which
            // lives as long as `self`; the device reads and writes no memory.
            unsafe { self.register.cast().write_volatile(u32::from(on) << 5) }
        } else {
            // SAFETY: as above.
            unsafe { self.register.write_volatile(u8::from(on) << 1) }
        }
    }
}
