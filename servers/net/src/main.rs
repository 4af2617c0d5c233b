//! The network server over a network device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use libipc::{
    CallError, Start,
    handle::Rights,
    interfaces::{clients::ClientArgument, entropy::EntropyClient, link::LinkClient},
    objects::EndpointClient,
    start::AnyError,
    thread,
};
use tessera_net::{
    config::{Commands, Relay},
    link::LinkPort,
    server::{COMMAND, DEVICE, Server, now},
    settings::Settings,
    stack::{Identity, Stack},
};

libipc::program!(run);

/// How the name of the endpoint for configuration ends.
const CONFIG: &str = "-config";

/// The heap that is not for sockets' buffers.
const REST: usize = 1 << 20;

fn run(mut start: Start) -> Result<(), AnyError> {
    let link: LinkClient = start.take("link")?;
    let entropy: EntropyClient = start.take("entropy")?;
    // The page gives this task one endpoint more, or two: one for its configuration.
    let (config, sockets) = start
        .names()
        .partition::<Vec<_>, _>(|name| name.ends_with(CONFIG));
    let served = sockets.first().copied().unwrap_or_default();
    let endpoint: EndpointClient = start.take(served)?;
    let told = || -> Result<EndpointClient, AnyError> {
        let rights = Rights::SIGNAL | Rights::GRANT;
        Ok(endpoint.as_ref().derive(rights)?.into())
    };
    let port = match LinkPort::new(link, told()?, DEVICE) {
        // The machine has no such device.
        Err(CallError::Transport(error)) if error.is_closed() => return Ok(()),
        port => port?,
    };
    let identity = Identity::random(entropy.seed()?);
    let commands = Commands::new();
    if let Some(name) = config.first() {
        let config: EndpointClient = start.take(name)?;
        let mut relay = Relay::new(commands.clone(), told()?, COMMAND);
        thread::spawn(move || relay.run(&config))?.detach();
    }
    let arguments = start.arguments();
    let clients: Vec<_> = arguments
        .iter()
        .filter_map(|a| ClientArgument::parse(a))
        .collect();
    let settings = Settings::parse(arguments)?;
    let stack = Stack::new(port, settings.fix(identity), now());
    let most = (start.heap() as usize).saturating_sub(REST);
    let server = Server::new(&endpoint, stack, &clients, commands, most);
    let mut server = server.with_ports(settings.ports());
    settings.apply(server.stack())?;
    Err(server.run())
}
