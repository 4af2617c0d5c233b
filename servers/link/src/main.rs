//! The driver of a virtio network device: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use libipc::{
    CallError, Start, interfaces::virtio::VirtioClient, objects::EndpointClient, start::AnyError,
};
use tessera_link::{server::Server, virtio::VirtioNet};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let proxy: VirtioClient = start.take("device")?;
    if let Err(CallError::Transport(error)) = proxy.config(0, 1)
        && error.is_closed()
    {
        // The machine has no such device.
        return Ok(());
    }
    // The page gives this task one endpoint more, by whatever name.
    let served = start.names().next();
    let served = served.ok_or_else(|| AnyError::new("no endpoint was given to this task"))?;
    let endpoint: EndpointClient = start.take(served)?;
    Err(Server::new(VirtioNet::new(proxy)).run(&endpoint).into())
}
