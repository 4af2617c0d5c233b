//! The soft bus server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{boxed::Box, format};
use libipc::{
    Start,
    interfaces::{
        EntropyClient, NetClient,
        clients::{SERVER_BADGES, live_badges},
    },
    objects::EndpointClient,
    start::AnyError,
};
use tessera_softbus::{
    consent::Owner,
    parsers::{Parsers, Supervised},
    server::{Server, clock},
    services,
    users::Users,
    wires::PORT,
};
use tessera_softbus_keys::{Connected, Remote, random};
use tessera_softbus_protocol::{
    keys::Keys,
    node::{Config, Node, Parts},
    random::nonce,
    trust::Trusted,
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    // Of several buses in one machine each has a name of its own.
    let served = start.names().find(|name| name.ends_with("bus"));
    let endpoint: EndpointClient = start.take(served.unwrap_or("bus"))?;
    let net: NetClient = start.take("net")?;
    let entropy: EntropyClient = start.take("entropy")?;
    let connected = Remote::connect(start.take("keys")?)?;
    let mut random = random::source(entropy.seed().map_err(AnyError::new)?);
    let Connected {
        keys,
        keeper,
        mut name,
        trust,
    } = connected;
    if name.is_empty() {
        // The same after each start, as the number is by which others know it.
        let [first, second, ..] = keys.public().0;
        name = format!("tessera-{first:02x}{second:02x}");
    }
    let config = Config {
        me: Trusted { name, kind: 0 },
        port: PORT,
        trust,
    };
    let arguments = start.arguments().to_vec();
    let program = arguments
        .iter()
        .find_map(|text| text.strip_prefix("parser="));
    let make = Supervised::new(start.take("start")?, program.unwrap_or("softbus-parser"));
    let boot = nonce(&mut *random);
    let parts = Parts {
        keys: Box::new(keys),
        parser: Box::new(Parsers::new(Box::new(make))),
        random,
    };
    let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
    let mut server = Server::new(
        &endpoint,
        Node::new(config, boot, parts, clock()),
        net,
        keeper,
        Users::new(arguments.iter().copied()),
        newest + 1,
    )
    .with_owner(Owner {
        consent: start.take("consent").ok(),
        log: start.take("report").ok(),
        clock: start.take("time").ok(),
    });
    services::publish(&mut server, &mut start, &arguments);
    Err(AnyError::new(server.run()))
}
