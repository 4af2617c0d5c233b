//! How arguments become words.
//!
//! A message is a sequence of words, the first eight in registers, the others
//! in the buffer's bytes, with capabilities and leases beside it. An argument
//! puts itself at the end of a [`Sink`] and is taken, and checked, from the
//! front of a [`Source`]; positions of fixed-size arguments are constants, so
//! that a compiler turns both into plain moves.

mod text;

pub use text::{Bytes, Text};

use crate::{buffer::LeaseDescriptor, handle::Handle, status::Cause};

/// The message is not what the operation expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl From<Malformed> for Cause {
    fn from(_: Malformed) -> Cause {
        Cause::Malformed
    }
}

/// A message being written.
pub trait Sink {
    /// Whether there is room for so many capabilities, for a sink that knows.
    #[inline(always)]
    fn takes(&self, _capabilities: u8) -> bool {
        true
    }
    /// Appends a word. Words past the message's room are an error that the
    /// sink reports at the end.
    fn word(&mut self, word: u64);
    /// Appends words, as one by one.
    #[inline(always)]
    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|word| self.word(*word));
    }
    /// Appends a capability, to be copied or moved.
    fn capability(&mut self, handle: Handle, copy: bool);
    /// Appends a lease.
    fn lease(&mut self, lease: LeaseDescriptor);
}

/// A message being read.
pub trait Source {
    /// Takes the next word.
    fn word(&mut self) -> Result<u64, Malformed>;
    /// Takes the next words, as one by one.
    #[inline(always)]
    fn words(&mut self, into: &mut [u64]) -> Result<(), Malformed> {
        for word in into {
            *word = self.word()?;
        }
        Ok(())
    }
    /// Takes the next capability.
    fn capability(&mut self) -> Result<Handle, Malformed>;
    /// Takes the next lease: its index in the message, and what it allows.
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed>;
}

/// Bounded plain data that can be an argument or a result.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a message",
    label = "neither bounded plain data, a lease nor a typed capability",
    note = "use integers, `bool`, arrays, `Text<N>`, `Bytes<N>` or a struct with `#[derive(Wire)]`"
)]
pub trait Wire: Sized {
    /// Most words that a value takes.
    const WORDS: usize;
    /// Capabilities that a value takes.
    const CAPABILITIES: usize = 0;

    /// Appends the value.
    fn put(self, sink: &mut impl Sink);
    /// Takes a value and checks it.
    fn take(source: &mut impl Source) -> Result<Self, Malformed>;

    /// Appends values, as one by one.
    #[inline(always)]
    fn put_all<const N: usize>(values: [Self; N], sink: &mut impl Sink) {
        for value in values {
            value.put(sink);
        }
    }
    /// Takes values, as one by one.
    #[inline]
    fn take_all<const N: usize>(source: &mut impl Source) -> Result<[Self; N], Malformed> {
        // `array::try_from_fn` is not stable: collect options, then check.
        let values: [Option<Self>; N] = core::array::from_fn(|_| Self::take(source).ok());
        if values.iter().any(Option::is_none) {
            return Err(Malformed);
        }
        Ok(values.map(|value| match value {
            Some(value) => value,
            None => unreachable!("checked above"),
        }))
    }
}

/// The error type of an interface: a small numbered enum.
pub trait ErrorCode: Copy {
    /// Its number on the wire.
    fn to_code(self) -> u64;
    /// The error with this number.
    fn from_code(code: u64) -> Option<Self>;
}

impl Wire for () {
    const WORDS: usize = 0;
    fn put(self, _: &mut impl Sink) {}
    fn take(_: &mut impl Source) -> Result<Self, Malformed> {
        Ok(())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            const WORDS: usize = 1;
            #[inline(always)]
            fn put(self, sink: &mut impl Sink) {
                sink.word(self as u64);
            }
            #[inline(always)]
            fn take(source: &mut impl Source) -> Result<Self, Malformed> {
                let word = source.word()?;
                let value = word as $type;
                // Signed values are sign-extended, so this holds for them too.
                if value as u64 == word { Ok(value) } else { Err(Malformed) }
            }
            #[inline(always)]
            fn put_all<const N: usize>(values: [Self; N], sink: &mut impl Sink) {
                sink.words(&values.map(|value| value as u64));
            }
            #[inline(always)]
            fn take_all<const N: usize>(source: &mut impl Source) -> Result<[Self; N], Malformed> {
                let mut words = [0; N];
                source.words(&mut words)?;
                let values = words.map(|word| word as $type);
                // Each word is a value of a type as wide as it is.
                let wide = size_of::<$type>() == size_of::<u64>();
                let mut pairs = words.iter().zip(&values);
                if wide || pairs.all(|(word, value)| *value as u64 == *word) {
                    Ok(values)
                } else {
                    Err(Malformed)
                }
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl Wire for bool {
    const WORDS: usize = 1;
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        sink.word(self as u64);
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        match source.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    const WORDS: usize = N * T::WORDS;
    const CAPABILITIES: usize = N * T::CAPABILITIES;
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        T::put_all(self, sink);
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        T::take_all(source)
    }
}

/// Whether there is a value, then the value.
impl<T: Wire> Wire for Option<T> {
    const WORDS: usize = 1 + T::WORDS;
    const CAPABILITIES: usize = T::CAPABILITIES;
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        self.is_some().put(sink);
        if let Some(value) = self {
            value.put(sink);
        }
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        let is_some = bool::take(source)?;
        is_some.then(|| T::take(source)).transpose()
    }
}

macro_rules! tuples {
    ($(($($name:ident),+)),*) => {$(
        impl<$($name: Wire),+> Wire for ($($name,)+) {
            const WORDS: usize = 0 $(+ $name::WORDS)+;
            const CAPABILITIES: usize = 0 $(+ $name::CAPABILITIES)+;
            fn put(self, sink: &mut impl Sink) {
                #[allow(non_snake_case, reason = "one variable per type parameter")]
                let ($($name,)+) = self;
                $($name.put(sink);)+
            }
            fn take(source: &mut impl Source) -> Result<Self, Malformed> {
                Ok(($($name::take(source)?,)+))
            }
        }
    )*};
}

tuples!((A, B), (A, B, C), (A, B, C, D));

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{collections::VecDeque, string::String};

    #[derive(Default)]
    struct Queue(VecDeque<u64>);

    impl Sink for Queue {
        fn word(&mut self, word: u64) {
            self.0.push_back(word);
        }
        fn capability(&mut self, _: Handle, _: bool) {}
        fn lease(&mut self, _: LeaseDescriptor) {}
    }

    impl Source for Queue {
        fn word(&mut self) -> Result<u64, Malformed> {
            self.0.pop_front().ok_or(Malformed)
        }
        fn capability(&mut self) -> Result<Handle, Malformed> {
            Err(Malformed)
        }
        fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
            Err(Malformed)
        }
    }

    fn round_trip<T: Wire + Copy + PartialEq + core::fmt::Debug>(value: T) {
        let mut queue = Queue::default();
        value.put(&mut queue);
        assert!(queue.0.len() <= T::WORDS);
        assert_eq!(T::take(&mut queue), Ok(value));
        assert!(queue.0.is_empty());
    }

    #[test]
    fn values_survive() {
        round_trip(0x1234_u16);
        round_trip(-1_i32);
        round_trip(i64::MIN);
        round_trip(true);
        round_trip([1_u8, 2, 3]);
        round_trip((1_u8, -2_i64, false));
        round_trip((Some(7_u16), None::<u64>));
        round_trip(Text::<20>::new("grüße, tessera").unwrap());
        round_trip(Bytes::<9>::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap());
        round_trip(Bytes::<9>::default());
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!(u8::take(&mut Queue([256].into())), Err(Malformed));
        assert_eq!(i8::take(&mut Queue([128].into())), Err(Malformed));
        assert_eq!(bool::take(&mut Queue([2].into())), Err(Malformed));
        assert_eq!(
            Bytes::<8>::take(&mut Queue([9, 0, 0].into())),
            Err(Malformed)
        );
        assert_eq!(
            Text::<8>::take(&mut Queue([1, 0xff].into())),
            Err(Malformed)
        );
        assert_eq!(
            <Option<u64> as Wire>::take(&mut Queue([2, 0].into())),
            Err(Malformed)
        );
        assert_eq!(
            <Option<u64> as Wire>::take(&mut Queue([1].into())),
            Err(Malformed)
        );
        assert_eq!(<[u64; 2]>::take(&mut Queue([1].into())), Err(Malformed));
        assert!(Text::<3>::new(&String::from("four")).is_none());
    }
}
