//! The log server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use libipc::{
    Start, interfaces::clients::ClientArgument, objects::EndpointClient, start::AnyError,
};
use tessera_log::{
    journal::Journal,
    server::{self, Server},
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("log")?;
    let kernel = start.take("kernel-log").ok();
    let arguments = start.arguments().iter();
    let clients: Vec<_> = arguments.filter_map(|a| ClientArgument::parse(a)).collect();
    let journal = Journal::new(&clients, server::now());
    Err(AnyError::new(Server::new(&endpoint, journal, kernel).run()))
}
