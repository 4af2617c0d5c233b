//! The block server over a virtio device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{format, vec::Vec};
use libipc::{
    CallError, Start, Text,
    handle::Rights,
    interfaces::{
        LogClient, LogLevel,
        clients::{ClientArgument, ExportArgument, PartitionArgument, SERVER_BADGES},
        virtio::VirtioClient,
    },
    objects::EndpointClient,
    start::AnyError,
    time::Instant,
};
use tessera_block::{partitions::TableError, server::Server, virtio::VirtioDisk};

libipc::program!(run);

/// Signal bit of the device.
const SIGNAL: u64 = 1;

fn run(mut start: Start) -> Result<(), AnyError> {
    let proxy: VirtioClient = start.take("device")?;
    let log: Option<LogClient> = start.take("log").ok();
    if let Err(CallError::Transport(error)) = proxy.config(0, 1)
        && error.is_closed()
    {
        // The machine has no such device.
        return Ok(());
    }
    // The page gives this task one endpoint more, by whatever name.
    let served = start.names().next();
    let served = served.ok_or_else(|| AnyError::new("no endpoint was given to this task"))?;
    let endpoint: EndpointClient = start.take(served)?;
    // The session of whoever signals ends if that task does. It is not that of a
    // predecessor, which ends now.
    let device = SERVER_BADGES | Instant::now().ticks();
    let rights = Rights::SIGNAL | Rights::GRANT;
    let told = endpoint.mint(device, rights.bits().into(), 1)?;
    let disk = VirtioDisk::new(proxy, told, SIGNAL)?;
    let mut server = Server::new(disk)?;
    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments
        .clone()
        .filter_map(|a| ClientArgument::parse(a))
        .collect();
    let restricted: Vec<_> = arguments
        .clone()
        .filter_map(|a| PartitionArgument::parse(a))
        .collect();
    let leaving: Vec<_> = arguments.filter_map(|a| ExportArgument::parse(a)).collect();
    let table = server.prepare(&endpoint, &clients, &restricted, &leaving)?;
    if let Err(error) = table
        && (*error != TableError::None || !restricted.is_empty())
    {
        // Who else has the disk goes on, and may be who mends the table.
        let text = Text::new(&format!("no partitions: {error}")).unwrap_or_default();
        // Without a log there is nobody to tell.
        log.map(|log| log.append(LogLevel::Error, text));
    }
    Err(server.run(&endpoint, Some(device)))
}
