//! The ext4 file server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{boxed::Box, format, vec::Vec};
use libipc::{
    CallError, PAGE, Start, Text,
    interfaces::{
        FileError, LogClient, LogLevel,
        block::BlockClient,
        clients::{ClientArgument, SERVER_BADGES, live_badges},
    },
    memory::Bytes,
    objects::EndpointClient,
    start::AnyError,
};
use tessera_disk::BlockDisk;
use tessera_ext4::{mounted::Time, volume::Ext4Volume};
use tessera_files::{namespace::Namespace, quota::Limits, server::Server, service::Service};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("data")?;
    let block: BlockClient = start.take("block")?;
    let log: Option<LogClient> = start.take("log").ok();
    if let Err(CallError::Transport(error)) = block.geometry()
        && error.is_closed()
    {
        // Without a disk there is nothing to serve.
        return Ok(());
    }
    let heap = start.heap();
    // The page cache is as large as the heap, beside it: the disk's driver knows it.
    let cache = Bytes::new(heap / PAGE as u64)?;
    let volume = BlockDisk::new(block, Some(cache.share()))
        .map_err(|_| FileError::DeviceFailed)
        .and_then(|disk| Ext4Volume::with_cache(disk, Box::new(cache), Time::default()));
    let volume = match volume {
        Ok(volume) => volume,
        Err(error) => {
            let text = Text::new(&format!("/data cannot be used: {error}")).unwrap_or_default();
            // Without a log there is nobody to tell.
            log.map(|log| log.append(LogLevel::Error, text));
            return match error {
                // Trying again would find the same.
                FileError::Corrupt => Ok(()),
                error => Err(AnyError::new(error)),
            };
        }
    };
    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
    let limits = Limits::of_heap(heap / 8);
    let service = Service::new(Namespace::of(volume), limits, &clients, newest + 1);
    let mut server =
        Server::new(&endpoint, service, Vec::new()).with_clock(start.take("clock").ok());
    Err(AnyError::new(server.run()))
}
