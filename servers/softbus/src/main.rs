//! The soft bus server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{boxed::Box, format};
use libipc::{
    Start,
    interfaces::{
        DirectoryClient, EntropyClient, NetClient,
        clients::{SERVER_BADGES, live_badges},
    },
    objects::EndpointClient,
    start::AnyError,
};
use tessera_softbus::{
    random,
    server::{Server, clock},
    services,
    store::{self, Store},
    users::Users,
    wires::PORT,
};
use tessera_softbus_protocol::{
    keys::{Holder, Keys},
    node::{Config, Node, Parts},
    parser::Inline,
    random::{array, nonce},
    suite::Noise,
    trust::Trusted,
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    // Of several buses in one machine each has a name of its own.
    let served = start.names().find(|name| name.ends_with("bus"));
    let endpoint: EndpointClient = start.take(served.unwrap_or("bus"))?;
    let net: NetClient = start.take("net")?;
    let entropy: EntropyClient = start.take("entropy")?;
    let files: Option<DirectoryClient> = start.take("files").ok();
    // No key is made before there is entropy.
    let mut random = random::source(entropy.seed().map_err(AnyError::new)?);
    let arguments = start.arguments().to_vec();
    let place = arguments
        .iter()
        .find_map(|text| text.strip_prefix("store="));
    let place = place.unwrap_or(store::PLACE);
    let store = files.as_ref().and_then(|files| Store::open(files, place));
    let fresh = array(&mut *random);
    let kept = store.as_ref().and_then(|store| store.secret(fresh));
    let name = store.as_ref().and_then(Store::name);
    let secret = kept.unwrap_or(fresh);
    // The same after each start, as the number is by which others know it.
    let keys = Holder::<Noise>::new(&secret);
    let [first, second, ..] = keys.public().0;
    let config = Config {
        me: Trusted {
            name: name.unwrap_or_else(|| format!("tessera-{first:02x}{second:02x}")),
            kind: 0,
        },
        port: PORT,
        trust: store.as_ref().map(Store::trust).unwrap_or_default(),
    };
    let boot = nonce(&mut *random);
    let parts = Parts {
        keys: Box::new(keys),
        parser: Box::new(Inline),
        random,
    };
    let newest = live_badges(&endpoint).max().unwrap_or(SERVER_BADGES);
    let mut server = Server::new(
        &endpoint,
        Node::new(config, boot, parts, clock()),
        net,
        store,
        Users::new(arguments.iter().copied()),
        newest + 1,
    )
    .with_owner(start.take("consent").ok());
    services::publish(&mut server, &mut start, files.as_ref(), &arguments);
    Err(AnyError::new(server.run()))
}
