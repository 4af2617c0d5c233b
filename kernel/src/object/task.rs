//! A task: address space, capability table and quota.

use crate::{
    Entered,
    arch::{Arch, Port},
    capability::table::Table,
    cell::{Link, Word},
    list::{List, Node, Through},
    memory::{
        quota,
        slab::{self, CLASSES, Object},
        space::{self, Progress},
    },
    object::{
        binding::Binding,
        region::{ByAddress, Region},
        thread::{self, InTask, Thread},
    },
    schedule::ready,
};
use libipc_abi::objects::ObjectError;

/// An address space, a capability table and a quota.
pub struct Task {
    /// Unique number.
    pub id: Word<u64>,
    /// Whose quota this one's is part of.
    pub parent: Link<Task>,
    /// Tasks whose quota is part of this one's, until they are killed.
    pub children: List<Task, Children>,
    /// Frames that it may use.
    pub limit: Word<u64>,
    /// Frames that it uses, its children's limits included.
    pub used: Word<u64>,
    /// First frame with room of each slab, as index + 1.
    pub slabs: [Word<u32>; CLASSES],
    /// Physical address of the root page table, or 0.
    pub root: Word<u64>,
    /// The page table that was made last of those without pages of regions, as index + 1
    /// of its frame; each names the one before.
    pub tables: Word<u32>,
    /// The same of those with pages of regions.
    pub leaves: Word<u32>,
    /// Its address-space identifier.
    pub asid: Word<u16>,
    /// Both as [`Port::space`] makes one word of them.
    pub space: Word<u64>,
    /// What is mapped, by address.
    pub regions: List<Region, ByAddress>,
    /// The region that was looked for last.
    pub found: Link<Region>,
    /// How many regions.
    pub region_count: Word<u64>,
    /// Its capabilities.
    pub table: Table,
    /// Its threads, until their objects end.
    pub threads: List<Thread, InTask>,
    /// Threads that have not ended.
    pub alive: Word<u64>,
    /// Number + 1 of a free place for a message buffer that was used before; its
    /// table entry names the next such place.
    pub free_place: Word<u64>,
    /// Address of a message buffer that an ended thread has left for the next one,
    /// or 0.
    pub spare_buffer: Word<u64>,
    /// The first place for a message buffer that was never used.
    pub new_place: Word<u64>,
    /// Called when a thread faults.
    pub fault_handler: Binding,
    /// Capabilities that lead here.
    pub uses: Word<u64>,
    /// It was killed: nothing in it runs any more.
    pub dying: Word<bool>,
    /// Several programs share it.
    pub shared: Word<bool>,
    /// It was called through a capability whose server is to stand alone.
    pub alone: Word<bool>,
    /// No core has its address space chosen, or anything of it in a translation
    /// buffer.
    pub left: Word<bool>,
    /// All that it had is gone, though others may still use what it pays for.
    pub reaped: Word<bool>,
    /// Its quota has gone back to the parent.
    pub ended: Word<bool>,
    /// Processor time of its threads, in counter ticks.
    pub time: Word<u64>,
    /// Calls that its threads made.
    pub calls: Word<u64>,
    /// Messages that its threads received.
    pub received: Word<u64>,
    node: Node<Task>,
    sibling: Node<Task>,
}

impl Object for Task {
    const CLASS: usize = 5;
}

/// Tasks that wait to be taken apart.
#[derive(Debug)]
pub struct Dying;

impl Through<Task> for Dying {
    fn node(object: &Task) -> &Node<Task> {
        &object.node
    }
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

/// The children of a task.
#[derive(Debug)]
pub struct Children;

impl Through<Task> for Children {
    fn node(object: &Task) -> &Node<Task> {
        &object.sibling
    }
}

impl Task {
    /// A task of nothing, which pays for the first.
    pub const fn new() -> Task {
        Task {
            id: Word::zeroed(),
            parent: Link::none(),
            children: List::empty(),
            limit: Word::zeroed(),
            used: Word::zeroed(),
            slabs: [const { Word::zeroed() }; CLASSES],
            root: Word::zeroed(),
            tables: Word::zeroed(),
            leaves: Word::zeroed(),
            asid: Word::zeroed(),
            space: Word::zeroed(),
            regions: List::empty(),
            found: Link::none(),
            region_count: Word::zeroed(),
            table: Table::new(),
            threads: List::empty(),
            alive: Word::zeroed(),
            free_place: Word::zeroed(),
            spare_buffer: Word::zeroed(),
            new_place: Word::zeroed(),
            fault_handler: Binding::none(),
            uses: Word::zeroed(),
            dying: Word::zeroed(),
            shared: Word::zeroed(),
            alone: Word::zeroed(),
            left: Word::zeroed(),
            reaped: Word::zeroed(),
            ended: Word::zeroed(),
            time: Word::zeroed(),
            calls: Word::zeroed(),
            received: Word::zeroed(),
            node: Node::new(),
            sibling: Node::new(),
        }
    }

    /// The first task. It owns all frames and is paid by itself.
    pub fn create_first(k: Entered<'_>) -> Result<&Task, ObjectError> {
        let boot = &k.kernel.boot_task;
        boot.limit.set(k.kernel.frames.free());
        // Its address space is nobody's: what is chosen when no other may be.
        boot.set_root(space::create_root(k, boot)?);
        let frames = boot.limit.get() - boot.used.get() - 1;
        Task::create(k, boot, frames)
    }

    fn set_root(&self, root: u64) {
        self.root.set(root);
        self.space.set(Port::space(root, self.asid.get()));
    }

    /// A task with a quota of `frames` of its parent's.
    pub fn create<'k>(
        k: Entered<'k>,
        parent: &'k Task,
        frames: u64,
    ) -> Result<&'k Task, ObjectError> {
        if frames == 0 {
            return Err(ObjectError::OutOfRange);
        }
        quota::charge(parent, frames)?;
        let made = slab::create_zeroed::<Task>(k, parent);
        let task = made.inspect_err(|_| quota::refund(k, parent, frames))?;
        task.id.set(k.kernel.new_id());
        task.parent.set(Some(parent));
        task.limit.set(frames);
        let root = k
            .kernel
            .asids
            .allocate()
            .ok_or(ObjectError::QuotaExceeded)
            .and_then(|asid| {
                task.asid.set(asid);
                space::create_root(k, task)
            });
        match root {
            Ok(root) => task.set_root(root),
            Err(error) => {
                task.dying.set(true);
                k.kernel.dying_tasks.push(k, task);
                k.kernel.put_off(k);
                return Err(error);
            }
        }
        parent.children.push(k, task);
        Ok(task)
    }

    /// Stops everything in the task. What it had is taken apart step by step.
    pub fn kill(&self, k: Entered<'_>) {
        if self.dying.replace(true) {
            return;
        }
        if let Some(parent) = self.parent.get(k) {
            parent.children.remove(k, self);
        }
        k.kernel.dying_tasks.push(k, self);
        k.kernel.put_off(k);
    }

    /// Takes a step in taking a dying task apart: a child, a thread, a region, a
    /// few capabilities or a page table.
    ///
    /// Children end with whoever pays for them: one that names itself in its own
    /// table would otherwise keep its part of the quota for ever.
    pub fn reap(&self, k: Entered<'_>) -> Progress {
        while let Some(child) = self.children.first(k) {
            child.kill(k);
            if k.wanted() {
                return Progress::Again;
            }
        }
        while let Some(thread) = self.threads.first(k) {
            if ready::stop(k, thread) == Progress::Again {
                return Progress::Again;
            }
            thread.end(k);
            thread.detach(k);
            if k.wanted() {
                return Progress::Again;
            }
        }
        if space::leave(k, self) == Progress::Again {
            return Progress::Again;
        }
        thread::free_spare(k, self);
        self.fault_handler.end(k);
        while let Some(region) = self.regions.first(k) {
            space::forget(k, self, region);
            if k.wanted() {
                return Progress::Again;
            }
        }
        if self.table.clear(k, self) == Progress::Again {
            return Progress::Again;
        }
        if space::destroy(k, self) == Progress::Again {
            return Progress::Again;
        }
        k.kernel.asids.free(self.asid.get());
        k.kernel.dying_tasks.remove(k, self);
        self.reaped.set(true);
        self.end_if_empty(k);
        Progress::Done
    }

    /// Gives the quota back once the task is gone and nobody uses anything that
    /// it pays for, and ends the object once nobody names it either.
    pub fn end_if_empty(&self, k: Entered<'_>) {
        if !self.reaped.get() || self.used.get() != 0 {
            return;
        }
        if !self.ended.replace(true)
            && let Some(parent) = self.parent.get(k)
        {
            quota::refund(k, parent, self.limit.replace(0));
        }
        if self.uses.get() == 0
            && let Some(parent) = self.parent.take(k)
        {
            debug_assert!(parent.used.get() > 0, "the parent pays for this object");
            slab::retire(k, self);
        }
    }

    /// One capability less. A task that nobody names is killed.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            self.kill(k);
            self.end_if_empty(k);
        }
    }
}
