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
use core::ops::BitOr;

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
    pub(crate) shape: Shape,
}

/// What a message has.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shape {
    count: u16,
    capabilities: u8,
    /// Which of them are copied.
    copies: u8,
    leases: u8,
    /// More than fits.
    overflow: bool,
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
            shape: Shape::default(),
        }
    }

    /// Empties the message, so that nothing of one reaches the next receiver.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.input.words = [0; WORDS];
        self.shape = Shape::default();
    }

    /// Completes label and buffer. A message that outgrew its room is refused;
    /// none that its operation's table describes can.
    #[inline(always)]
    pub(crate) fn finish(&mut self) -> Result<(), Cause> {
        let shape = self.shape;
        if shape.overflow {
            return Err(Cause::Malformed);
        }
        if shape.capabilities > 0 {
            Buffer::current().set(word::PASSING, shape.copies.into());
        }
        self.input.label = self
            .input
            .label
            .with_bytes(8 * usize::from(shape.count).saturating_sub(WORDS))
            .with_capabilities(shape.capabilities.into())
            .with_leases(shape.leases.into());
        Ok(())
    }
}

impl Shape {
    /// How many words travel in registers.
    #[inline(always)]
    pub(crate) fn registers(self) -> usize {
        usize::from(self.count).min(WORDS)
    }

    /// Whether everything travels in registers.
    #[inline(always)]
    pub(crate) fn fits_registers(self) -> bool {
        usize::from(self.count) <= WORDS && self.capabilities == 0 && self.leases == 0
    }

    /// Whether it hands a capability over.
    #[inline(always)]
    pub(crate) fn moves(self) -> bool {
        u32::from(self.copies) != (1 << self.capabilities) - 1
    }

    /// The handles that it moves, while it is in the buffer.
    pub(crate) fn moved(self) -> impl Iterator<Item = Handle> {
        let buffer = Buffer::current();
        let moves = move |index: &usize| self.copies & 1 << index == 0;
        let moved = (0..self.capabilities.into()).filter(moves);
        moved.map(move |index| Handle(buffer.get(word::CAPABILITIES + index)))
    }

    /// Deletes the capabilities that a message would have moved which never arrived
    /// and is still in the buffer, and says whether there were any.
    #[cold]
    #[inline(never)]
    pub(crate) fn discard(self) -> bool {
        self.moved()
            .map(capability::delete)
            .fold(false, BitOr::bitor)
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
        let index = usize::from(self.shape.count);
        if index < WORDS {
            self.input.words[index] = word;
        } else if index < MAX_WORDS {
            Buffer::current().set(word::BYTES + index - WORDS, word);
        } else {
            self.shape.overflow = true;
            return;
        }
        self.shape.count += 1;
    }

    #[inline(always)]
    fn words(&mut self, words: &[u64]) {
        let start = usize::from(self.shape.count);
        if words.len() > MAX_WORDS - start {
            self.shape.overflow = true;
            return;
        }
        let here = WORDS.saturating_sub(start).min(words.len());
        let (first, rest) = words.split_at(here);
        for (place, word) in self.input.words.iter_mut().skip(start).zip(first) {
            *place = *word;
        }
        if !rest.is_empty() {
            let place = start + here - WORDS;
            Buffer::current().write(word::BYTES + place, rest);
        }
        self.shape.count += words.len() as u16;
    }

    #[inline(always)]
    fn capability(&mut self, handle: Handle, copy: bool) {
        let index = usize::from(self.shape.capabilities);
        if index == CAPABILITIES {
            self.shape.overflow = true;
            if !copy {
                capability::delete(handle);
            }
            return;
        }
        Buffer::current().set(word::CAPABILITIES + index, handle.0);
        self.shape.copies |= u8::from(copy) << index;
        self.shape.capabilities += 1;
    }

    #[inline(always)]
    fn lease(&mut self, lease: LeaseDescriptor) {
        let index = usize::from(self.shape.leases);
        if index == LEASES {
            self.shape.overflow = true;
            return;
        }
        let fields = [lease.address, lease.length, lease.access];
        Buffer::current().write(word::LEASE + 3 * index, &fields);
        self.shape.leases += 1;
    }
}

/// What came with a message, noted at once: the next call overwrites the
/// buffer.
#[derive(Default)]
pub(crate) struct Attached {
    handles: [Handle; CAPABILITIES],
    leases: [LeaseDescriptor; LEASES],
    next_handle: u8,
    handle_count: u8,
    next_lease: u8,
    lease_count: u8,
}

impl Attached {
    /// Notes what came with the message that arrived last.
    #[inline(always)]
    pub(crate) fn note(&mut self, label: Label) {
        self.next_handle = 0;
        self.handle_count = 0;
        self.next_lease = 0;
        self.lease_count = 0;
        if label.0 & (Label::CAPABILITIES | Label::LEASES) != 0 {
            self.read(label);
        }
    }

    #[inline(never)]
    fn read(&mut self, label: Label) {
        let buffer = Buffer::current();
        for (index, handle) in self
            .handles
            .iter_mut()
            .take(label.capabilities())
            .enumerate()
        {
            *handle = Handle(buffer.get(word::CAPABILITIES + index));
            self.handle_count += 1;
        }
        for (index, lease) in self.leases.iter_mut().take(label.leases()).enumerate() {
            *lease = buffer.lease(index);
            self.lease_count += 1;
        }
    }

    /// Takes all that came with it.
    pub(crate) fn take_all(
        &mut self,
    ) -> (
        impl Iterator<Item = Handle> + '_,
        impl Iterator<Item = LeaseDescriptor> + '_,
    ) {
        let first = usize::from(core::mem::replace(&mut self.next_handle, self.handle_count));
        let handles = &self.handles[first..self.handle_count.into()];
        let leases = &self.leases[..self.lease_count.into()];
        (handles.iter().copied(), leases.iter().copied())
    }

    /// The next handle that nobody took.
    #[inline(always)]
    fn handle(&mut self) -> Option<Handle> {
        if self.next_handle == self.handle_count {
            return None;
        }
        let handle = self.handles.get(usize::from(self.next_handle));
        self.next_handle += 1;
        handle.copied()
    }

    /// Deletes the capabilities that nobody took.
    #[inline(always)]
    pub(crate) fn discard(&mut self) {
        if self.next_handle < self.handle_count {
            self.delete_rest();
        }
    }

    #[cold]
    #[inline(never)]
    fn delete_rest(&mut self) {
        while let Some(handle) = self.handle() {
            capability::delete(handle);
        }
    }
}

/// A message being read. Words are taken before the next call.
pub(crate) struct Reader<'m> {
    label: Label,
    words: &'m [u64; WORDS],
    next: usize,
    attached: &'m mut Attached,
}

impl<'m> Reader<'m> {
    #[inline(always)]
    pub(crate) fn new(
        label: Label,
        words: &'m [u64; WORDS],
        attached: &'m mut Attached,
    ) -> Reader<'m> {
        Reader {
            label,
            words,
            next: 0,
            attached,
        }
    }
}

/// Takes the word at `index` of a message.
#[inline(always)]
pub(crate) fn take_word(
    label: Label,
    words: &[u64; WORDS],
    index: usize,
) -> Result<u64, Malformed> {
    match words.get(index) {
        Some(word) => Ok(*word),
        None if index < count(label) => Ok(Buffer::current().get(word::BYTES + index - WORDS)),
        None => Err(Malformed),
    }
}

/// Takes the words from `index` on.
#[inline(always)]
pub(crate) fn take_words(
    label: Label,
    words: &[u64; WORDS],
    index: usize,
    into: &mut [u64],
) -> Result<(), Malformed> {
    let end = index + into.len();
    if end > WORDS && end > count(label) {
        return Err(Malformed);
    }
    let here = WORDS.saturating_sub(index).min(into.len());
    let (first, rest) = into.split_at_mut(here);
    for (place, word) in first.iter_mut().zip(words.iter().skip(index)) {
        *place = *word;
    }
    if !rest.is_empty() {
        Buffer::current().read(word::BYTES + index + here - WORDS, rest);
    }
    Ok(())
}

/// How many words a message has.
#[inline(always)]
fn count(label: Label) -> usize {
    WORDS + (label.bytes() / 8).min(MAX_WORDS - WORDS)
}

impl Source for Reader<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        let word = take_word(self.label, self.words, self.next)?;
        self.next += 1;
        Ok(word)
    }

    #[inline(always)]
    fn words(&mut self, into: &mut [u64]) -> Result<(), Malformed> {
        take_words(self.label, self.words, self.next, into)?;
        self.next += into.len();
        Ok(())
    }

    #[inline(always)]
    fn capability(&mut self) -> Result<Handle, Malformed> {
        self.attached.handle().ok_or(Malformed)
    }

    #[inline(always)]
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        let attached = &mut *self.attached;
        if attached.next_lease == attached.lease_count {
            return Err(Malformed);
        }
        let index = usize::from(attached.next_lease);
        attached.next_lease += 1;
        let lease = attached.leases.get(index).ok_or(Malformed)?;
        Ok((index, *lease))
    }
}
