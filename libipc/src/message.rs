//! A message being written, and a message being read: the first words in
//! registers, everything else in the calling thread's message buffer.
//!
//! Nothing here is moved once it is made: these are the paths that every call
//! takes, and a copy of a message costs as much as the rest of it.

use crate::{
    FOREVER,
    buffer::Buffer,
    capability,
    handle::Handle,
    label::Label,
    message_buffer::{CAPABILITIES, LEASES, LeaseDescriptor, MAX_WORDS, word},
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
    wire::{Malformed, Sink, Source},
};

/// What a system call leaves behind that did not reach anybody.
pub(crate) fn failed(error: TransportError) -> CallOut {
    CallOut {
        status: Status::Error(error).to_word(),
        label: Label(0),
        words: [0; WORDS],
        badge: 0,
        request_id: 0,
    }
}

/// How a system call failed that did not bring a message.
#[cold]
pub(crate) fn failure(output: &CallOut) -> TransportError {
    match Status::from_word(output.status) {
        Some(Status::Error(error)) => error,
        // No kernel answers so.
        _ => TransportError::delivered(Cause::Malformed),
    }
}

/// A message being written, straight into what the system call takes.
pub(crate) struct Writer {
    pub(crate) input: CallIn,
    count: usize,
    handles: [Handle; CAPABILITIES],
    capabilities: usize,
    copies: u64,
    leases: usize,
    overflow: bool,
    buffer: Buffer,
}

impl Writer {
    /// An empty message.
    #[inline(always)]
    pub(crate) fn new(handle: Handle, label: Label) -> Writer {
        Writer {
            input: CallIn {
                handle,
                label,
                words: [0; WORDS],
                deadline: FOREVER,
                request: Handle::NULL,
            },
            count: 0,
            handles: [Handle::NULL; CAPABILITIES],
            capabilities: 0,
            copies: 0,
            leases: 0,
            overflow: false,
            buffer: Buffer::current(),
        }
    }

    /// Empties the message, so that nothing of one reaches the next receiver.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.input.words = [0; WORDS];
        self.count = 0;
        self.capabilities = 0;
        self.copies = 0;
        self.leases = 0;
        self.overflow = false;
    }

    /// Completes label and buffer. A message that outgrew its room is refused;
    /// none that its operation's table describes can.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), Cause> {
        if self.overflow {
            return Err(Cause::Malformed);
        }
        if self.capabilities > 0 {
            self.buffer.set(word::PASSING, self.copies);
        }
        let bytes = 8 * self.count.saturating_sub(WORDS);
        self.input.label = self
            .input
            .label
            .with_bytes(bytes)
            .with_capabilities(self.capabilities)
            .with_leases(self.leases);
        Ok(())
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
    #[cold]
    pub(crate) fn discard(&self) {
        for (index, handle) in self.handles[..self.capabilities].iter().enumerate() {
            if self.copies & 1 << index == 0 {
                capability::delete(*handle);
            }
        }
    }
}

/// Says how many slots the next message or reply may fill.
#[inline]
pub(crate) fn open(slots: usize) {
    Buffer::current().set(word::OPEN, slots as u64);
}

/// As `open` for one call; dropped, it restores what a server's thread opens for
/// requests. A call that gets no capability leaves that alone: what comes unasked
/// is deleted.
#[inline]
pub(crate) fn open_for(slots: usize) -> Option<Opened> {
    (slots > 0).then(|| {
        let buffer = Buffer::current();
        let before = buffer.get(word::OPEN);
        buffer.set(word::OPEN, slots as u64);
        Opened(before)
    })
}

/// See [`open_for`].
pub(crate) struct Opened(u64);

impl Drop for Opened {
    fn drop(&mut self) {
        Buffer::current().set(word::OPEN, self.0);
    }
}

impl Sink for Writer {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        if self.count < WORDS {
            self.input.words[self.count] = word;
        } else if self.count < MAX_WORDS {
            self.buffer.set(word::BYTES + self.count - WORDS, word);
        } else {
            self.overflow = true;
            return;
        }
        self.count += 1;
    }

    #[inline]
    fn words(&mut self, words: &[u64]) {
        if words.len() > MAX_WORDS - self.count {
            self.overflow = true;
            return;
        }
        let room = WORDS.saturating_sub(self.count).min(words.len());
        let (first, rest) = words.split_at(room);
        for (place, word) in self.input.words.iter_mut().skip(self.count).zip(first) {
            *place = *word;
        }
        self.count += words.len();
        if !rest.is_empty() {
            let place = self.count - rest.len() - WORDS;
            self.buffer.write(word::BYTES + place, rest);
        }
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

/// What came with a message, noted at once: the next call overwrites the
/// buffer.
#[derive(Default)]
pub(crate) struct Attached {
    handles: [Handle; CAPABILITIES],
    next_handle: usize,
    handle_count: usize,
    leases: [LeaseDescriptor; LEASES],
    next_lease: usize,
    lease_count: usize,
}

impl Attached {
    /// Notes what came with the message that arrived last.
    #[inline]
    pub(crate) fn note(&mut self, label: Label) {
        (self.next_handle, self.next_lease) = (0, 0);
        self.handle_count = label.capabilities().min(CAPABILITIES);
        self.lease_count = label.leases().min(LEASES);
        if self.handle_count + self.lease_count > 0 {
            self.read();
        }
    }

    fn read(&mut self) {
        let buffer = Buffer::current();
        for (index, handle) in self.handles[..self.handle_count].iter_mut().enumerate() {
            *handle = Handle(buffer.get(word::CAPABILITIES + index));
        }
        for (index, lease) in self.leases[..self.lease_count].iter_mut().enumerate() {
            let field = |offset| buffer.get(word::LEASE + 3 * index + offset);
            *lease = LeaseDescriptor {
                address: field(0),
                length: field(1),
                access: field(2),
            };
        }
    }

    /// Deletes the capabilities that nobody took.
    #[inline]
    pub(crate) fn discard(&mut self) {
        while self.next_handle < self.handle_count {
            self.next_handle += 1;
            capability::delete(self.handles[self.next_handle - 1]);
        }
    }
}

/// A message being read. Words are taken before the next call.
pub(crate) struct Reader<'m> {
    words: &'m [u64; WORDS],
    next: usize,
    count: usize,
    attached: &'m mut Attached,
    buffer: Buffer,
}

impl<'m> Reader<'m> {
    #[inline]
    pub(crate) fn new(
        label: Label,
        words: &'m [u64; WORDS],
        attached: &'m mut Attached,
    ) -> Reader<'m> {
        Reader {
            words,
            next: 0,
            count: WORDS + (label.bytes() / 8).min(MAX_WORDS - WORDS),
            attached,
            buffer: Buffer::current(),
        }
    }
}

impl Source for Reader<'_> {
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

    #[inline]
    fn words(&mut self, into: &mut [u64]) -> Result<(), Malformed> {
        if into.len() > self.count - self.next {
            return Err(Malformed);
        }
        let here = WORDS.saturating_sub(self.next).min(into.len());
        let (first, rest) = into.split_at_mut(here);
        for (word, place) in first.iter_mut().zip(self.words.iter().skip(self.next)) {
            *word = *place;
        }
        self.next += here + rest.len();
        if !rest.is_empty() {
            let place = self.next - rest.len() - WORDS;
            self.buffer.read(word::BYTES + place, rest);
        }
        Ok(())
    }

    fn capability(&mut self) -> Result<Handle, Malformed> {
        let attached = &mut *self.attached;
        if attached.next_handle == attached.handle_count {
            return Err(Malformed);
        }
        attached.next_handle += 1;
        Ok(attached.handles[attached.next_handle - 1])
    }

    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        let attached = &mut *self.attached;
        if attached.next_lease == attached.lease_count {
            return Err(Malformed);
        }
        attached.next_lease += 1;
        let index = attached.next_lease - 1;
        Ok((index, attached.leases[index]))
    }
}
