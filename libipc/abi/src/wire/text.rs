//! Bytes and texts in messages, up to a length that their type gives.
#![allow(
    unsafe_code,
    reason = "what is not in use is not written, and a text not checked each time it is read"
)]

use super::{Malformed, Sink, Source, Wire};
use core::{fmt, mem::MaybeUninit};

/// Up to `N` bytes: a length, then the bytes, eight to a word.
#[derive(Clone, Copy)]
pub struct Bytes<const N: usize> {
    length: usize,
    /// The first `length` are initialised. All of them would have to be written
    /// whenever a short text is taken out of a message.
    bytes: [MaybeUninit<u8>; N],
}

impl<const N: usize> Bytes<N> {
    const EMPTY: Self = Bytes {
        length: 0,
        bytes: [MaybeUninit::uninit(); N],
    };

    /// Copies `bytes`; `None` if they are more than `N`.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut copy = Self::EMPTY;
        copy.bytes
            .get_mut(..bytes.len())?
            .write_copy_of_slice(bytes);
        copy.length = bytes.len();
        Some(copy)
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        let bytes = &self.bytes[..self.length];
        // SAFETY: `new` and `fill`, which set the length, have written so many.
        unsafe { bytes.assume_init_ref() }
    }

    /// Takes them where they are, as they may be too many to be moved around. Returns
    /// all words that they came in, one over the other: bytes that are ASCII leave the
    /// high bit of each byte unset.
    #[inline(always)]
    fn fill(&mut self, source: &mut impl Source) -> Result<u64, Malformed> {
        let length = usize::take(source)?;
        if length > N {
            return Err(Malformed);
        }
        let mut seen = 0;
        for start in (0..length).step_by(8) {
            let word = source.word()?;
            seen |= word;
            let bytes = word.to_le_bytes();
            // Whole words wherever there is room for them.
            match self.bytes[start..].first_chunk_mut::<8>() {
                Some(room) => *room = bytes.map(MaybeUninit::new),
                None => {
                    let room = self.bytes[start..].iter_mut();
                    room.zip(bytes)
                        .for_each(|(place, byte)| _ = place.write(byte));
                }
            }
        }
        self.length = length;
        Ok(seen)
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bytes").field(&self.as_slice()).finish()
    }
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> PartialEq for Bytes<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const N: usize> Eq for Bytes<N> {}

impl<const N: usize> Wire for Bytes<N> {
    const WORDS: usize = 1 + N.div_ceil(8);
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        sink.word(self.length as u64);
        let (words, rest) = self.as_slice().as_chunks();
        for word in words {
            sink.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last = rest.iter().rev();
            sink.word(last.fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        let mut taken = Bytes::default();
        taken.fill(source)?;
        Ok(taken)
    }
}

/// Up to `N` bytes of UTF-8.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Text<const N: usize>(Bytes<N>);

impl<const N: usize> Text<N> {
    /// Copies `text`; `None` if it is longer than `N` bytes.
    pub fn new(text: &str) -> Option<Self> {
        Bytes::new(text.as_bytes()).map(Text)
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: `new` was given UTF-8, and `take` has checked it.
        unsafe { core::str::from_utf8_unchecked(self.0.as_slice()) }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Wire for Text<N> {
    const WORDS: usize = Bytes::<N>::WORDS;
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        self.0.put(sink);
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        /// The high bit of each byte of a word: unset in ASCII, which most texts are.
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let mut taken = Text::default();
        let seen = taken.0.fill(source)?;
        if seen & HIGH != 0 {
            core::str::from_utf8(taken.0.as_slice()).map_err(|_| Malformed)?;
        }
        Ok(taken)
    }
}
