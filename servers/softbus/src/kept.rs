//! What the bus keeps on the disk beside keys and trust: how such a file is sealed, so that
//! one that is damaged is not taken for another.
//!
//! A byte that says what it is, the contents, and a checksum of both. The file is replaced
//! as a whole (`tessera_softbus_keys::store`), so that after a crash it is the old one or
//! the new one; the checksum is for what else happens to disks.

use alloc::vec::Vec;
use crc::{CRC_32_ISCSI, Crc};
use tessera_softbus_protocol::{
    Millis,
    bytes::{Malformed, Reader, Writer},
};

const CHECK: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bytes of a checksum.
const SUM: usize = 4;

/// Between two times at which a file is written that may wait.
pub const EVERY: Millis = 10_000;

/// The same for a disk that takes nothing, in the end.
const SLOWEST: Millis = 640_000;

/// When a file is written.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    is_new: bool,
    due: Millis,
    wait: Millis,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            is_new: false,
            due: 0,
            wait: EVERY,
        }
    }
}

impl Pace {
    /// There is something that the disk does not have.
    pub fn changed(&mut self) {
        self.is_new = true;
    }

    /// Whether it is to be written now.
    pub fn is_due(&self, now: Millis) -> bool {
        self.is_new && now >= self.due
    }

    /// It was written, or the disk did not take it: then it is tried again, less and less
    /// often.
    pub fn written(&mut self, is_kept: bool, now: Millis) {
        self.is_new = !is_kept;
        self.wait = match is_kept {
            true => EVERY,
            false => SLOWEST.min(2 * self.wait),
        };
        self.due = now + self.wait;
    }
}

/// A file to be written: what it is comes first.
pub fn begin(kind: u8) -> Writer {
    let mut writer = Writer::default();
    writer.u8(kind);
    writer
}

/// The file's bytes.
pub fn seal(mut writer: Writer) -> Vec<u8> {
    let sum = CHECK.checksum(&writer.0);
    writer.u32(sum);
    writer.0
}

/// The contents of a file of this kind. [`Malformed`] if it is none.
pub fn open(kind: u8, bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let (contents, sum) = bytes.split_last_chunk::<SUM>().ok_or(Malformed)?;
    if CHECK.checksum(contents) != u32::from_le_bytes(*sum) {
        return Err(Malformed);
    }
    let mut reader = Reader::new(contents);
    match reader.u8()? == kind {
        true => Ok(reader),
        false => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_when_it_changes_and_only_so_often() {
        let mut pace = Pace::default();
        assert!(!pace.is_due(5));
        pace.changed();
        assert!(pace.is_due(5));
        pace.written(true, 5);
        assert!(!pace.is_due(5 + EVERY));
        pace.changed();
        assert!(!pace.is_due(4 + EVERY) && pace.is_due(5 + EVERY));
        // A disk that takes nothing is left alone longer and longer.
        let (mut now, mut waits) = (5 + EVERY, Vec::new());
        for _ in 0..8 {
            pace.written(false, now);
            let wait = (0..).step_by(1000).find(|wait| pace.is_due(now + wait));
            waits.extend(wait);
            now += SLOWEST;
        }
        assert_eq!(waits[..2], [2 * EVERY, 4 * EVERY]);
        assert_eq!(waits[6..], [SLOWEST, SLOWEST]);
        pace.written(true, now);
        pace.changed();
        assert!(pace.is_due(now + EVERY));
    }
}
