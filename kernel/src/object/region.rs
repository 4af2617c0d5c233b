//! A region: a range of memory mapped in an address space.

use crate::{
    Entered,
    arch::Access,
    capability::slot::Slot,
    cell::{Link, Word},
    list::{Node, Through},
    memory::{
        slab::{self, Object},
        space::Mapping,
    },
    object::{memory::Memory, task::Task},
};
use libipc_abi::{PAGE, objects::ObjectError};

/// A range of memory mapped in an address space. Belongs to its task.
pub struct Region {
    /// The memory; counted in [`Memory::uses`].
    pub memory: Link<Memory>,
    /// The task; the region is in its list.
    pub task: Link<Task>,
    /// The mapping as something that comes from its memory's capability.
    pub slot: Slot,
    /// First address.
    pub address: Word<u64>,
    /// Pages.
    pub pages: Word<u64>,
    /// First page of the memory.
    pub offset: Word<u64>,
    /// Pages, from the first on, that the tables may still have with another
    /// access.
    pub stale: Word<u64>,
    access: Word<u8>,
    most: Word<u8>,
    node: Node<Region>,
}

impl Object for Region {
    const CLASS: usize = 0;
}

/// All regions of a task, by address.
#[derive(Debug)]
pub struct ByAddress;

impl Through<Region> for ByAddress {
    fn node(object: &Region) -> &Node<Region> {
        &object.node
    }
}

impl Region {
    /// A region of `task`, not yet in its list.
    pub fn create<'k>(
        k: Entered<'k>,
        task: &'k Task,
        wanted: &Mapping<'_>,
    ) -> Result<&'k Region, ObjectError> {
        let region = slab::create_zeroed::<Region>(k, task)?;
        let device = match wanted.memory.is_device() {
            true => Access::DEVICE,
            false => Access::empty(),
        };
        region.memory.set(Some(wanted.memory));
        region.task.set(Some(task));
        region.slot.fill_mapping(region);
        region.address.set(wanted.address);
        region.pages.set(wanted.pages);
        region.offset.set(wanted.offset);
        region.access.set((wanted.access | device).bits());
        region.most.set((wanted.most | device).bits());
        Ok(region)
    }

    /// The address after the last.
    pub fn end(&self) -> u64 {
        self.address.get() + self.pages.get() * PAGE as u64
    }

    /// What may be done there.
    pub fn access(&self) -> Access {
        Access::from_bits_truncate(self.access.get())
    }

    /// What `protect` may allow.
    pub fn most(&self) -> Access {
        Access::from_bits_truncate(self.most.get())
    }

    /// Changes what may be done; the kind of memory stays.
    pub fn set_access(&self, access: Access) {
        let access = access | self.access() & Access::DEVICE;
        if self.access() != access {
            self.access.set(access.bits());
            self.stale.set(self.pages.get());
        }
    }
}
