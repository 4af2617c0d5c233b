//! Virtio devices. Those on PCI were found there; for the memory bus (Virtio 1.2, 4.2)
//! the device tree tells where there may be one, its registers whether there is.

use super::{
    Found, NoDevice,
    pci::{Bus, Function},
    tree,
};
use alloc::vec::Vec;
use libipc::{
    handle::Rights, interfaces::clients::VirtioPci, memory::Mapping, objects::SystemClient,
};
use tessera_page::Virtio;

/// What the tree calls a place for one.
const COMPATIBLE: &str = "virtio,mmio";

/// Registers, and what stands in the first ones.
const MAGIC: (usize, u32) = (0x00, 0x7472_6976);
const VERSION: (usize, u32) = (0x04, 2);
const DEVICE: usize = 0x08;

/// The number of a type of device (5).
fn number(kind: Virtio) -> u32 {
    match kind {
        Virtio::Net => 1,
        Virtio::Console => 3,
        Virtio::Block => 2,
        Virtio::Entropy => 4,
    }
}

/// The device of this type that has so many of its type before it: on PCI by function,
/// then on the memory bus by address. One there that shares a page with another device
/// is none: whoever had its registers would have the other's.
pub(super) fn find<'t>(
    system: &SystemClient,
    tree: &'t [u8],
    bus: Option<&Bus>,
    kind: Virtio,
    index: u8,
) -> Result<Found<'t>, NoDevice> {
    let functions = bus.map_or(&[][..], |bus| &bus.functions);
    let on_pci = functions.iter().filter_map(|one| on_pci(one, number(kind)));
    let mut present: Vec<(Found<'t>, u32)> = tree::all(tree, &[COMPATIBLE])
        .filter_map(|found| Some((found, device_at(system, &found)?)))
        .collect();
    present.sort_by_key(|(found, _)| found.address);
    choose(on_pci, &present, number(kind), index)
}

/// A function of PCI that is a virtio device of this type.
fn on_pci(function: &Function, kind: u32) -> Option<Found<'static>> {
    let (bar, virtio) = function
        .virtio
        .filter(|(_, virtio)| virtio.device == kind)?;
    let registers = function.bars[usize::from(bar)]?;
    Some(Found {
        compatible: VirtioPci::COMPATIBLE,
        address: registers.address,
        length: registers.length,
        line: function.line,
        pci: Some((function.number, virtio)),
    })
}

fn choose<'t>(
    on_pci: impl Iterator<Item = Found<'t>>,
    present: &[(Found<'t>, u32)],
    kind: u32,
    index: u8,
) -> Result<Found<'t>, NoDevice> {
    let alone = |one: &Found<'_>| {
        let same = present
            .iter()
            .filter(|(other, _)| other.pages() == one.pages());
        same.count() == 1
    };
    let of_kind = present.iter().filter(|(_, device)| *device == kind);
    let of_kind = of_kind.map(|(found, _)| *found);
    let shares = of_kind.clone().any(|found| !alone(&found));
    let mut usable = on_pci.chain(of_kind.filter(alone));
    usable.nth(index.into()).ok_or(match shares {
        true => NoDevice::Shared,
        false => NoDevice::Absent,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: u64) -> Found<'static> {
        Found {
            compatible: COMPATIBLE,
            address,
            length: 0x200,
            line: None,
            pci: None,
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
        let on_memory = |kind, index| choose(core::iter::empty(), &present, kind, index);
        assert_eq!(on_memory(2, 0), Ok(found(0x1000)));
        assert_eq!(on_memory(2, 1), Ok(found(0x4e00)));
        assert_eq!(on_memory(2, 2), Err(NoDevice::Shared));
        assert_eq!(on_memory(4, 0), Ok(found(0x2000)));
        assert_eq!(on_memory(4, 1), Err(NoDevice::Absent));
        assert_eq!(on_memory(1, 0), Err(NoDevice::Absent));
        // Those on PCI come first.
        let both = |index| choose([found(0x9000)].into_iter(), &present, 4, index);
        assert_eq!(both(0), Ok(found(0x9000)));
        assert_eq!(both(1), Ok(found(0x2000)));
    }
}
