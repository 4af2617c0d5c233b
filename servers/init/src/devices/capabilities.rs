//! Where the registers of a virtio device on PCI are (Virtio 1.2, 4.1.4): its
//! configuration has a list that says so.

use super::pci::{Bar, Space, register};
use libipc::interfaces::clients::VirtioPci;

/// Who makes virtio devices, and from which number on each type has its own. Those
/// that can also be used in the old way say their type elsewhere (4.1.2).
const VENDOR: u32 = 0x1af4;
const FIRST: u32 = 0x1040;
const OLD: core::ops::Range<u32> = 0x1000..FIRST;

/// The function has a list.
const HAS_LIST: u32 = 1 << 20;
/// Where entries can be.
const ENTRIES: core::ops::RangeInclusive<u32> = 0x40..=0xfc;
/// Entries of the vendor's own.
const OF_VENDOR: u32 = 0x09;

/// Parts of the registers (4.1.4).
const COMMON: usize = 1;
const NOTIFY: usize = 2;
const INTERRUPT: usize = 3;
const CONFIG: usize = 4;

/// Bytes of the first part up to the last register that is used, and of an address of
/// the second.
const COMMON_LENGTH: u64 = 0x38;
const NOTIFY_LENGTH: u64 = 2;

/// A part: its base address, where it begins there, its bytes, and what else is said.
#[derive(Clone, Copy, Default)]
struct Part {
    bar: u32,
    offset: u32,
    length: u32,
    more: u32,
}

/// Which base address leads to all registers of a virtio device, and where they are.
/// `None` if this is none, or not all of them lie there.
pub(super) fn virtio(
    space: &impl Space,
    function: u16,
    bars: &[Option<Bar>; 6],
) -> Option<(u8, VirtioPci)> {
    let (device, vendor) = halves(space.read(function, register::ID));
    let device = match device {
        _ if vendor != VENDOR => return None,
        old if OLD.contains(&old) => halves(space.read(function, register::SUBSYSTEM)).0,
        device => device.checked_sub(FIRST)?,
    };
    let parts = parts(space, function)?;
    let [Some(common), Some(notify), Some(interrupt)] =
        [parts[COMMON], parts[NOTIFY], parts[INTERRUPT]]
    else {
        return None;
    };
    // Not all devices have a configuration of their own.
    let config = parts[CONFIG].unwrap_or(Part {
        length: 0,
        ..common
    });
    let bar = (*bars.get(common.bar as usize)?)?;
    let lies = |part: Part, least: u64, align: u32| {
        let end = u64::from(part.offset) + u64::from(part.length);
        part.bar == common.bar
            && end <= bar.length
            && u64::from(part.length) >= least
            && part.offset.is_multiple_of(align)
    };
    let fits = lies(common, COMMON_LENGTH, 4)
        && lies(notify, NOTIFY_LENGTH, 2)
        && notify.more.is_multiple_of(2)
        && lies(interrupt, 1, 1)
        && lies(config, 0, 1);
    fits.then_some((
        common.bar as u8,
        VirtioPci {
            device,
            common: common.offset,
            notify: (notify.offset, notify.length),
            multiplier: notify.more,
            interrupt: interrupt.offset,
            config: (config.offset, config.length),
        },
    ))
}

/// The first of each part that the list names.
fn parts(space: &impl Space, function: u16) -> Option<[Option<Part>; 5]> {
    let mut parts = [None; 5];
    if space.read(function, register::COMMAND) & HAS_LIST == 0 {
        return None;
    }
    let mut entry = space.read(function, register::CAPABILITIES) & 0xfc;
    // A list that goes round has no more entries than there is room for.
    for _ in ENTRIES.step_by(4) {
        if !ENTRIES.contains(&entry) {
            break;
        }
        let word = |place: u32| space.read(function, (entry + place) as u16);
        let head = word(0);
        let (length, kind) = (head >> 16 & 0xff, head >> 24);
        let needed = if kind as usize == NOTIFY { 20 } else { 16 };
        let whole = entry + length <= 0x100 && length >= needed;
        let part = parts.get_mut(kind as usize).filter(|part| part.is_none());
        if let Some(part) = part.filter(|_| head & 0xff == OF_VENDOR && whole) {
            *part = Some(Part {
                bar: word(4) & 0xff,
                offset: word(8),
                length: word(12),
                more: if needed == 20 { word(16) } else { 0 },
            });
        }
        entry = head >> 8 & 0xfc;
    }
    Some(parts)
}

fn halves(word: u32) -> (u32, u32) {
    (word >> 16, word & 0xffff)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{super::pci::tests::Fake, *};

    const BARS: [Option<Bar>; 6] = [
        None,
        None,
        None,
        None,
        Some(Bar {
            address: 0x1000_0000,
            length: 0x4000,
        }),
        None,
    ];

    /// QEMU's, with one word of it another.
    fn device(change: Option<(u16, u32)>) -> Option<(u8, VirtioPci)> {
        let mut fake = Fake::default();
        fake.set(8, register::ID, 0x1042_1af4);
        fake.set(8, register::COMMAND, HAS_LIST);
        fake.set(8, register::CAPABILITIES, 0x98);
        fake.set(8, register::SUBSYSTEM, 0x0001_1af4);
        let mut entry = |place: u16, next: u32, length: u32, kind: u32, offset, size, more| {
            fake.set(8, place, kind << 24 | length << 16 | next << 8 | OF_VENDOR);
            fake.set(8, place + 4, 4);
            fake.set(8, place + 8, offset);
            fake.set(8, place + 12, size);
            if length == 20 {
                fake.set(8, place + 16, more);
            }
        };
        entry(0x98, 0x84, 16, 5, 0, 0, 0);
        entry(0x84, 0x70, 20, 2, 0x3000, 0x1000, 4);
        entry(0x70, 0x60, 16, 4, 0x2000, 0x1000, 0);
        entry(0x60, 0x50, 16, 3, 0x1000, 0x1000, 0);
        entry(0x50, 0x40, 16, 1, 0, 0x1000, 0);
        fake.set(8, 0x40, 0x11);
        if let Some((place, word)) = change {
            fake.set(8, place, word);
        }
        virtio(&fake, 8, &BARS)
    }

    #[test]
    fn the_list_tells_where_the_registers_are() {
        let expected = VirtioPci {
            device: 2,
            common: 0,
            notify: (0x3000, 0x1000),
            multiplier: 4,
            interrupt: 0x1000,
            config: (0x2000, 0x1000),
        };
        assert_eq!(device(None), Some((4, expected)));
        // One that can be used in the old way, too, is the network card 1 by its
        // subsystem, unless that says otherwise.
        let old = device(Some((register::ID, 0x1001_1af4)));
        assert_eq!(old.map(|(_, found)| found.device), Some(1));
        // One with no configuration.
        let none = device(Some((0x70, 0x0010_6009))).unwrap().1;
        assert_eq!(none.config.1, 0);
    }

    #[test]
    fn lists_that_lead_elsewhere_are_no_devices() {
        let bad = [
            (register::ID, 0x1042_1af5),
            (register::ID, 0x0fff_1af4),
            (register::COMMAND, 0),
            (register::CAPABILITIES, 0),
            (register::CAPABILITIES, 0x3c),
            // Round and round, before all was told.
            (0x84, 0x0214_8409),
            (0x70, 0x0410_9809),
            // Another base address, one that is none, one that is not there.
            (0x54, 0),
            (0x64, 5),
            (0x88, 6),
            (0x54, 255),
            // Past the end, round the end, or too short.
            (0x58, 0x3001),
            (0x8c, 0x3002),
            (0x8c, u32::MAX),
            (0x90, u32::MAX),
            (0x5c, 0x37),
            (0x90, 1),
            (0x6c, 0),
            // Not aligned.
            (0x58, 2),
            (0x8c, 0x2fff),
            (0x94, 3),
            // An entry that is too short for what it says.
            (0x84, 0x0210_7009),
            (0x60, 0x030f_5009),
        ];
        for (place, word) in bad {
            assert_eq!(device(Some((place, word))), None, "{place:#x} {word:#x}");
        }
    }
}
