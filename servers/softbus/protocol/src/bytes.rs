//! Reading and writing of bounded fields, little endian.

use alloc::{string::String, vec::Vec};

/// Bytes that mean nothing: too short, too long or out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Takes fields from the front; whatever is not there is [`Malformed`].
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next bytes, as many as the array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length of two bytes, at most `most`, and so many bytes.
    pub fn counted(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let count = usize::from(self.u16()?);
        if count > most {
            return Err(Malformed);
        }
        self.bytes(count)
    }

    /// A length of one byte, at most `most`, and so many bytes of printable UTF-8.
    pub fn text(&mut self, most: usize) -> Result<String, Malformed> {
        let count = usize::from(self.u8()?);
        if count > most {
            return Err(Malformed);
        }
        let text = core::str::from_utf8(self.bytes(count)?).map_err(|_| Malformed)?;
        if text.chars().any(char::is_control) {
            return Err(Malformed);
        }
        Ok(text.into())
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Appends fields.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// An empty one with room for so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Writer(Vec::with_capacity(bytes))
    }

    /// These bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Length in two bytes, and the bytes; what is too long is cut.
    pub fn counted(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
        self.u16(bytes.len() as u16).bytes(bytes)
    }

    /// Length in one byte, and the text; what is too long is cut between characters.
    pub fn text(&mut self, text: &str, most: usize) -> &mut Self {
        let text = cut(text, most.min(255));
        self.u8(text.len() as u8).bytes(text.as_bytes())
    }
}

/// The text's beginning of at most so many bytes, whole characters only.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
