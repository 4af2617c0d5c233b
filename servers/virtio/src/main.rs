//! The queue proxy of one virtio device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use libipc::{
    Start,
    handle::Rights,
    interfaces::clients::{DeviceArgument, VirtioPci, VirtioPciArgument},
    memory::Mapping,
    objects::{DmaClient, EndpointClient, InterruptClient, MemoryClient},
    start::AnyError,
};
use tessera_virtio::proxy::{Registers, mmio::Mmio, pci::Pci, server::Server};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let mut arguments = start.arguments().iter();
    let device = arguments.find_map(|argument| DeviceArgument::parse(argument));
    let device = device.ok_or_else(|| AnyError::new("no device was given to this task"))?;
    let registers: MemoryClient = start.take(device.name)?;
    let interrupt: InterruptClient = start.take(&format!("{}-irq", device.name))?;
    let dma: DmaClient = start.take(&format!("{}-dma", device.name))?;
    // The page gives this task one endpoint, by whatever name.
    let served = start.names().next();
    let served = served.ok_or_else(|| AnyError::new("no endpoint was given to this task"))?;
    let endpoint: EndpointClient = start.take(served)?;

    let mapping = Mapping::new(&registers, Rights::READ | Rights::WRITE)?;
    let mut arguments = start.arguments().iter();
    let pci = arguments.find_map(|argument| VirtioPciArgument::parse(argument));
    match pci.filter(|_| device.compatible == VirtioPci::COMPATIBLE) {
        Some(pci) => serve(Pci::new(mapping, pci.parts), dma, &endpoint, &interrupt),
        None => {
            let registers = Mmio::new(mapping, device.offset as usize);
            serve(registers, dma, &endpoint, &interrupt)
        }
    }
}

/// Serves the device with these registers, and returns why that has ended.
fn serve(
    registers: Option<impl Registers>,
    dma: DmaClient,
    endpoint: &EndpointClient,
    interrupt: &InterruptClient,
) -> Result<(), AnyError> {
    let none = || AnyError::new("these are no registers of a virtio device");
    let mut server = Server::new(registers.ok_or_else(none)?, dma)?;
    Err(AnyError::new(server.run(endpoint, interrupt)))
}
