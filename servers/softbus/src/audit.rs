//! Who used what of this device, and when: the latest uses, which outlive the bus.
//!
//! Uses that are close together are one. The file is written when there is something new,
//! but only so often: what was used since may be missing after a crash
//! ([`EVERY`](crate::kept::EVERY)).

use crate::kept::{self, Pace};
use alloc::{collections::VecDeque, vec::Vec};
use libipc::{Text, interfaces::bus::Used};
use tessera_softbus_protocol::{
    Millis,
    bytes::{Malformed, Reader},
    limits::NAME,
};

/// Uses that are remembered; older ones go.
pub const USES: usize = 256;

/// Uses of one service by one device that are this close are one.
const TOGETHER: Millis = 60_000;

/// What the file says of itself.
const KIND: u8 = 3;

/// The record.
#[derive(Debug, Default)]
pub struct Audit {
    /// The latest use last.
    uses: VecDeque<Use>,
    /// When it is written.
    pub(crate) pace: Pace,
}

#[derive(Debug)]
struct Use {
    used: Used,
    /// Until when another call belongs to it; of an earlier run none does.
    until: Option<Millis>,
}

impl Audit {
    /// Reads what was kept; nothing was if there are no bytes. [`Malformed`] if it is not
    /// what was written.
    pub fn read(bytes: &[u8]) -> Result<Audit, Malformed> {
        let mut audit = Audit::default();
        if bytes.is_empty() {
            return Ok(audit);
        }
        let mut reader = kept::open(KIND, bytes)?;
        let count = usize::from(reader.u16()?);
        if count > USES {
            return Err(Malformed);
        }
        for _ in 0..count {
            let used = Used {
                device: reader.u64()?,
                name: name(&mut reader)?,
                service: name(&mut reader)?,
                time: reader.u64()?,
                calls: reader.u64()?,
            };
            audit.uses.push_back(Use { used, until: None });
        }
        reader.end()?;
        Ok(audit)
    }

    /// What is to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = kept::begin(KIND);
        writer.u16(self.uses.len() as u16);
        for Use { used, .. } in &self.uses {
            writer.u64(used.device);
            writer.text(used.name.as_str(), NAME);
            writer.text(used.service.as_str(), NAME);
            writer.u64(used.time).u64(used.calls);
        }
        kept::seal(writer)
    }

    /// A device makes another call of a service, if it has used it just now.
    pub fn again(&mut self, device: u64, service: &str, now: Millis) -> bool {
        let same = self.uses.iter_mut().rev().find(|one| {
            let used = &one.used;
            let is_same = used.device == device && used.service.as_str() == service;
            is_same && one.until.is_some_and(|until| now < until)
        });
        let Some(same) = same else { return false };
        same.used.calls = same.used.calls.saturating_add(1);
        same.until = Some(now + TOGETHER);
        self.pace.changed();
        true
    }

    /// A use begins.
    pub fn note(&mut self, used: Used, now: Millis) {
        if self.uses.len() == USES {
            self.uses.pop_front();
        }
        let until = Some(now + TOGETHER);
        self.uses.push_back(Use { used, until });
        self.pace.changed();
    }

    /// One of them, the latest first.
    pub fn get(&self, index: u64) -> Option<Used> {
        let index = usize::try_from(index).ok()?;
        self.uses.iter().rev().nth(index).map(|one| one.used)
    }
}

fn name<const N: usize>(reader: &mut Reader<'_>) -> Result<Text<N>, Malformed> {
    Text::new(&reader.text(N)?).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tessera_softbus_keys::interface::RECORD;

    fn used(device: u64, service: &str) -> Used {
        Used {
            device,
            name: Text::new("kitchen").unwrap(),
            service: Text::new(service).unwrap(),
            time: 1_700_000_000,
            calls: 1,
        }
    }

    fn all(audit: &Audit) -> Vec<Used> {
        (0..).map_while(|index| audit.get(index)).collect()
    }

    #[test]
    fn uses_that_are_close_are_one() {
        let mut audit = Audit::default();
        assert!(!audit.again(1, "lamp", 0));
        audit.note(used(1, "lamp"), 0);
        assert!(audit.again(1, "lamp", TOGETHER - 1));
        assert!(!audit.again(2, "lamp", TOGETHER - 1));
        assert!(!audit.again(1, "door", TOGETHER - 1));
        assert!(!audit.again(1, "lamp", 2 * TOGETHER));
        assert_eq!(audit.get(0).map(|used| used.calls), Some(2));
        // Nothing is added to what an earlier run has noted.
        let mut audit = Audit::read(&audit.to_bytes()).unwrap();
        assert!(!audit.again(1, "lamp", TOGETHER - 1));
        assert_eq!(audit.get(0).map(|used| used.calls), Some(2));
    }

    #[test]
    fn it_is_bounded_and_fits_where_it_is_kept() {
        let mut audit = Audit::default();
        let long = "x".repeat(NAME);
        for device in 0..USES as u64 + 3 {
            let mut used = used(device, &long);
            used.name = used.service;
            audit.note(used, 0);
        }
        let uses = all(&audit);
        assert_eq!(uses.len(), USES);
        assert_eq!(uses[USES - 1].device, 3);
        let bytes = audit.to_bytes();
        assert!(bytes.len() <= RECORD);
        assert_eq!(all(&Audit::read(&bytes).unwrap()), uses);
        let mut file = kept::begin(KIND);
        file.u16(USES as u16 + 1);
        for _ in 0..=USES {
            file.u64(1).text("a", NAME).text("b", NAME).u64(0).u64(1);
        }
        let read = Audit::read(&kept::seal(file));
        assert_eq!(read.err(), Some(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = kept::begin(KIND);
            file.bytes(&bytes);
            let _ = Audit::read(&bytes);
            let _ = Audit::read(&kept::seal(file));
        }
    }
}
