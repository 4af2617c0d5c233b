//! Finds devices in the device tree.

use super::Found;
use fdt::{
    Fdt,
    nodes::Node,
    parsing::{NoPanic, unaligned::UnalignedParser},
};

/// A node.
pub(super) type TreeNode<'t> = Node<'t, (UnalignedParser<'t>, NoPanic)>;

/// The devices in the tree that are in use and have one of these `compatible`
/// strings, in its order. A damaged tree has none.
pub(super) fn all<'t>(
    tree: &'t [u8],
    compatible: &[impl AsRef<str>],
) -> impl Iterator<Item = Found<'t>> {
    nodes(tree, compatible).filter_map(|(node, compatible)| device(&node, compatible))
}

/// Their nodes, and which of the strings each has.
pub(super) fn nodes<'t>(
    tree: &'t [u8],
    compatible: &[impl AsRef<str>],
) -> impl Iterator<Item = (TreeNode<'t>, &'t str)> {
    every(tree).filter_map(|node| {
        let found = strings(property(&node, "compatible")?)
            .find(|found| compatible.iter().any(|wanted| wanted.as_ref() == *found))?;
        let status = property(&node, "status").and_then(|status| strings(status).next());
        matches!(status, None | Some("okay" | "ok")).then_some((node, found))
    })
}

/// The node that others know by this number.
pub(super) fn by_phandle(tree: &[u8], number: u32) -> Option<TreeNode<'_>> {
    every(tree).find(|node| property(node, "phandle") == Some(&number.to_be_bytes()))
}

fn every(tree: &[u8]) -> impl Iterator<Item = TreeNode<'_>> {
    let tree = Fdt::new_unaligned_fallible(tree).ok();
    let nodes = tree.and_then(|tree| tree.all_nodes().ok());
    let nodes = nodes.into_iter().flatten().map_while(Result::ok);
    nodes.map(|(_, node)| node)
}

fn device<'t>(node: &TreeNode<'t>, compatible: &'t str) -> Option<Found<'t>> {
    let parent = node.parent()?;
    let (address_cells, size_cells) = (
        cells(&parent, "#address-cells", 2)?,
        cells(&parent, "#size-cells", 1)?,
    );
    let mut reg = property(node, "reg")?;
    Some(Found {
        compatible,
        address: number(&mut reg, address_cells)?,
        length: number(&mut reg, size_cells)?,
        line: property(node, "interrupts").and_then(line),
        pci: None,
    })
}

/// A number of cells.
pub(super) fn cells(node: &TreeNode<'_>, name: &str, default: u32) -> Option<u32> {
    match property(node, name) {
        Some(value) => value.try_into().ok().map(u32::from_be_bytes),
        None => Some(default),
    }
}

/// The bytes of a property.
pub(super) fn property<'t>(node: &TreeNode<'t>, name: &str) -> Option<&'t [u8]> {
    Some(node.raw_property(name).ok()??.value)
}

fn strings(value: &[u8]) -> impl Iterator<Item = &str> {
    value
        .split(|byte| *byte == 0)
        .filter_map(|text| core::str::from_utf8(text).ok())
}

/// Takes a number of one or two cells.
pub(super) fn number(bytes: &mut &[u8], cells: u32) -> Option<u64> {
    let mut value = 0;
    for _ in 0..cells {
        let (cell, rest) = bytes.split_first_chunk()?;
        if value >> 32 != 0 {
            return None;
        }
        value = value << 32 | u64::from(u32::from_be_bytes(*cell));
        *bytes = rest;
    }
    Some(value)
}

/// The first interrupt: of a PLIC the source, of a GIC its kind, number and
/// flags, where shared ones are numbered from 32 on and private ones from 16.
pub(super) fn line(value: &[u8]) -> Option<u64> {
    let (cells, _) = value.as_chunks::<4>();
    let cell = |index: usize| u32::from_be_bytes(cells[index]);
    match cells.len() {
        1 => Some(cell(0).into()),
        3 if cell(0) == 0 => Some(u64::from(cell(1)) + 32),
        3 if cell(0) == 1 => Some(u64::from(cell(1)) + 16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// The first of them.
    fn find<'t>(tree: &'t [u8], compatible: &[&str]) -> Option<Found<'t>> {
        all(tree, compatible).next()
    }

    /// Writes a device tree.
    #[derive(Default)]
    struct Tree {
        structure: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Tree {
        fn word(&mut self, word: u32) {
            self.structure.extend(word.to_be_bytes());
        }
        fn bytes(&mut self, bytes: &[u8]) {
            self.structure.extend(bytes);
            let padded = self.structure.len().next_multiple_of(4);
            self.structure.resize(padded, 0);
        }
        fn begin(&mut self, name: &str) {
            self.word(1);
            self.bytes(&[name.as_bytes(), &[0]].concat());
        }
        fn property(&mut self, name: &str, value: &[u8]) {
            self.word(3);
            self.word(value.len() as u32);
            self.word(self.strings.len() as u32);
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            self.bytes(value);
        }
        fn cells(&mut self, name: &str, cells: &[u32]) {
            let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
            self.property(name, &value);
        }
        fn end(&mut self) {
            self.word(2);
        }
        fn finish(mut self) -> Vec<u8> {
            self.word(9);
            let (start, length) = (56, self.structure.len() as u32);
            let strings = self.strings.len() as u32;
            let header = [
                0xd00d_feed,
                start + length + strings,
                start,
                start + length,
                40,
                17,
                16,
                0,
                strings,
                length,
            ];
            let mut tree: Vec<u8> = header
                .iter()
                .flat_map(|word: &u32| word.to_be_bytes())
                .collect();
            tree.extend([0; 16]);
            tree.extend(self.structure);
            tree.extend(self.strings);
            tree
        }
    }

    fn tree(status: &[u8], interrupts: &[u32]) -> Vec<u8> {
        let mut tree = Tree::default();
        tree.begin("");
        tree.cells("#address-cells", &[2]);
        tree.cells("#size-cells", &[2]);
        tree.begin("soc");
        tree.cells("#address-cells", &[2]);
        tree.cells("#size-cells", &[1]);
        tree.begin("off@1");
        tree.property("status", b"disabled\0");
        tree.property("compatible", b"arm,pl011\0");
        tree.cells("reg", &[0, 1, 2]);
        tree.end();
        tree.begin("uart@9");
        tree.property("status", status);
        tree.property("compatible", b"arm,pl011\0arm,primecell\0");
        tree.cells("reg", &[1, 0x900_0f00, 0x200]);
        tree.cells("interrupts", interrupts);
        tree.end();
        tree.end();
        tree.end();
        tree.finish()
    }

    #[test]
    fn the_first_device_in_use_is_it() {
        let found = tree(b"okay\0", &[0, 1, 4]);
        let device = find(&found, &["ns16550a", "arm,pl011"]).unwrap();
        let expected = Found {
            compatible: "arm,pl011",
            address: 0x1_0900_0f00,
            length: 0x200,
            line: Some(33),
            pci: None,
        };
        assert_eq!(device, expected);
        assert_eq!(device.pages(), (0x1_0900_0000, 2));
        assert_eq!(device.offset(), 0xf00);
        assert_eq!(find(&found, &["ns16550a"]), None);
        assert_eq!(find(&tree(b"fail\0", &[1]), &["arm,pl011"]), None);
    }

    #[test]
    fn lines_are_numbered_as_their_controller_says() {
        let line = |cells: &[u32]| find(&tree(b"ok\0", cells), &["arm,pl011"]).unwrap().line;
        assert_eq!(line(&[10]), Some(10));
        assert_eq!(line(&[1, 2, 8]), Some(18));
        assert_eq!(line(&[2, 2, 8]), None);
        assert_eq!(line(&[1, 2]), None);
    }

    #[test]
    fn a_tree_that_is_cut_short_has_no_devices() {
        let whole = tree(b"okay\0", &[5]);
        for length in 0..whole.len() {
            assert_eq!(
                find(&whole[..length], &["arm,pl011"]),
                None,
                "{length} bytes"
            );
        }
    }
}
