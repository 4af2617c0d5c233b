//! The file server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{boxed::Box, format, vec::Vec};
use core::time::Duration;
use libipc::{
    Start, Text,
    interfaces::{
        DirectoryClient, LogClient, LogLevel,
        clients::{ClientArgument, ExportArgument, SERVER_BADGES, live_badges},
    },
    objects::EndpointClient,
    start::AnyError,
};
use tessera_files::{
    boot::BootVolume,
    image,
    namespace::{Mount, Namespace},
    quota::{Accounts, Limits},
    ram::RamVolume,
    server::Server,
    service::Service,
};

/// How long another file server may hold up this one.
const PATIENCE: Duration = Duration::from_secs(5);

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("files")?;
    let log: Option<LogClient> = start.take("log").ok();

    // A damaged archive leaves /boot empty: what is in memory still works.
    let archive = start.take("archive").map_err(AnyError::from);
    let boot = match archive.and_then(image::map) {
        Ok(archive) => BootVolume::new(&archive),
        Err(error) => {
            let text = Text::new(&format!("/boot is empty: {error}")).unwrap_or_default();
            // Without a log there is nobody to tell.
            log.map(|log| log.append(LogLevel::Error, text));
            BootVolume::default()
        }
    };

    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
    let limits = Limits::of_heap(start.heap());
    // A persistent file system is a server of its own.
    let data = start.take("data").into_iter();
    let data: Vec<DirectoryClient> = data
        .map(|data: DirectoryClient| data.with_timeout(PATIENCE))
        .collect();
    let mut mounts = Vec::from([
        ("boot", Mount::Here(Box::new(boot))),
        ("tmp", Mount::Here(Box::new(RamVolume::default()))),
    ]);
    mounts.extend(data.iter().map(|_| ("data", Mount::Elsewhere(0))));
    let accounts = Accounts::of_clients(limits, &clients, &[]);
    let service = Service::new(Namespace::new(mounts), accounts, &clients, newest + 1);
    let exports = start.arguments().iter();
    let exports = exports.filter_map(|argument| ExportArgument::parse(argument));
    let service = service.with_exports(exports.map(|export| export.badge));
    let mut server = Server::new(&endpoint, service, data).with_clock(start.take("clock").ok());
    Err(AnyError::new(server.run()))
}
