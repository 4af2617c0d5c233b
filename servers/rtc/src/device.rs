//! Registers of the two clocks that QEMU's machines have.

use libipc::memory::Mapping;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// PL031's count of seconds (ARM DDI 0224, 3.3.1).
const DATA: usize = 0;
/// Goldfish's low half, which latches the high one, in nanoseconds.
const LOW: usize = 0;
const HIGH: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pl031,
    Goldfish,
}

/// A real-time clock.
#[derive(Debug)]
pub struct Rtc {
    mapping: Mapping,
    offset: usize,
    kind: Kind,
}

impl Rtc {
    /// The device with this `compatible` string, whose registers begin at `offset`.
    /// `None` if there is no driver for it, or they do not lie in the mapping.
    pub fn new(compatible: &str, mapping: Mapping, offset: u64) -> Option<Rtc> {
        let kind = match compatible {
            "arm,pl031" => Kind::Pl031,
            "google,goldfish-rtc" => Kind::Goldfish,
            _ => return None,
        };
        let offset = usize::try_from(offset).ok()?;
        // Both are there, or neither is.
        mapping.read::<u32>(offset.checked_add(HIGH)?)?;
        Some(Rtc {
            mapping,
            offset,
            kind,
        })
    }

    /// Nanoseconds since 1970, as the device counts them.
    pub fn nanoseconds(&self) -> u64 {
        let read = |register: usize| {
            let value: Option<u32> = self.mapping.read(self.offset + register);
            u64::from(value.unwrap_or(0))
        };
        match self.kind {
            Kind::Pl031 => read(DATA) * SECOND,
            Kind::Goldfish => {
                let low = read(LOW);
                read(HIGH) << 32 | low
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libipc::handle::Rights;

    fn registers(words: [u32; 2]) -> Mapping {
        let memory = libipc::task().create_memory(1).unwrap();
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE).unwrap();
        mapping.write(16, words[0]).unwrap();
        mapping.write(20, words[1]).unwrap();
        mapping
    }

    #[test]
    fn each_counts_in_its_own_way() {
        let words = [0x6553_f100, 0x1793_5d2b];
        let rtc = Rtc::new("arm,pl031", registers(words), 16).unwrap();
        assert_eq!(rtc.nanoseconds(), 1_700_000_000 * SECOND);
        let rtc = Rtc::new("google,goldfish-rtc", registers(words), 16).unwrap();
        assert_eq!(rtc.nanoseconds(), 0x1793_5d2b_6553_f100);
    }

    #[test]
    fn other_devices_and_places_are_refused() {
        assert!(Rtc::new("arm,pl011", registers([0, 0]), 16).is_none());
        for offset in [4096, 4092, u64::MAX, 3] {
            assert!(Rtc::new("arm,pl031", registers([0, 0]), offset).is_none());
        }
    }
}
