//! What is wrong with one task, and its compiled form.

use std::collections::{BTreeMap, BTreeSet};

use tessera_page::{
    Device, Grant, Power, Reservation, Restart, RestartPolicy, Right, SystemObject, Task, Use,
    Virtio,
};
use toml::Spanned;

use super::check::{Checker, LONGEST_NAME};
use super::problem::suggest;
use super::schema::{Name, RawReservation, RawRestart, RawTask, RawUse};
use super::units::Size;

/// Shortest period that the kernel accepts, in microseconds.
const SHORTEST_PERIOD: u32 = 100;

/// Sizes of memory are whole pages.
const PAGE: u64 = 4096;

impl<'c> Checker<'c, '_> {
    /// Checks a task by itself and compiles it.
    pub(super) fn task(&mut self, task: &'c RawTask) -> Task {
        self.unsupported(task);
        self.mates(task);
        let (heap, stack) = self.memory(task);
        let priority = self.priority(&task.priority);
        let core = task.core.as_ref().map(|core| self.core(core));
        let compiled = Task {
            name: task.name.get_ref().clone(),
            program: task.program.get_ref().clone(),
            args: task
                .args
                .iter()
                .cloned()
                .chain(self.accounts(task))
                .collect(),
            quota: task.quota.get_ref().0,
            heap,
            stack,
            priority,
            core,
            reservation: task.reservation.as_ref().map(|raw| self.reservation(raw)),
            restart: self.restart(task.restart.as_ref()),
            provides: task
                .provides
                .iter()
                .map(|name| name.get_ref().clone())
                .collect(),
            proxies: self.proxies(task),
            uses: task
                .uses
                .iter()
                .map(|(name, raw)| self.usage(name, raw))
                .collect(),
            powers: self.all_of("power", &task.powers, Power::ALL, Power::name),
            system: self.all_of("kernel object", &task.system, SystemObject::ALL, |o| {
                o.name()
            }),
            devices: task
                .devices
                .iter()
                .map(|device| Device {
                    name: device.name.get_ref().clone(),
                    compatible: device
                        .compatible
                        .iter()
                        .map(|c| c.get_ref().clone())
                        .collect(),
                    virtio: self
                        .all_of(
                            "type of virtio device",
                            device.virtio.as_slice(),
                            Virtio::ALL,
                            |kind| kind.name(),
                        )
                        .pop(),
                    index: device.index,
                    interrupt: device.interrupt || device.virtio.is_some(),
                })
                .collect(),
            grants: task
                .grants
                .iter()
                .filter_map(|name| self.grant(name))
                .collect(),
        };
        if let (Some(first), false) = (task.grants.first(), compiled.powers.contains(&Power::Start))
        {
            let text = format!(
                "`{}` has grants but not the power `start`, so it starts nothing to grant them to",
                task.name.get_ref()
            );
            self.problems.add(first.span(), text);
        }
        self.distinct_capabilities(task);
        self.partitions(task);
        compiled
    }

    /// A task passes on what calls of its own endpoints ask.
    fn proxies(&mut self, task: &RawTask) -> Vec<String> {
        let own = task.provides.iter().map(|name| name.get_ref().as_str());
        for name in &task.proxies {
            if !own.clone().any(|own| own == name.get_ref()) {
                let known = suggest(name.get_ref(), own.clone());
                let text = format!("`{}` is not provided here{known}", name.get_ref());
                self.problems.add(name.span(), text);
            }
        }
        let names = task.proxies.iter();
        names.map(|name| name.get_ref().clone()).collect()
    }

    fn unsupported(&mut self, task: &RawTask) {
        match task
            .placement
            .as_ref()
            .map(|name| (name.get_ref().as_str(), name.span()))
        {
            None | Some(("far", _)) => {}
            Some(("near", span)) => {
                self.problems
                    .add(span, "placement `near` is not supported yet: use `far`");
            }
            Some((other, span)) => {
                let text = format!(
                    "`{other}` is no placement{}",
                    suggest(other, ["far", "near"])
                );
                self.problems.add(span, text);
            }
        }
    }

    fn mates(&mut self, task: &RawTask) {
        for mate in &task.cell_mates {
            let name = mate.get_ref();
            let others = || self.raw.tasks.iter().filter(|t| t.name != task.name);
            let Some(other) = others().find(|t| t.name.get_ref() == name) else {
                let known = suggest(name, others().map(|t| t.name.get_ref().as_str()));
                self.problems
                    .add(mate.span(), format!("`{name}` is no other task{known}"));
                continue;
            };
            if !other
                .cell_mates
                .iter()
                .any(|back| back.get_ref() == task.name.get_ref())
            {
                let text = format!(
                    "both sides must agree to share a cell: `{name}` does not list `{}`",
                    task.name.get_ref()
                );
                self.problems.add(mate.span(), text);
            }
        }
    }

    /// Heap and stack, which must fit in the quota.
    fn memory(&mut self, task: &RawTask) -> (u64, u64) {
        let heap = task.heap.as_ref().map_or(64 << 10, |size| size.get_ref().0);
        let stack = task
            .stack
            .as_ref()
            .map_or(16 << 10, |size| size.get_ref().0);
        let sizes = [Some(&task.quota), task.heap.as_ref(), task.stack.as_ref()];
        for size in sizes.into_iter().flatten() {
            let bytes = size.get_ref().0;
            if bytes == 0 || !bytes.is_multiple_of(PAGE) {
                let text = format!("{bytes} bytes are not a whole number of pages of 4K");
                self.problems.add(size.span(), text);
            }
        }
        let quota = task.quota.get_ref().0;
        if heap.saturating_add(stack) >= quota {
            let text = format!(
                "the quota of {} does not hold a heap of {}, a stack of {} and the program",
                Size(quota),
                Size(heap),
                Size(stack)
            );
            self.problems.add(task.quota.span(), text);
        }
        (heap, stack)
    }

    fn priority(&mut self, priority: &Spanned<i64>) -> u8 {
        match u8::try_from(*priority.get_ref()) {
            Ok(value @ 1..=254) => value,
            _ => {
                self.problems
                    .add(priority.span(), "a priority is a number from 1 to 254");
                0
            }
        }
    }

    fn core(&mut self, core: &Spanned<i64>) -> u8 {
        match u8::try_from(*core.get_ref()) {
            Ok(value @ 0..=7) => value,
            _ => {
                self.problems
                    .add(core.span(), "a core is a number from 0 to 7");
                0
            }
        }
    }

    fn reservation(&mut self, raw: &Spanned<RawReservation>) -> Reservation {
        let (budget, period) = (raw.get_ref().budget.0, raw.get_ref().period.0);
        if budget == 0 || budget > period {
            let text = "a budget is more than nothing and no more than its period";
            self.problems.add(raw.span(), text);
        } else if period < SHORTEST_PERIOD {
            let text = format!("a period is at least {SHORTEST_PERIOD}us");
            self.problems.add(raw.span(), text);
        }
        Reservation {
            budget_us: budget,
            period_us: period,
        }
    }

    fn restart(&mut self, raw: Option<&Spanned<RawRestart>>) -> Restart {
        let (backoff, max_backoff, max) = (100, 5000, 10);
        let mut restart = Restart {
            policy: RestartPolicy::Never,
            backoff_ms: backoff,
            max_backoff_ms: max_backoff,
            max,
        };
        let Some(spanned) = raw else { return restart };
        let raw = spanned.get_ref();
        restart.backoff_ms = raw.backoff.map_or(backoff, |time| time.0);
        restart.max_backoff_ms = raw.max_backoff.map_or(max_backoff, |time| time.0);
        restart.max = raw.max.unwrap_or(max);
        restart.policy = match raw.policy.get_ref().as_str() {
            "always" => RestartPolicy::Always,
            "on-fault" => RestartPolicy::OnFault,
            "never" => RestartPolicy::Never,
            other => {
                let known = suggest(other, ["always", "on-fault", "never"]);
                let text = format!("`{other}` is no restart policy{known}");
                self.problems.add(raw.policy.span(), text);
                RestartPolicy::Never
            }
        };
        if restart.backoff_ms == 0 || restart.backoff_ms > restart.max_backoff_ms {
            let text = "`backoff` must be more than nothing and at most `max-backoff`";
            self.problems.add(spanned.span(), text);
        }
        restart
    }

    fn usage(&mut self, name: &Name, raw: &RawUse) -> Use {
        let endpoint = raw.endpoint.as_ref().unwrap_or(name);
        if !self.providers.contains_key(endpoint.get_ref().as_str()) {
            let known = suggest(endpoint.get_ref(), self.providers.keys().copied());
            let text = format!(
                "nobody provides an endpoint `{}`{known}",
                endpoint.get_ref()
            );
            self.problems.add(endpoint.span(), text);
        }
        let rights = self.all_of("right of an endpoint", &raw.rights, Right::ALL, Right::name);
        if !rights.contains(&Right::Call) && !rights.contains(&Right::Signal) {
            let text = format!(
                "`{}` can do nothing without the right `call` or `signal`",
                name.get_ref()
            );
            self.problems.add(name.span(), text);
        }
        Use {
            name: name.get_ref().clone(),
            endpoint: endpoint.get_ref().clone(),
            rights,
            partition: raw.partition.as_ref().map(|name| name.get_ref().clone()),
            optional: raw.optional,
        }
    }

    /// All uses of an endpoint are one client to its server, which sees one partition,
    /// and knows it by the arguments that it is started with.
    fn partitions(&mut self, task: &'c RawTask) {
        let mut seen = BTreeMap::new();
        for (name, raw) in &task.uses {
            let endpoint = raw.endpoint.as_ref().unwrap_or(name).get_ref();
            let partition = raw.partition.as_ref().map(|partition| partition.get_ref());
            if *seen.entry(endpoint).or_insert(partition) != partition {
                let text = format!("`{endpoint}` would be another partition in another use");
                self.problems.add(name.span(), text);
            }
            if partition.is_some_and(String::is_empty) {
                let text = "a partition has a name, or a number from 1 on";
                self.problems.add(name.span(), text);
            }
        }
    }

    /// Finds each of `names` among `known`, and none twice.
    fn all_of<T: Copy + PartialEq>(
        &mut self,
        what: &str,
        names: &[Name],
        known: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for name in names {
            let text = name.get_ref();
            match known.iter().copied().find(|one| name_of(*one) == text) {
                Some(one) if found.contains(&one) => {
                    self.problems
                        .add(name.span(), format!("`{text}` stands here twice"));
                }
                Some(one) => found.push(one),
                None => {
                    let names = suggest(text, known.iter().map(|one| name_of(*one)));
                    self.problems
                        .add(name.span(), format!("`{text}` is no {what}{names}"));
                }
            }
        }
        found
    }

    fn grant(&mut self, name: &Name) -> Option<Grant> {
        let text = name.get_ref().as_str();
        if let Some(power) = Power::from_name(text) {
            return Some(Grant::Power(power));
        }
        if let Some(object) = SystemObject::from_name(text) {
            return Some(Grant::System(object));
        }
        if self.providers.contains_key(text) {
            return Some(Grant::Endpoint(text.into()));
        }
        if let Some((alias, endpoint)) = text.split_once('=')
            && self.providers.contains_key(endpoint)
        {
            return Some(Grant::Named(alias.into(), endpoint.into()));
        }
        let powers = Power::ALL.iter().map(|power| power.name());
        let objects = SystemObject::ALL.iter().map(|object| object.name());
        let known = suggest(
            text,
            powers.chain(objects).chain(self.providers.keys().copied()),
        );
        self.problems
            .add(name.span(), format!("`{text}` cannot be granted{known}"));
        None
    }

    /// A program finds each capability by name, so no two may have one name.
    fn distinct_capabilities(&mut self, task: &RawTask) {
        let mut seen = BTreeSet::new();
        let own = task.provides.iter().chain(task.uses.keys());
        let own = own.chain(&task.powers).chain(&task.system);
        let mut names: Vec<_> = own
            .map(|name| (name.get_ref().clone(), name.span()))
            .collect();
        for device in &task.devices {
            self.well_formed(&device.name);
            names.push((device.name.get_ref().clone(), device.name.span()));
            if device.interrupt || device.virtio.is_some() {
                names.push((format!("{}-irq", device.name.get_ref()), device.name.span()));
            }
            if device.virtio.is_some() {
                names.push((format!("{}-dma", device.name.get_ref()), device.name.span()));
            }
        }
        for (name, span) in names {
            if name.len() > LONGEST_NAME {
                let text = format!("`{name}` is longer than {LONGEST_NAME} bytes");
                self.problems.add(span.clone(), text);
            }
            if !seen.insert(name.clone()) {
                let text = format!(
                    "`{}` would have two capabilities named `{name}`",
                    task.name.get_ref()
                );
                self.problems.add(span, text);
            }
        }
    }
}
