//! Everything that the kernel knows.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::{
    Entered,
    arch::{Arch, Port},
    cell::{Link, Word},
    entry::Lock,
    list::List,
    log::Log,
    memory::frames::Frames,
    object::{
        endpoint::{self, Endpoint},
        interrupt::Interrupt,
        memory::{self, Memory},
        task::{self, Task},
    },
    schedule::core::Core,
};

/// Interrupt lines that can be told apart.
pub const LINES: usize = 512;

/// Most cores that run threads.
pub const CORES: usize = crate::platform::CORES;

/// Everything that the kernel knows.
pub struct Kernel {
    /// Who has it is inside the kernel.
    pub lock: Lock,
    /// Page frames.
    pub frames: Frames,
    /// Cores, by number.
    pub cores: [Core; CORES],
    /// Address-space identifiers.
    pub asids: Asids,
    /// The log.
    pub log: Log,
    /// First frame with retired objects, as index + 1.
    pub retired: Word<u32>,
    /// How many.
    pub retired_count: Word<u64>,
    /// Endpoints where somebody waits who need not: they are closed, or have both
    /// callers and receivers.
    pub unsettled: List<Endpoint, endpoint::Unsettled>,
    /// Tasks that are being taken apart.
    pub dying_tasks: List<Task, task::Dying>,
    /// Memory that is being given back.
    pub dying_memory: List<Memory, memory::Dying>,
    /// The highest priority of who put off any of these; they go on with it.
    pub urgency: Word<u8>,
    /// Pays for the first task.
    pub boot_task: Task,
    /// Something was put off, or waits to be freed.
    pub untidy: Word<bool>,
    /// How many of the cores there are; it never changes once one has entered.
    pub core_count: Word<usize>,
    /// There is something to run.
    ready: AtomicBool,
    lines: [Link<Interrupt>; LINES],
    ids: Word<u64>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// A kernel before it knows about the machine.
    pub const fn new() -> Kernel {
        Kernel {
            lock: Lock::new(),
            frames: Frames::none(),
            cores: {
                let mut cores = [const { Core::new(0) }; CORES];
                let mut number = 0;
                while number < CORES {
                    cores[number].number = number;
                    number += 1;
                }
                cores
            },
            asids: Asids::new(),
            log: Log::new(),
            retired: Word::zeroed(),
            retired_count: Word::zeroed(),
            unsettled: List::empty(),
            dying_tasks: List::empty(),
            dying_memory: List::empty(),
            urgency: Word::zeroed(),
            boot_task: Task::new(),
            untidy: Word::zeroed(),
            core_count: Word::zeroed(),
            ready: AtomicBool::new(false),
            lines: [const { Link::none() }; LINES],
            ids: Word::zeroed(),
        }
    }

    /// The cores that there are.
    pub fn cores(&self) -> &[Core] {
        &self.cores[..self.core_count.get().min(CORES)]
    }

    /// Whether system calls may take the fast path ([`crate::ipc::fast`]).
    pub fn set_fast(&self, fast: bool) {
        self.cores.iter().for_each(|core| core.fast.set(fast));
    }

    /// There is something to run: the other cores may begin.
    pub fn begin(&self, k: Entered<'_>) {
        for core in self.cores() {
            core.begin(Port::now());
        }
        self.ready.store(true, Ordering::Release);
        for core in self.cores() {
            core.kick(k);
        }
    }

    /// Whether `begin` was called.
    pub fn has_begun(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Something is put off until the kernel is left, with the priority of who runs.
    pub fn put_off(&self, k: Entered<'_>) {
        let current = k.core.current.get(k);
        let priority = current.map_or(u8::MAX, |thread| thread.effective.get());
        self.urgency.set(self.urgency.get().max(priority));
        self.untidy.set(true);
    }

    /// Whether something was put off and is not done.
    pub fn has_put_off(&self) -> bool {
        let settled = self.unsettled.is_empty();
        !(settled && self.dying_tasks.is_empty() && self.dying_memory.is_empty())
    }

    /// Nothing was put off, nothing waits to be freed, and the log's reader knows
    /// all.
    #[inline(always)]
    pub fn is_tidy(&self) -> bool {
        !self.untidy.get() && !self.log.has_grown()
    }

    /// Some of what was put off is done, and some freed.
    pub fn has_tidied(&self) {
        let left = self.has_put_off() || self.retired.get() != 0;
        self.untidy.set(left);
    }

    /// A number that no other object of this boot has.
    pub fn new_id(&self) -> u64 {
        self.ids.add(1)
    }

    /// Physical address of a kernel object.
    pub fn physical<T>(&self, object: &T) -> u64 {
        (core::ptr::from_ref(object).addr() - Port::physical(0).addr()) as u64
    }

    /// The object of an interrupt line, if somebody has it.
    pub fn line<'k>(&self, k: Entered<'k>, line: u32) -> Option<&'k Interrupt> {
        self.lines.get(line as usize)?.get(k)
    }

    /// Makes `interrupt` the object of its line. `false` if there is no such
    /// line.
    pub fn set_line(&self, interrupt: &Interrupt) -> bool {
        match self.lines.get(interrupt.line.get() as usize) {
            Some(link) => {
                link.set(Some(interrupt));
                true
            }
            None => false,
        }
    }

    /// The object of a line ends.
    pub fn forget_line(&self, _: Entered<'_>, interrupt: &Interrupt) {
        if let Some(link) = self.lines.get(interrupt.line.get() as usize)
            && link.is(interrupt)
        {
            link.set(None);
        }
    }
}

/// Words of the set of address-space identifiers.
const SETS: usize = 1024;

/// Address-space identifiers, each given to one task at a time.
pub struct Asids {
    taken: [Word<u64>; SETS],
    hint: Word<usize>,
}

impl Asids {
    const fn new() -> Asids {
        Asids {
            taken: [const { Word::zeroed() }; SETS],
            hint: Word::zeroed(),
        }
    }

    /// An identifier that no other task has. 0 is the kernel's own, and
    /// everybody's on processors that do not tell address spaces apart.
    pub fn allocate(&self) -> Option<u16> {
        let count = usize::from(Port::asids()).min(SETS * 64);
        if count <= 1 {
            return Some(0);
        }
        for number in 0..count.div_ceil(64) {
            let index = (self.hint.get() + number) % count.div_ceil(64);
            let set = &self.taken[index];
            let own = if index == 0 { set.get() | 1 } else { set.get() };
            let bit = own.trailing_ones() as usize;
            if bit < 64 && index * 64 + bit < count {
                set.set(set.get() | 1 << bit);
                self.hint.set(index);
                return Some((index * 64 + bit) as u16);
            }
        }
        None
    }

    /// Nothing of the address space is in any translation buffer any more.
    pub fn free(&self, asid: u16) {
        let set = &self.taken[usize::from(asid) / 64 % SETS];
        set.set(set.get() & !(1 << (asid % 64)));
    }
}
