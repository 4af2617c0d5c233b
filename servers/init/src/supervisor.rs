//! The supervisor's state, and how the page's tasks come to run.

use crate::{
    badge::Badge,
    devices::Devices,
    give::Giver,
    image::{self, Shared, Source},
    launch::{self, LaunchError, Sizes},
    layout::{Random, SPAN},
    mapped,
    report::Rate,
    restart::History,
    slots::{Origin, Slot, Slots},
    wiring,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::time::Duration;
use libipc::{
    Capability, PAGE, Start,
    handle::Rights,
    interfaces::loader::{ElfError, Plan},
    objects::{EndpointClient, MemoryClient, SystemClient},
    start::AnyError,
    time::{self, Instant},
};
use tessera_archive::{Archive, Interfaces, Kind, Symbols};
use tessera_loader::{Limits, Machine};
use tessera_page::Page;

/// Everything that the supervisor knows.
#[derive(Debug)]
pub struct Supervisor {
    pub(crate) page: &'static Page,
    pub(crate) archive: Archive<'static>,
    pub(crate) archive_memory: &'static MemoryClient,
    /// The programs of the archive that were started, each checked once.
    packed: Vec<&'static Packed>,
    pub(crate) devices: Devices,
    pub(crate) system: SystemClient,
    /// Where everybody calls.
    pub(crate) endpoint: EndpointClient,
    /// Endpoints of the page's servers, which outlive them, by name.
    pub(crate) endpoints: Vec<PageEndpoint>,
    pub(crate) slots: Slots,
    /// A task may wait to be started again.
    pub(crate) restarts: bool,
    /// Where pages of programs are composed.
    pub(crate) scratch: Box<image::Page>,
    /// Cores of the machine.
    pub(crate) cores: u64,
    pub(crate) random: Random,
    pub(crate) rate: Rate,
    pub(crate) started: Instant,
}

/// An endpoint of the page.
#[derive(Debug)]
pub(crate) struct PageEndpoint {
    pub(crate) name: &'static str,
    pub(crate) endpoint: EndpointClient,
    /// Its number in the kernel.
    pub(crate) id: u64,
}

/// A program of the archive, found to be whole.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    file: &'static [u8],
    shared: Shared,
}

impl Source for &Packed {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ElfError> {
        (&mut &*self.file).read(offset, into)
    }

    fn shared(&self) -> Option<Shared> {
        Some(self.shared)
    }
}

impl Supervisor {
    /// Takes what the kernel gave and reads the page.
    pub fn new(mut start: Start) -> Result<Supervisor, AnyError> {
        let random = Random::new(start.seed());
        let system: SystemClient = start.take("system")?;
        let archive_memory: &'static MemoryClient = Box::leak(Box::new(start.take("archive")?));
        let tree_memory: MemoryClient = start.take("devicetree")?;
        // No capability, but where in the memory's first page the tree begins.
        let tree_offset = start
            .take::<Capability>("devicetree-offset")?
            .into_handle()
            .0;
        let archive = Archive::new(mapped::for_good(archive_memory)?)?;
        let entry = archive.find(Kind::Page, tessera_page::ENTRY);
        let entry = entry.ok_or_else(|| AnyError::new("the archive has no system page"))?;
        entry.verify()?;
        let tree = mapped::for_good(&tree_memory)?;
        let tree = tree.get(tree_offset as usize..).unwrap_or_default();
        let endpoint = libipc::task().create_endpoint()?;
        let cores = system.counters()?.cores.max(1);
        Ok(Supervisor {
            page: Box::leak(Box::new(tessera_page::decode(entry.data)?)),
            archive,
            archive_memory,
            packed: Vec::new(),
            devices: Devices::new(tree),
            system,
            endpoint,
            endpoints: Vec::new(),
            slots: Slots::default(),
            restarts: false,
            scratch: Box::new(image::Page::new()),
            cores,
            random,
            rate: Rate::default(),
            started: Instant::now(),
        })
    }

    /// Makes the page's endpoints and starts its tasks, in the page's order.
    pub fn start_page(&mut self) -> Result<(), AnyError> {
        let page = self.page;
        for name in page.tasks.iter().flat_map(|task| &task.provides) {
            let endpoint = libipc::task().create_endpoint()?;
            let id = endpoint.info()?.id;
            self.endpoints.push(PageEndpoint { name, endpoint, id });
        }
        for (index, task) in page.tasks.iter().enumerate() {
            self.slots.add(Slot {
                name: task.name.clone(),
                program: &task.program,
                origin: Origin::Page {
                    index,
                    history: History::new(task.restart),
                    again: None,
                },
                running: None,
            });
        }
        for number in 1..=page.tasks.len() as u64 {
            if let Err(error) = self.start_task(number) {
                let name = &page.tasks[number as usize - 1].name;
                self.log(&format!("init: cannot start `{name}`: {error}\n"));
                self.set_down(number);
            }
        }
        let counters = self.system.counters()?;
        self.log(&format!(
            "init: system `{}`: {} tasks started, {} KiB of {} KiB free\n",
            page.name,
            self.slots
                .iter()
                .filter(|(_, slot)| slot.running.is_some())
                .count(),
            counters.free * 4,
            counters.frames * 4,
        ));
        Ok(())
    }

    /// Makes the page's task with this number and lets it run.
    pub(crate) fn start_task(&mut self, number: u64) -> Result<(), LaunchError> {
        let page = self.page;
        let Some(task) = page.tasks.get(number as usize - 1) else {
            return Ok(());
        };
        let packed = self.packed(&task.program)?;
        let sizes = Sizes {
            quota: task.quota,
            heap: task.heap,
            stack: task.stack,
        };
        let handler = (&self.endpoint, Badge::Fault(number));
        let random = self.random.draw();
        let mut file = packed;
        let own = libipc::task();
        let (plan, scratch) = (&packed.plan, &mut *self.scratch);
        let loaded = launch::load(&own, plan, &mut file, sizes, random, handler, scratch);
        let mut running = loaded?;

        let mut arguments = task.args.clone();
        arguments.extend(wiring::client_arguments(page, task));
        let mut giver = Giver::new(self, number);
        let given =
            wiring::holdings(task).try_for_each(|holding| giver.give(&mut running, &holding));
        arguments.append(&mut running.arguments);
        running.core = match task.core {
            Some(core) => u64::from(core) % self.cores,
            None => self.free_core(),
        };
        if let Some(reservation) = task.reservation {
            let ticks = |us: u32| time::to_ticks(Duration::from_micros(us.into()));
            let (budget, period) = (ticks(reservation.budget_us), ticks(reservation.period_us));
            running.time = Some(self.system.create_reservation(budget.max(1), period)?);
        }
        let arguments = arguments.iter().map(String::as_str);
        let (priority, seed) = (task.priority.into(), self.random.draw());
        let (name, scratch) = (&task.name, &mut *self.scratch);
        let started = given
            .and_then(|()| launch::prepare(&mut running, name, arguments, priority, seed, scratch))
            .and_then(|first| {
                let thread = first.make(&running)?;
                // It may run at once, and drives the console from then on.
                if task.provides.iter().any(|name| name == CONSOLE) {
                    self.system.release_console()?;
                }
                Ok(thread.resume()?)
            });
        if let Err(error) = started {
            // What was made goes with the task.
            let _ = running.task.kill();
            return Err(error);
        }
        let now = self.now();
        if let Some(slot) = self.slots.get_mut(number) {
            slot.running = Some(running);
            if let Origin::Page { history, again, .. } = &mut slot.origin {
                history.started(now);
                *again = None;
            }
        }
        Ok(())
    }

    /// The core with the least load.
    pub(crate) fn free_core(&self) -> u64 {
        match self.cores {
            1 => 0,
            cores => least(&self.slots.load(cores)),
        }
    }

    /// The archive's program of this name, checked and read: once, for nobody can
    /// write the archive.
    pub(crate) fn packed(&mut self, program: &str) -> Result<&'static Packed, ElfError> {
        if let Some(known) = self.packed.iter().find(|known| known.name == program) {
            return Ok(known);
        }
        let entry = self.archive.find(Kind::Program, program);
        let entry = entry.ok_or(ElfError::Unreadable)?;
        entry.verify().map_err(|_| ElfError::Unreadable)?;
        let plan = tessera_loader::read(entry.data, Machine::THIS)?;
        let limits = Limits {
            file: entry.data.len() as u64,
            span: SPAN,
        };
        tessera_loader::check(&plan, limits)?;
        let packed: &'static Packed = Box::leak(Box::new(Packed {
            name: entry.name,
            plan,
            file: entry.data,
            shared: Shared {
                memory: self.archive_memory,
                first: entry.offset / PAGE as u64,
                segments: image::unchanged(&plan, &mut &*entry.data)?,
            },
        }));
        self.packed.push(packed);
        Ok(packed)
    }

    /// Names of a program's functions.
    pub(crate) fn symbols(&self, program: &str) -> Option<Symbols<'static>> {
        Symbols::new(self.archive.find(Kind::Symbols, program)?.data)
    }

    /// Names of interfaces and operations.
    pub(crate) fn interfaces(&self) -> Option<Interfaces<'static>> {
        let entry = self
            .archive
            .find(Kind::Interfaces, tessera_archive::INTERFACES);
        Interfaces::new(entry?.data)
    }

    /// The endpoint that the page calls `name`.
    pub(crate) fn page_endpoint(&self, name: &str) -> Option<&PageEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    /// Milliseconds since the supervisor began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes to the kernel's log.
    pub(crate) fn log(&self, text: &str) {
        for line in text.split_inclusive('\n') {
            let mut rest = line;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.floor_char_boundary(LOG_PIECE));
                // There is nobody else to tell that the log is out of order.
                let _ = self.system.log(piece);
                rest = after;
            }
        }
    }

    /// A capability for the supervisor's own endpoint, that calls as `badge`.
    pub(crate) fn mint_own(&self, badge: Badge) -> Result<Capability, LaunchError> {
        let rights = Rights::CALL | Rights::GRANT;
        let minted = self
            .endpoint
            .mint(badge.to_word(), rights.bits().into(), IN_FLIGHT)?;
        Ok(minted.into())
    }
}

/// The core with the least load, the first of them.
fn least(load: &[u64]) -> u64 {
    let cores = 0..load.len() as u64;
    cores
        .min_by_key(|core| load[*core as usize])
        .unwrap_or_default()
}

/// The endpoint whose server takes the console over from the kernel.
const CONSOLE: &str = "console";

/// Bytes that the kernel's log takes at once.
const LOG_PIECE: usize = 512;

/// Most calls in flight through one capability of a page.
pub(crate) const IN_FLIGHT: u64 = 64;

#[cfg(test)]
mod tests {
    use super::least;

    #[test]
    fn the_first_of_the_least_loaded_cores_is_chosen() {
        assert_eq!(least(&[1]), 0);
        assert_eq!(least(&[1, 0, 0]), 1);
        assert_eq!(least(&[1, 1, 0]), 2);
        assert_eq!(least(&[2, 1, 1]), 1);
        assert_eq!(least(&[]), 0);
    }
}
