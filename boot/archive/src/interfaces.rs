//! Names of interfaces and their operations by hash, for those who show labels.
//!
//! A line of text each, so that people can read it too:
//! `HASH Interface NUMBER:operation NUMBER:operation ...`, the hash in
//! hexadecimal.

/// Name of the entry.
pub const INTERFACES: &str = "interfaces";

/// The table of interfaces, which may be any text: a line that is none of a
/// table's finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Interfaces<'a> {
    text: &'a str,
}

impl<'a> Interfaces<'a> {
    /// Reads the data of an entry.
    pub fn new(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            text: core::str::from_utf8(data).ok()?,
        })
    }

    /// The name of the interface with that hash.
    pub fn interface(&self, hash: u32) -> Option<&'a str> {
        self.words(hash)?.next()
    }

    /// The name of its operation with that number.
    pub fn operation(&self, hash: u32, number: u8) -> Option<&'a str> {
        self.words(hash)?.skip(1).find_map(|word| {
            let (found, name) = word.split_once(':')?;
            (found.parse() == Ok(number)).then_some(name)
        })
    }

    /// What follows the hash in its line.
    fn words(&self, hash: u32) -> Option<core::str::SplitAsciiWhitespace<'a>> {
        self.text.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (u32::from_str_radix(words.next()?, 16) == Ok(hash)).then_some(words)
        })
    }
}
