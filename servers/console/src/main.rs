//! The console server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use libipc::{
    Start,
    handle::Rights,
    interfaces::clients::{ClientArgument, DeviceArgument, is_successor, live_badges},
    memory::Mapping,
    objects::{EndpointClient, InterruptClient, MemoryClient},
    start::AnyError,
    time::Instant,
};
use tessera_console::{
    device,
    log::LogReader,
    seats::Seats,
    server::{LOG, Server},
    terminal::Terminal,
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("console")?;

    let device = start
        .arguments()
        .iter()
        .find_map(|a| DeviceArgument::parse(a));
    let device = device.ok_or_else(|| AnyError::new("no device was found for the console"))?;
    let registers: MemoryClient = start.take(device.name)?;
    let interrupt: InterruptClient = start.take(&alloc::format!("{}-irq", device.name))?;
    let mapping = Mapping::new(&registers, Rights::READ | Rights::WRITE)?;
    let uart = device::driver(device.compatible, mapping, device.offset)
        .ok_or_else(|| AnyError::new("the console has no driver for its device"))?;

    let mut log = match start.take("log") {
        Ok(log) => Some(LogReader::server(log, &endpoint, LOG)),
        Err(_) => start
            .take("kernel-log")
            .ok()
            .map(|system| LogReader::kernel(system, &endpoint, LOG)),
    };

    if let Some(log) = &mut log
        && is_successor(&endpoint)
    {
        // What led to the restart is worth showing again.
        log.skip_before(
            Instant::now()
                .since(Instant::PAST)
                .as_secs()
                .saturating_sub(6),
        );
    }

    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let seats = Seats::new(&clients, live_badges(&endpoint));
    let terminal = Terminal::new(seats).ok_or_else(|| AnyError::new("no memory"))?;
    Err(AnyError::new(
        Server::new(&endpoint, terminal, uart, interrupt, log).run(),
    ))
}
