//! The bridge between memory and a PCI bus, as the device tree describes it: "PCI Bus
//! Binding to Open Firmware" 2.1 and "Open Firmware Recommended Practice: Interrupt
//! Mapping" 0.9, as the Devicetree Specification 0.4, 2.4.3, has it.

use super::tree::{self, TreeNode, line, number, property};
use alloc::vec::Vec;

/// What the tree calls a bridge whose configuration space lies in memory.
const COMPATIBLE: &str = "pci-host-ecam-generic";

/// Space codes of an address on the bus, and where in its first cell they stand.
const SPACE: u32 = 24;
const MEMORY_32: u32 = 2;
const MEMORY_64: u32 = 3;

/// Where in the first cell of an address device and function stand.
const FUNCTION: u32 = 8;

/// Addresses on the bus at which its devices are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first one, as devices know it.
    pub(super) bus: u64,
    /// The same as the processor knows it.
    pub(super) address: u64,
    /// Bytes.
    pub(super) length: u64,
}

/// A bridge.
#[derive(Clone, Debug)]
pub(super) struct Host<'t> {
    tree: &'t [u8],
    /// Where the configuration of its first bus lies, and its bytes.
    pub(super) configuration: (u64, u64),
    /// Windows for memory, those below 4 GiB first.
    pub(super) windows: Vec<Window>,
    map: &'t [u8],
    /// What counts of address and pin when they are looked up.
    mask: [u32; 4],
}

/// The first bridge of the tree.
pub(super) fn find(tree: &[u8]) -> Option<Host<'_>> {
    let (node, _) = tree::nodes(tree, &[COMPATIBLE]).next()?;
    let parent = node.parent()?;
    let cells = |node: &TreeNode<'_>, name, default| tree::cells(node, name, default);
    let (address, size) = (
        cells(&parent, "#address-cells", 2)?,
        cells(&parent, "#size-cells", 1)?,
    );
    // Three cells of address, two of size: there is no other binding.
    if cells(&node, "#address-cells", 2)? != 3 || cells(&node, "#size-cells", 1)? != 2 {
        return None;
    }
    let mut reg = property(&node, "reg")?;
    let mut ranges = property(&node, "ranges")?;
    let mut windows = Vec::new();
    while !ranges.is_empty() {
        let space = number(&mut ranges, 1)? as u32 >> SPACE & 3;
        let window = Window {
            bus: number(&mut ranges, 2)?,
            address: number(&mut ranges, address)?,
            length: number(&mut ranges, 2)?,
        };
        let ends = window.address.checked_add(window.length);
        if matches!(space, MEMORY_32 | MEMORY_64) && ends.is_some() {
            windows.push((space, window));
        }
    }
    windows.sort_by_key(|(space, _)| *space);
    let mut mask = property(&node, "interrupt-map-mask").unwrap_or_default();
    let mut cell = || number(&mut mask, 1).map(|cell| cell as u32);
    let mask = [cell(), cell(), cell(), cell()];
    Some(Host {
        tree,
        configuration: (number(&mut reg, address)?, number(&mut reg, size)?),
        windows: windows.into_iter().map(|(_, window)| window).collect(),
        map: property(&node, "interrupt-map").unwrap_or_default(),
        // All counts if there is no mask.
        mask: mask.map(|cell| cell.unwrap_or(u32::MAX)),
    })
}

impl Host<'_> {
    /// The line at which a function of the first bus interrupts by this pin, from 1 on.
    pub(super) fn line(&self, function: u16, pin: u8) -> Option<u64> {
        let asked = [u32::from(function) << FUNCTION, 0, 0, u32::from(pin)];
        let mut map = self.map;
        // Most rows name the same controller, and to look it up is to read the tree.
        let mut known: Option<(u32, usize, usize)> = None;
        while !map.is_empty() && pin != 0 {
            let mut matches = true;
            for (asked, mask) in asked.iter().zip(self.mask) {
                matches &= number(&mut map, 1)? as u32 & mask == asked & mask;
            }
            let name = number(&mut map, 1)? as u32;
            let (_, address, specifier) = match known.filter(|(known, ..)| *known == name) {
                Some(known) => known,
                None => *known.insert(self.controller(name)?),
            };
            let (_, rest) = map.split_at_checked(address)?;
            let (found, rest) = rest.split_at_checked(specifier)?;
            if matches {
                return line(found);
            }
            map = rest;
        }
        None
    }

    /// An interrupt controller: its name, and the bytes of an address and of a line of
    /// it in the map.
    fn controller(&self, name: u32) -> Option<(u32, usize, usize)> {
        let node = tree::by_phandle(self.tree, name)?;
        let bytes = |count: u32| usize::try_from(count).ok()?.checked_mul(4);
        // The binding has no default for these: none means no address.
        let address = bytes(tree::cells(&node, "#address-cells", 0)?)?;
        let specifier = bytes(tree::cells(&node, "#interrupt-cells", 1)?)?;
        Some((name, address, specifier))
    }
}

#[cfg(test)]
impl Host<'_> {
    /// One with these windows, whose functions interrupt nobody.
    pub(super) fn without_lines(windows: Vec<Window>) -> Self {
        Host {
            tree: &[],
            configuration: (0, 0),
            windows,
            map: &[],
            mask: [0; 4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QEMU's.
    const AARCH64: &[u8] = include_bytes!("../../../../boot/tests/trees/virt-aarch64.dtb");
    const RISCV64: &[u8] = include_bytes!("../../../../boot/tests/trees/virt-riscv64.dtb");

    #[test]
    fn bridges_are_where_the_machines_have_them() {
        let host = find(AARCH64).unwrap();
        assert_eq!(host.configuration, (0x40_1000_0000, 0x1000_0000));
        let window = |bus, length| Window {
            bus,
            address: bus,
            length,
        };
        let low = window(0x1000_0000, 0x2eff_0000);
        let high = window(0x80_0000_0000, 0x80_0000_0000);
        assert_eq!(host.windows, [low, high]);
        let host = find(RISCV64).unwrap();
        assert_eq!(host.configuration, (0x3000_0000, 0x1000_0000));
        let low = window(0x4000_0000, 0x4000_0000);
        let high = window(0x4_0000_0000, 0x4_0000_0000);
        assert_eq!(host.windows, [low, high]);
    }

    #[test]
    fn pins_of_devices_that_follow_one_another_take_turns() {
        for (tree, first) in [(AARCH64, 35), (RISCV64, 32)] {
            let host = find(tree).unwrap();
            for device in 0..32_u16 {
                for pin in 1..=4 {
                    let turn = (device + u16::from(pin) - 1) % 4;
                    let line = Some(first + u64::from(turn));
                    assert_eq!(host.line(device << 3, pin), line);
                    assert_eq!(host.line(device << 3 | 5, pin), line);
                }
                assert_eq!(host.line(device << 3, 0), None);
            }
        }
    }

    #[test]
    fn broken_trees_have_no_bridge_or_lines() {
        for tree in [AARCH64, RISCV64] {
            let mut tree = tree.to_vec();
            for place in (0..tree.len()).step_by(3) {
                let kept = tree[place];
                tree[place] ^= 0x55;
                if let Some(host) = find(&tree) {
                    host.line(8, 1);
                }
                tree[place] = kept;
            }
        }
    }
}
