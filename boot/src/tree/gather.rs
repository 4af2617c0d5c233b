//! One pass over the tree, and what it is to find.

use super::{
    Machine, Tree,
    node::{Cells, Node},
    reserve,
};
use crate::refusal::Refusal;
use core::ops::Range;
use tessera_kernel::platform::{CORES, Platform};

/// Deepest node that is looked at.
const DEPTH: usize = 16;
/// Cores that can be told apart before those that are used are chosen.
const SEEN: usize = 64;

/// Interrupt of the supervisor at a RISC-V core's own controller.
const SUPERVISOR_EXTERNAL: u32 = 9;
/// Of the generic timer's interrupts, which one the virtual timer's is; and what
/// the GIC's binding says of it: kind 1, a core's own lines, which begin at 16.
const VIRTUAL_TIMER: usize = 2;
const OWN_LINES: u32 = 16;

/// A core.
#[derive(Clone, Copy, Default)]
struct Core {
    /// What firmware calls it.
    id: u64,
    /// Its own interrupt controller's name in the tree (RISC-V).
    controller: Option<u32>,
}

/// A node above the one that is looked at.
#[derive(Clone, Copy, Default)]
struct Level<'a> {
    name: &'a str,
    cells: Cells,
    /// Addresses of its children are the machine's own.
    same_addresses: bool,
    /// It is a core, and which.
    core: Option<usize>,
}

/// What was found so far.
pub(super) struct Gathered<'a> {
    machine: Machine,
    boot_id: u64,
    image: Range<u64>,
    pub(super) console: Option<u64>,
    platform: Platform,
    cores: [Core; SEEN],
    core_count: usize,
    /// The PLIC's contexts: controller and interrupt, by turns.
    contexts: Option<Node<'a>>,
    timer_line: Option<u32>,
    conduit: Option<&'a str>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(machine: Machine, boot_id: u64, image: Range<u64>) -> Self {
        Gathered {
            machine,
            boot_id,
            image,
            console: None,
            platform: Platform::default(),
            cores: [Core::default(); SEEN],
            core_count: 0,
            contexts: None,
            timer_line: None,
            conduit: None,
        }
    }

    /// Looks at every node.
    pub(super) fn gather(&mut self, tree: &Tree<'a>) -> Result<(), Refusal> {
        const STRUCTURE: Refusal = Refusal::Malformed("its structure is broken");

        let root = tree.find_node("/").ok().flatten().ok_or(STRUCTURE)?;
        let root = Node {
            raw: root,
            outer: Cells::default(),
        };
        let mut levels = [Level::default(); DEPTH + 1];
        levels[0] = Level {
            name: "/",
            cells: root.inner_cells()?,
            same_addresses: true,
            core: None,
        };
        let chosen = tree.find_node("/chosen").ok().flatten().map(|raw| Node {
            raw,
            outer: Cells::default(),
        });
        let console = chosen.and_then(|chosen| self.choose(&chosen));

        for next in tree.all_nodes().map_err(|_| STRUCTURE)? {
            let (depth, raw) = next.map_err(|_| STRUCTURE)?;
            if !(1..=DEPTH).contains(&depth) {
                return Err(STRUCTURE);
            }
            let parent = levels[depth - 1];
            let node = Node {
                raw,
                outer: parent.cells,
            };
            let core = match parent.name {
                "cpus" => self.core(&node),
                _ => None,
            };
            levels[depth] = Level {
                name: node.base_name(),
                cells: node.inner_cells()?,
                same_addresses: parent.same_addresses
                    && node.bytes("ranges").is_some_and(<[u8]>::is_empty),
                core,
            };
            if let Some(core) = parent.core
                && node.base_name() == "interrupt-controller"
            {
                self.cores[core].controller = node.number("phandle").map(|name| name as u32);
            }
            match (depth, parent.name) {
                (1, _) => self.top(&node)?,
                (2, "reserved-memory") => {
                    for range in node.registers() {
                        reserve(&mut self.platform, range)?;
                    }
                }
                _ => {}
            }
            if parent.same_addresses && node.is_enabled() {
                self.device(&node, console);
            }
        }
        Ok(())
    }

    /// `/chosen`: entropy, what whoever boots wants, and the name of the console.
    fn choose(&mut self, chosen: &Node<'a>) -> Option<&'a str> {
        for property in ["rng-seed", "kaslr-seed"] {
            let bytes = chosen.bytes(property).and_then(|seed| seed.first_chunk());
            self.platform.seed ^= bytes.map_or(0, |&bytes| u64::from_le_bytes(bytes));
        }
        let wishes = chosen.text("bootargs").unwrap_or_default();
        self.platform.slow = wishes.split(' ').any(|wish| wish == "slow-path");
        let path = chosen.text("stdout-path")?;
        let path = path.split(':').next()?;
        path.rsplit('/').next()
    }

    /// Nodes below the root.
    fn top(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        if node.text("device_type") == Some("memory") {
            for range in node.registers() {
                if range.start <= self.image.start && self.image.end <= range.end {
                    self.platform.memory = range;
                }
            }
        }
        if node.base_name() == "cpus" {
            self.platform.frequency = node.number("timebase-frequency").unwrap_or(0);
        }
        if node.is_compatible(&["arm,psci", "arm,psci-0.2", "arm,psci-1.0"]) {
            self.conduit = node.text("method");
        }
        if node.is_compatible(&["arm,armv8-timer"]) {
            let mut line = node.cells("interrupts").skip(VIRTUAL_TIMER * 3);
            self.timer_line = match (line.next(), line.next()) {
                (Some(1), Some(line @ 0..OWN_LINES)) => Some(OWN_LINES + line),
                _ => return Err(Refusal::Malformed("the timer's interrupts")),
            };
        }
        Ok(())
    }

    /// A core below `/cpus`; which one it is.
    fn core(&mut self, node: &Node<'a>) -> Option<usize> {
        if node.text("device_type") != Some("cpu") || !node.is_enabled() {
            return None;
        }
        let index = self.core_count;
        *self.cores.get_mut(index)? = Core {
            id: node.address()?,
            controller: None,
        };
        self.core_count += 1;
        let mut extensions = node.text("riscv,isa").unwrap_or("").split('_');
        let sstc = extensions.any(|name| name == "sstc");
        self.platform.sstc = sstc && (index == 0 || self.platform.sstc);
        Some(index)
    }

    /// Nodes with registers at the machine's own addresses.
    fn device(&mut self, node: &Node<'a>, console: Option<&str>) {
        let (uart, controller): (&[_], &[_]) = match self.machine {
            Machine::Aarch64 => (&["arm,pl011"], &["arm,cortex-a15-gic", "arm,gic-400"]),
            Machine::Riscv64 => (&["ns16550a"], &["riscv,plic0", "sifive,plic-1.0.0"]),
        };
        let mut registers = node.registers();
        if node.is_compatible(uart) && console.is_none_or(|name| node.is_called(name)) {
            self.console = self.console.or(registers.next().map(|range| range.start));
        } else if node.is_compatible(controller) {
            self.platform.interrupts = registers.next().unwrap_or_default();
            self.platform.interrupts_cpu = registers.next().unwrap_or_default();
            self.contexts = Some(*node);
        } else if node.is_compatible(&["sifive,test0", "sifive,test1"]) {
            self.platform.power = registers.next().map_or(0, |range| range.start);
        }
    }

    /// Sees whether everything was there.
    pub(super) fn finish(mut self) -> Result<Platform, Refusal> {
        let missing = |what, found| {
            if found {
                Ok(())
            } else {
                Err(Refusal::Missing(what))
            }
        };
        self.platform.console = self.console.ok_or(Refusal::Missing("console"))?;
        missing("RAM at the kernel", !self.platform.memory.is_empty())?;
        let controller = &self.platform.interrupts;
        missing("interrupt controller", !controller.is_empty())?;
        let end = self.platform.memory.end;
        if !self.platform.memory.start.is_multiple_of(4096) || !end.is_multiple_of(4096) {
            return Err(Refusal::Malformed("RAM is not whole pages"));
        }
        self.choose_cores()?;
        match self.machine {
            Machine::Aarch64 => {
                let interface = !self.platform.interrupts_cpu.is_empty();
                missing("interrupt controller of version 2", interface)?;
                let line = self.timer_line.ok_or(Refusal::Missing("generic timer"))?;
                self.platform.timer_line = line;
                // Without PSCI the first core works alone and cannot power off.
                self.platform.smc = self.conduit == Some("smc");
            }
            Machine::Riscv64 => {
                missing("timebase-frequency", self.platform.frequency != 0)?;
                self.find_contexts()?;
            }
        }
        Ok(self.platform)
    }

    /// The core that booted, then the others, as many as there is room for.
    fn choose_cores(&mut self) -> Result<(), Refusal> {
        let cores = &mut self.cores[..self.core_count];
        let first = cores.iter().position(|core| core.id == self.boot_id);
        cores.swap(0, first.ok_or(Refusal::Missing("core that booted"))?);
        self.platform.cores = cores.len().min(CORES);
        for (id, core) in self.platform.core_ids.iter_mut().zip(cores) {
            *id = core.id;
        }
        Ok(())
    }

    /// The number of each core's supervisor among the PLIC's contexts.
    fn find_contexts(&mut self) -> Result<(), Refusal> {
        const CONTEXT: Refusal = Refusal::Missing("interrupt context for a core");

        let node = self.contexts.ok_or(CONTEXT)?;
        let cores = self.cores.iter().take(self.platform.cores);
        for (context, core) in self.platform.contexts.iter_mut().zip(cores) {
            let mut cells = node.cells("interrupts-extended");
            let mut pairs = core::iter::from_fn(|| Some((cells.next()?, cells.next()?)));
            let found = pairs.position(|(controller, interrupt)| {
                Some(controller) == core.controller && interrupt == SUPERVISOR_EXTERNAL
            });
            *context = found.ok_or(CONTEXT)? as u32;
        }
        Ok(())
    }
}
