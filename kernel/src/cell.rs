//! Fields of kernel objects.
//!
//! An object is shared by reference, so its fields are atomics. They are read
//! and written relaxed: that is done inside the kernel, where one core is at a
//! time, and the kernel's lock is what orders it ([`crate::entry`]).

use crate::Entered;
use core::{
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed},
};

/// What a [`Word`] can hold.
pub trait Bits: Copy {
    /// The value as a word.
    fn to_bits(self) -> u64;
    /// The value of a word that `to_bits` made.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! bits {
    ($($type:ty),*) => {$(
        impl Bits for $type {
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> Self {
                bits as $type
            }
        }
    )*};
}

bits!(u8, u16, u32, u64, usize);

impl Bits for bool {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

/// A small value inside a kernel object.
#[derive(Debug)]
pub struct Word<T>(AtomicU64, PhantomData<T>);

impl<T: Bits> Word<T> {
    /// A field with this value.
    pub fn new(value: T) -> Self {
        Word(AtomicU64::new(value.to_bits()), PhantomData)
    }

    /// A field whose bits are zero, for statics.
    pub const fn zeroed() -> Self {
        Word(AtomicU64::new(0), PhantomData)
    }

    /// The value.
    pub fn get(&self) -> T {
        T::from_bits(self.bits())
    }

    /// Replaces the value.
    pub fn set(&self, value: T) {
        self.set_bits(value.to_bits());
    }

    /// The value as a word.
    #[inline(always)]
    pub fn bits(&self) -> u64 {
        #[cfg(test)]
        touched::note(&self.0, false);
        self.0.load(Relaxed)
    }

    /// Replaces the value by one whose word this is.
    #[inline(always)]
    pub fn set_bits(&self, bits: u64) {
        #[cfg(test)]
        touched::note(&self.0, true);
        self.0.store(bits, Relaxed);
    }

    /// Replaces the value and returns what was there.
    pub fn replace(&self, value: T) -> T {
        let old = self.get();
        self.set(value);
        old
    }
}

impl Word<u64> {
    /// Adds, wrapping, and returns the new value.
    pub fn add(&self, more: u64) -> u64 {
        let sum = self.get().wrapping_add(more);
        self.set(sum);
        sum
    }

    /// Takes away, wrapping, and returns the new value.
    pub fn take(&self, less: u64) -> u64 {
        self.add(less.wrapping_neg())
    }
}

impl<T: Bits + Default> Default for Word<T> {
    fn default() -> Self {
        Word::new(T::default())
    }
}

/// A reference from one kernel object to another, or none.
///
/// Two rules make following it sound: an object's memory is given back only
/// when every core has left the kernel once since the object was retired, and
/// whoever retires an object first clears every link to it. Links therefore
/// lead to live objects, and what was read from one stays valid for as long as
/// this core is inside the kernel.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    /// No object.
    pub const fn none() -> Self {
        Link(AtomicPtr::new(ptr::null_mut()))
    }

    /// The object.
    pub fn get<'k>(&self, _: Entered<'k>) -> Option<&'k T> {
        #[cfg(test)]
        touched::note(&self.0, false);
        let pointer = self.0.load(Relaxed);
        // SAFETY: the pointer is null or was made from a reference by `set`, and
        // the two rules above keep it valid while this core is in the kernel.
        #[allow(unsafe_code, reason = "links between objects, see the type")]
        unsafe {
            pointer.as_ref()
        }
    }

    /// Leads to `target` from now on.
    pub fn set(&self, target: Option<&T>) {
        let pointer = target.map_or(ptr::null_mut(), |object| ptr::from_ref(object).cast_mut());
        #[cfg(test)]
        touched::note(&self.0, true);
        self.0.store(pointer, Relaxed);
    }

    /// Leads to where `other` does from now on.
    pub fn copy(&self, other: &Link<T>) {
        #[cfg(test)]
        {
            touched::note(&other.0, false);
            touched::note(&self.0, true);
        }
        self.0.store(other.0.load(Relaxed), Relaxed);
    }

    /// Clears the link and returns where it led.
    pub fn take<'k>(&self, k: Entered<'k>) -> Option<&'k T> {
        let target = self.get(k);
        self.set(None);
        target
    }

    /// Whether the link leads to `object`.
    pub fn is(&self, object: &T) -> bool {
        ptr::eq(self.0.load(Relaxed), object)
    }

    /// Whether the link leads nowhere.
    pub fn is_none(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }
}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Self::none()
    }
}

/// Which cache lines a test reads and writes through [`Word`]s and [`Link`]s.
#[cfg(test)]
pub(crate) mod touched {
    use std::{cell::RefCell, collections::BTreeSet, thread_local};

    /// Bytes of a cache line.
    const LINE: usize = 64;

    /// Numbers of lines.
    #[derive(Default)]
    pub(crate) struct Lines {
        pub(crate) read: BTreeSet<usize>,
        pub(crate) written: BTreeSet<usize>,
    }

    thread_local! {
        static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
    }

    pub(super) fn note<T>(place: &T, written: bool) {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                let line = core::ptr::from_ref(place).addr() / LINE;
                match written {
                    true => lines.written.insert(line),
                    false => lines.read.insert(line),
                };
            }
        });
    }

    /// The lines that `what` touches.
    pub(crate) fn by(what: impl FnOnce()) -> Lines {
        LINES.set(Some(Lines::default()));
        what();
        LINES.take().expect("it was set")
    }
}
