//! One node of the tree, and the checked ways to read its properties.
//!
//! Only the crate's raw properties are used: its typed ones divide by cell
//! counts that the tree may give as 0.

use super::Parser;
use crate::refusal::Refusal;
use core::ops::Range;
use fdt::nodes::Node as RawNode;

/// How many 32-bit cells addresses and sizes of a node's children have.
#[derive(Clone, Copy)]
pub(super) struct Cells {
    address: usize,
    size: usize,
}

impl Default for Cells {
    fn default() -> Self {
        Cells {
            address: 2,
            size: 1,
        }
    }
}

/// A node, and what it needs to know of its parent.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) raw: RawNode<'a, Parser<'a>>,
    /// The parent's cells.
    pub(super) outer: Cells,
}

impl<'a> Node<'a> {
    /// The name with its address, `serial@10000000`.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.raw.name().is_ok_and(|own| match own.unit_address {
            Some(address) => name
                .strip_prefix(own.name)
                .and_then(|rest| rest.strip_prefix('@'))
                .is_some_and(|rest| rest == address),
            None => own.name == name,
        })
    }

    /// The name without its address.
    pub(super) fn base_name(&self) -> &'a str {
        self.raw.name().map_or("", |name| name.name)
    }

    /// A property's bytes.
    pub(super) fn bytes(&self, property: &str) -> Option<&'a [u8]> {
        Some(self.raw.raw_property(property).ok()??.value)
    }

    /// A property that is one text, or the first of several.
    pub(super) fn text(&self, property: &str) -> Option<&'a str> {
        self.texts(property).next()
    }

    /// The texts of a property, as `compatible` has them.
    pub(super) fn texts(&self, property: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.bytes(property)
            .unwrap_or(&[])
            .split(|&byte| byte == 0)
            .filter_map(|text| core::str::from_utf8(text).ok())
            .filter(|text| !text.is_empty())
    }

    /// Whether it says that it is one of these.
    pub(super) fn is_compatible(&self, names: &[&str]) -> bool {
        self.texts("compatible").any(|name| names.contains(&name))
    }

    /// Whether it is there to be used.
    pub(super) fn is_enabled(&self) -> bool {
        matches!(self.text("status"), None | Some("okay" | "ok"))
    }

    /// The cells of a property.
    pub(super) fn cells(&self, property: &str) -> impl Iterator<Item = u32> + use<'a> {
        self.bytes(property)
            .unwrap_or(&[])
            .chunks_exact(4)
            .filter_map(|cell| Some(u32::from_be_bytes(cell.try_into().ok()?)))
    }

    /// A property of one or two cells.
    pub(super) fn number(&self, property: &str) -> Option<u64> {
        let cells = self.bytes(property)?.len() / 4;
        take(&mut self.cells(property), cells)
    }

    /// The cells of this node's children.
    pub(super) fn inner_cells(&self) -> Result<Cells, Refusal> {
        let count = |property, default| match self.number(property) {
            None => Ok(default),
            Some(count) if count <= 3 => Ok(count as usize),
            Some(_) => Err(Refusal::Malformed("more than 3 cells in an address")),
        };
        let default = Cells::default();
        Ok(Cells {
            address: count("#address-cells", default.address)?,
            size: count("#size-cells", default.size)?,
        })
    }

    /// The ranges of `reg`, up to one that makes no sense.
    pub(super) fn registers(&self) -> impl Iterator<Item = Range<u64>> + use<'a> {
        let mut cells = self.cells("reg");
        let outer = self.outer;
        core::iter::from_fn(move || {
            let start = take(&mut cells, outer.address)?;
            let length = take(&mut cells, outer.size)?;
            Some(start..start.checked_add(length)?)
        })
        .take_while(|range| !range.is_empty())
    }

    /// The address in `reg` of a node without a size, as a core's is.
    pub(super) fn address(&self) -> Option<u64> {
        take(&mut self.cells("reg"), self.outer.address)
    }
}

/// The number in the next cells, if it has one or two and they are there.
fn take(cells: &mut impl Iterator<Item = u32>, count: usize) -> Option<u64> {
    if !(1..=2).contains(&count) {
        return None;
    }
    let mut number = 0;
    for _ in 0..count {
        number = number << 32 | u64::from(cells.next()?);
    }
    Some(number)
}
