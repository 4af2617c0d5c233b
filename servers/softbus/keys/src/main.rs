//! Holds the keys of the soft bus: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{
    Start,
    interfaces::{DirectoryClient, EntropyClient},
    objects::EndpointClient,
    start::AnyError,
};
use tessera_softbus_keys::{
    random,
    server::Server,
    store::{PLACE, Store},
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    // Of several in one machine each has a name of its own.
    let served = start.names().find(|name| name.ends_with("keys"));
    let endpoint: EndpointClient = start.take(served.unwrap_or("bus-keys"))?;
    let entropy: EntropyClient = start.take("entropy")?;
    let files: Option<DirectoryClient> = start.take("files").ok();
    // No key is made before there is entropy.
    let random = random::source(entropy.seed().map_err(AnyError::new)?);
    let place = start
        .arguments()
        .iter()
        .find_map(|text| text.strip_prefix("store="));
    let place = place.unwrap_or(PLACE);
    let store = files.as_ref().map(|files| Store::open(files, place));
    // Whatever is wrong with the disk may be over when this is started again.
    let store = store.transpose()?.flatten();
    let server = Server::new(&endpoint, store, random)?;
    let mut server = server.with_directories(files, start.arguments());
    Err(AnyError::new(server.run()))
}
