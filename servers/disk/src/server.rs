//! What the servers of all file systems on disks have in common.

use crate::BlockDisk;
use alloc::{format, vec::Vec};
use libipc::{
    CallError, ExitCode, PAGE, Start, Text,
    interfaces::{
        FileError, LogClient, LogLevel,
        block::BlockClient,
        clients::{
            AccountArgument, ClientArgument, ExportArgument, MountArgument, SERVER_BADGES,
            live_badges,
        },
    },
    memory::Bytes,
    objects::EndpointClient,
    start::{AnyError, DISK, SERVED},
};
use tessera_files::{
    namespace::Namespace,
    quota::{Accounts, Limits},
    server::Server,
    service::Service,
    volume::Volume,
};

/// Serves the file system on a disk that the program was given: `mount` makes a volume of
/// it, with memory for a cache that the disk's driver knows, where these own files.
///
/// A program that a shell has started for a mount says by its exit code why it cannot
/// serve, which is a [`FileError`]. One of the page says it in the log, and ends well
/// where trying again would find the same.
pub fn serve<V: Volume + 'static>(
    mut start: Start,
    mount: impl FnOnce(BlockDisk, Bytes, &[AccountArgument<'_>]) -> Result<V, FileError>,
) -> Result<ExitCode, AnyError> {
    let endpoint: EndpointClient = start.take(SERVED)?;
    let block: BlockClient = start.take(DISK)?;
    let log: Option<LogClient> = start.take("log").ok();
    if let Err(CallError::Transport(error)) = block.geometry()
        && error.is_closed()
    {
        // Without a disk there is nothing to serve.
        return Ok(ExitCode::SUCCESS);
    }
    let heap = start.heap();
    // The cache is as large as the heap, beside it.
    let cache = Bytes::new(heap / PAGE as u64)?;
    let disk = BlockDisk::new(block, Some(cache.share()));
    let arguments = start.arguments().iter();
    let owners: Vec<_> = arguments
        .clone()
        .filter_map(|argument| AccountArgument::parse(argument))
        .collect();
    let volume = disk
        .map_err(|_| FileError::DeviceFailed)
        .and_then(|disk| mount(disk, cache, &owners));
    let mounted = arguments.clone().find_map(|a| MountArgument::parse(a));
    let volume = match volume {
        Ok(volume) => volume,
        Err(error) => {
            let place = mounted.map_or("/data", |mounted| mounted.path);
            let text = format!("{place} cannot be used: {error}");
            // Without a log there is nobody to tell.
            log.map(|log| log.append(LogLevel::Error, Text::new(&text).unwrap_or_default()));
            return match error {
                error if mounted.is_some() => Ok(ExitCode(error as u8)),
                FileError::Corrupt => Ok(ExitCode::SUCCESS),
                error => Err(AnyError::new(error)),
            };
        }
    };
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
    let limits = Limits::of_heap(heap / 8);
    let accounts = Accounts::of_clients(limits, &clients, &owners);
    let service = Service::new(Namespace::of(volume), accounts, &clients, newest + 1);
    let exports = start.arguments().iter();
    let exports = exports.filter_map(|argument| ExportArgument::parse(argument));
    let service = service.with_exports(exports.map(|export| export.badge));
    let mut server =
        Server::new(&endpoint, service, Vec::new()).with_clock(start.take("clock").ok());
    Err(AnyError::new(server.run()))
}
