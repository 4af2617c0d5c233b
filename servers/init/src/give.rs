//! Puts into a task what the page says that it holds.

use crate::{
    badge::Badge,
    devices::Held,
    launch::{self, LaunchError},
    slots::Running,
    supervisor::{IN_FLIGHT, Supervisor},
    wiring::{self, Holding, What},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use libipc::{
    Capability,
    handle::Rights,
    interfaces::clients::{DeviceArgument, VirtioPciArgument},
};
use tessera_page::{Device, SystemObject};

/// What a server may do with an endpoint that it serves: receive, mint badges for its
/// clients, also such that may leave the device, and let interrupts and other tasks
/// signal it.
const SERVER: Rights = Rights::RECEIVE
    .union(Rights::CALL)
    .union(Rights::SIGNAL)
    .union(Rights::EXPORT)
    .union(Rights::GRANT);

/// Gives holdings to one task.
pub(crate) struct Giver<'s> {
    supervisor: &'s Supervisor,
    /// The slot on whose behalf the capabilities are used.
    number: u64,
    /// What was minted for it: all uses of an endpoint are one session, since
    /// it is the same client.
    minted: Vec<(String, Capability)>,
}

impl<'s> Giver<'s> {
    /// Gives on behalf of the task of slot `number`.
    pub(crate) fn new(supervisor: &'s Supervisor, number: u64) -> Giver<'s> {
        Giver {
            supervisor,
            number,
            minted: Vec::new(),
        }
    }

    /// Gives a holding.
    pub(crate) fn give(
        &mut self,
        running: &mut Running,
        holding: &Holding<'_>,
    ) -> Result<(), LaunchError> {
        let name = holding.name;
        let supervisor = self.supervisor;
        match holding.what {
            What::Server(endpoint) | What::Proxy(endpoint) => {
                let rights = match holding.what {
                    What::Proxy(_) => SERVER | Rights::PROXY,
                    _ => SERVER,
                };
                let Some(found) = supervisor.page_endpoint(endpoint) else {
                    return Err(LaunchError::Start);
                };
                launch::give(running, name, found.endpoint.as_ref(), rights)
            }
            What::Client(endpoint, rights) => match self.client(endpoint) {
                Err(error) if holding.optional && error.is_server_gone() => Ok(()),
                client => launch::give(running, name, client?, rights),
            },
            What::Power(power) => {
                let minted = supervisor.mint_own(Badge::Power(power, self.number))?;
                launch::give(running, name, &minted, Rights::CALL)
            }
            What::System(SystemObject::Archive) => {
                let archive = supervisor.archive_memory.as_ref();
                launch::give(running, name, archive, Rights::READ)
            }
            What::System(object) => {
                let right = wiring::system_right(object).unwrap_or(Rights::empty());
                launch::give(running, name, supervisor.system.as_ref(), right)
            }
            What::Device(device) => supervisor.give_device(running, device),
        }
    }

    /// The right to use another task's endpoint, with the badge of this one.
    fn client(&mut self, endpoint: &str) -> Result<&Capability, LaunchError> {
        let index = match self.minted.iter().position(|(name, _)| name == endpoint) {
            Some(index) => index,
            None => {
                let found = self.supervisor.page_endpoint(endpoint);
                let found = &found.ok_or(LaunchError::Start)?.endpoint;
                let minted = found.mint(self.number, CLIENT.bits().into(), IN_FLIGHT)?;
                self.minted.push((String::from(endpoint), minted.into()));
                self.minted.len() - 1
            }
        };
        Ok(&self.minted[index].1)
    }
}

/// All that a page can let a client do; each use gets its part of it.
const CLIENT: Rights = Rights::CALL
    .union(Rights::SIGNAL)
    .union(Rights::EXPORT)
    .union(Rights::GRANT);

impl Supervisor {
    /// Gives registers and interrupt of a device, and what it may reach by itself.
    fn give_device(&self, running: &mut Running, device: &Device) -> Result<(), LaunchError> {
        let found = self.devices.find(&self.system, device)?;
        let (address, pages) = found.pages();
        let memory = self.system.device_memory(address, pages)?;
        let registers = Rights::READ | Rights::WRITE;
        launch::give(running, &device.name, memory.as_ref(), registers)?;
        if let Some(line) = found.line.filter(|_| device.interrupt) {
            let interrupt = self.system.interrupt(line)?;
            let name = format!("{}-irq", device.name);
            launch::give(running, &name, interrupt.as_ref(), Rights::BIND)?;
        }
        if device.virtio.is_some() {
            let held = Held::new(&self.devices, &self.system, &memory, &found)?;
            let name = format!("{}-dma", device.name);
            launch::give(running, &name, held.dma().as_ref(), Rights::PIN)?;
            running.devices.push(held);
        }
        if let Some((_, parts)) = found.pci {
            let name = &device.name;
            let parts = VirtioPciArgument { name, parts };
            running.arguments.push(parts.to_string());
        }
        running.arguments.push(
            DeviceArgument {
                name: &device.name,
                compatible: found.compatible,
                offset: found.offset(),
            }
            .to_string(),
        );
        Ok(())
    }
}
