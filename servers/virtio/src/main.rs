//! The queue proxy of one virtio device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use libipc::{
    Start,
    handle::Rights,
    interfaces::clients::DeviceArgument,
    memory::Mapping,
    objects::{DmaClient, EndpointClient, InterruptClient, MemoryClient},
    start::AnyError,
};
use tessera_virtio::proxy::{mmio::Mmio, server::Server};

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
    let registers = Mmio::new(mapping, device.offset as usize)
        .ok_or_else(|| AnyError::new("these are no registers of a virtio device"))?;
    Err(AnyError::new(
        Server::new(registers, dma)?.run(&endpoint, &interrupt),
    ))
}
