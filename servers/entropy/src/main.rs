//! The entropy server over a virtio device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use libipc::{
    Start, handle::Rights, interfaces::clients::SERVER_BADGES, objects::EndpointClient,
    start::AnyError, time::Instant,
};
use tessera_entropy::{server::Server, virtio::VirtioEntropy};

libipc::program!(run);

/// Signal bit of the device.
const SIGNAL: u64 = 1;

fn run(mut start: Start) -> Result<(), AnyError> {
    let proxy = start.take("device")?;
    let endpoint: EndpointClient = start.take("entropy")?;
    // The session of whoever signals ends if that task does. It is not that of a
    // predecessor, which ends now.
    let device = SERVER_BADGES | Instant::now().ticks();
    let rights = Rights::SIGNAL | Rights::GRANT;
    let told = endpoint.mint(device, rights.bits().into(), 1)?;
    let source = VirtioEntropy::new(proxy, told, SIGNAL)?;
    Err(Server::new(source, start.seed()).run(&endpoint, Some(device)))
}
