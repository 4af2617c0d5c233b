//! Virtio devices on the memory bus (Virtio 1.2, 4.2). The device tree tells where
//! there may be one, its registers whether there is.

use super::{Found, tree};
use alloc::vec::Vec;
use libipc::{handle::Rights, memory::Mapping, objects::SystemClient};
use tessera_page::Virtio;

/// What the tree calls a place for one.
const COMPATIBLE: &str = "virtio,mmio";

/// Registers, and what stands in the first ones.
const MAGIC: (usize, u32) = (0x00, 0x7472_6976);
const VERSION: (usize, u32) = (0x04, 2);
const DEVICE: usize = 0x08;
const STATUS: usize = 0x70;

/// How often a device that was reset is asked whether it has done so.
const PATIENCE: usize = 1 << 20;

/// The number of a type of device (5).
fn number(kind: Virtio) -> u32 {
    match kind {
        Virtio::Block => 2,
        Virtio::Entropy => 4,
    }
}

/// The device of this type that has so many of its type before it, by address. One
/// that shares a page with another device is none: whoever had its registers would
/// have the other's.
pub(super) fn find<'t>(
    system: &SystemClient,
    tree: &'t [u8],
    kind: Virtio,
    index: u8,
) -> Option<Found<'t>> {
    let mut present: Vec<(Found<'t>, u32)> = tree::all(tree, &[COMPATIBLE])
        .filter_map(|found| Some((found, device_at(system, &found)?)))
        .collect();
    present.sort_by_key(|(found, _)| found.address);
    choose(&present, number(kind), index)
}

fn choose<'t>(present: &[(Found<'t>, u32)], kind: u32, index: u8) -> Option<Found<'t>> {
    let alone = |one: &Found<'_>| {
        let same = present
            .iter()
            .filter(|(other, _)| other.pages() == one.pages());
        same.count() == 1
    };
    let of_kind = present.iter().filter(|(_, device)| *device == kind);
    let (found, _) = of_kind
        .filter(|(found, _)| alone(found))
        .nth(index.into())?;
    Some(*found)
}

/// The type of the device in a place, if there is one.
fn device_at(system: &SystemClient, found: &Found<'_>) -> Option<u32> {
    let (address, pages) = found.pages();
    let memory = system.device_memory(address, pages).ok()?;
    let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE).ok()?;
    let read = |register: usize| mapping.read::<u32>(found.offset() as usize + register);
    let known = read(MAGIC.0)? == MAGIC.1 && read(VERSION.0)? == VERSION.1;
    // A place where nothing is has the number 0.
    read(DEVICE).filter(|&device| known && device != 0)
}

/// Resets a device: when this is `Some` it reads and writes no memory any more.
pub(super) fn reset(registers: &Mapping, offset: usize) -> Option<()> {
    registers.write(offset + STATUS, 0_u32)?;
    let mut asked = (0..PATIENCE).map(|_| registers.read::<u32>(offset + STATUS));
    asked.find(|status| *status == Some(0)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: u64) -> Found<'static> {
        Found {
            compatible: COMPATIBLE,
            address,
            length: 0x200,
            line: None,
        }
    }

    #[test]
    fn devices_are_counted_by_type_and_have_pages_of_their_own() {
        let present = [
            (found(0x1000), 2),
            (found(0x2000), 4),
            (found(0x3000), 2),
            (found(0x3200), 2),
            (found(0x4e00), 2),
        ];
        assert_eq!(choose(&present, 2, 0), Some(found(0x1000)));
        assert_eq!(choose(&present, 2, 1), Some(found(0x4e00)));
        assert_eq!(choose(&present, 2, 2), None);
        assert_eq!(choose(&present, 4, 0), Some(found(0x2000)));
        assert_eq!(choose(&present, 1, 0), None);
    }

    #[test]
    fn a_device_is_reset_when_it_says_so() {
        let memory = libipc::task().create_memory(1).unwrap();
        let registers = Mapping::new(&memory, Rights::READ | Rights::WRITE).unwrap();
        registers.write(0x200 + STATUS, 15_u32).unwrap();
        assert_eq!(reset(&registers, 0x200), Some(()));
        assert_eq!(registers.read::<u32>(0x200 + STATUS), Some(0));
        // One whose registers are not there never is.
        assert_eq!(reset(&registers, 0x1000), None);
    }
}
