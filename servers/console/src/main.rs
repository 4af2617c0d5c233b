//! The console server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use libipc::{
    Start,
    interfaces::clients::{ClientArgument, is_successor, live_badges},
    objects::EndpointClient,
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
    let (uart, interrupt) = device::find(&mut start)?;

    let mut log = LogReader::find(&mut start, &endpoint, LOG);
    if let Some(log) = &mut log
        && is_successor(&endpoint)
    {
        // What led to the restart is worth showing again.
        let uptime = Instant::now().since(Instant::PAST).as_secs();
        log.skip_before(uptime.saturating_sub(6));
    }

    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let seats = Seats::new(&clients, live_badges(&endpoint));
    let terminal = Terminal::new(seats).ok_or_else(|| AnyError::new("no memory"))?;
    // Whom the page lets ask the owner: `asks:NAME`.
    let arguments = start.arguments().iter();
    let may_ask = arguments.filter_map(|argument| argument.strip_prefix("asks:"));
    let may_ask: Vec<_> = may_ask.collect();
    let askers = clients
        .iter()
        .filter(|client| may_ask.contains(&client.name));
    let askers = askers.map(|client| client.badge).collect();
    let server = Server::new(&endpoint, terminal, uart, interrupt, log);
    let mut server = server.with_askers(askers);
    Err(AnyError::new(server.run()))
}
