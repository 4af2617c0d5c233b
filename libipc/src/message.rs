//! A message being written, and a message being read: the first words in
//! registers, everything else in the calling thread's message buffer.

use crate::{
    buffer::Buffer,
    capability,
    handle::Handle,
    label::Label,
    message_buffer::{CAPABILITIES, LEASES, LeaseDescriptor, MAX_WORDS, word},
    registers::WORDS,
    status::Cause,
    wire::{Malformed, Sink, Source},
};

/// A message being written.
pub(crate) struct Writer {
    pub(crate) words: [u64; WORDS],
    count: usize,
    handles: [Handle; CAPABILITIES],
    capabilities: usize,
    copies: u64,
    leases: usize,
    overflow: bool,
    buffer: Buffer,
}

impl Writer {
    #[inline]
    pub(crate) fn new() -> Writer {
        Writer {
            words: [0; WORDS],
            count: 0,
            handles: [Handle::NULL; CAPABILITIES],
            capabilities: 0,
            copies: 0,
            leases: 0,
            overflow: false,
            buffer: Buffer::current(),
        }
    }

    /// Completes the label and the buffer's header. A message that outgrew its
    /// room is refused; none that its operation's table describes can.
    #[inline]
    pub(crate) fn finish(&self, label: Label) -> Result<Label, Cause> {
        if self.overflow {
            return Err(Cause::Malformed);
        }
        if self.capabilities > 0 {
            self.buffer.set(word::PASSING, self.copies);
        }
        let bytes = 8 * self.count.saturating_sub(WORDS);
        Ok(label
            .with_bytes(bytes)
            .with_capabilities(self.capabilities)
            .with_leases(self.leases))
    }

    /// Whether everything travels in registers.
    pub(crate) fn fits_registers(&self) -> bool {
        self.count <= WORDS && self.capabilities == 0 && self.leases == 0
    }

    /// Whether it hands a capability over.
    #[inline]
    pub(crate) fn moves(&self) -> bool {
        self.copies.count_ones() as usize != self.capabilities
    }

    /// Deletes the capabilities that a message which never arrived would have
    /// moved.
    pub(crate) fn discard(&self) {
        for (index, handle) in self.handles[..self.capabilities].iter().enumerate() {
            if self.copies & 1 << index == 0 {
                capability::delete(*handle);
            }
        }
    }

    /// How many slots the next message or reply may fill.
    #[inline]
    pub(crate) fn open(&self, slots: usize) {
        self.buffer.set(word::OPEN, slots as u64);
    }
}

impl Sink for Writer {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        if self.count < WORDS {
            self.words[self.count] = word;
        } else if self.count < MAX_WORDS {
            self.buffer.set(word::BYTES + self.count - WORDS, word);
        } else {
            self.overflow = true;
            return;
        }
        self.count += 1;
    }

    fn capability(&mut self, handle: Handle, copy: bool) {
        let index = self.capabilities;
        if index == CAPABILITIES {
            self.overflow = true;
            if !copy {
                capability::delete(handle);
            }
            return;
        }
        self.handles[index] = handle;
        self.buffer.set(word::CAPABILITIES + index, handle.0);
        self.copies |= u64::from(copy) << index;
        self.capabilities += 1;
    }

    fn lease(&mut self, lease: LeaseDescriptor) {
        if self.leases == LEASES {
            self.overflow = true;
            return;
        }
        let first = word::LEASE + 3 * self.leases;
        let fields = [lease.address, lease.length, lease.access];
        for (offset, field) in fields.into_iter().enumerate() {
            self.buffer.set(first + offset, field);
        }
        self.leases += 1;
    }
}

/// A message being read. Capabilities and leases are noted at once, for the next
/// call overwrites the buffer; words are taken before that. Capabilities that
/// nobody took are deleted.
pub(crate) struct Reader {
    pub(crate) words: [u64; WORDS],
    next: usize,
    count: usize,
    handles: [Handle; CAPABILITIES],
    next_capability: usize,
    capabilities: usize,
    descriptors: [LeaseDescriptor; LEASES],
    next_lease: usize,
    leases: usize,
    buffer: Buffer,
}

impl Reader {
    #[inline]
    pub(crate) fn new(label: Label, words: [u64; WORDS]) -> Reader {
        let mut reader = Reader {
            words,
            next: 0,
            count: WORDS + (label.bytes() / 8).min(MAX_WORDS - WORDS),
            handles: [Handle::NULL; CAPABILITIES],
            next_capability: 0,
            capabilities: label.capabilities().min(CAPABILITIES),
            descriptors: [LeaseDescriptor::default(); LEASES],
            next_lease: 0,
            leases: label.leases().min(LEASES),
            buffer: Buffer::current(),
        };
        for index in 0..reader.capabilities {
            reader.handles[index] = Handle(reader.buffer.get(word::CAPABILITIES + index));
        }
        for index in 0..reader.leases {
            let field = |offset| reader.buffer.get(word::LEASE + 3 * index + offset);
            reader.descriptors[index] = LeaseDescriptor {
                address: field(0),
                length: field(1),
                access: field(2),
            };
        }
        reader
    }
}

impl Source for Reader {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        if self.next == self.count {
            return Err(Malformed);
        }
        let index = self.next;
        self.next += 1;
        Ok(if index < WORDS {
            self.words[index]
        } else {
            self.buffer.get(word::BYTES + index - WORDS)
        })
    }

    fn capability(&mut self) -> Result<Handle, Malformed> {
        if self.next_capability == self.capabilities {
            return Err(Malformed);
        }
        self.next_capability += 1;
        Ok(self.handles[self.next_capability - 1])
    }

    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        if self.next_lease == self.leases {
            return Err(Malformed);
        }
        self.next_lease += 1;
        let index = self.next_lease - 1;
        Ok((index, self.descriptors[index]))
    }
}

impl Drop for Reader {
    #[inline]
    fn drop(&mut self) {
        for handle in &self.handles[self.next_capability..self.capabilities] {
            capability::delete(*handle);
        }
    }
}
