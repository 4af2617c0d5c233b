//! The bytes of a compiled page: a magic number with the version, then postcard.

use alloc::vec::Vec;
use core::fmt;

use crate::Page;

/// Starts every compiled page; the last byte is the version.
const MAGIC: [u8; 8] = *b"TSRPAGE\x03";

/// Why some bytes are not a compiled page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// The bytes do not begin with the magic number.
    NoPage,
    /// The page was made for another version of this format.
    Version(u8),
    /// The page is cut short, has something behind its end, or a field no value fits.
    Malformed,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPage => write!(f, "this is no compiled system page"),
            Self::Version(version) => write!(
                f,
                "system page has format version {version}, this system reads {}",
                MAGIC[7]
            ),
            Self::Malformed => write!(f, "system page is damaged"),
        }
    }
}

impl core::error::Error for PageError {}

/// The bytes of `page`.
pub fn encode(page: &Page) -> Vec<u8> {
    let start = MAGIC.to_vec();
    // Only a type that cannot be measured or a sink that is full can fail, and
    // this has neither; an empty page would be refused by `decode`.
    postcard::to_extend(page, start).unwrap_or_default()
}

/// The page in `bytes`, which must hold nothing else.
pub fn decode(bytes: &[u8]) -> Result<Page, PageError> {
    let (magic, body) = bytes.split_first_chunk::<8>().ok_or(PageError::NoPage)?;
    if magic[..7] != MAGIC[..7] {
        return Err(PageError::NoPage);
    }
    if magic[7] != MAGIC[7] {
        return Err(PageError::Version(magic[7]));
    }
    match postcard::take_from_bytes(body) {
        Ok((page, [])) => Ok(page),
        _ => Err(PageError::Malformed),
    }
}
