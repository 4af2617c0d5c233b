//! Proposes how to load ELF files, with no authority of its own.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{Start, interfaces::loader::Loader, objects::EndpointClient, start::AnyError};
use tessera_loader::Reader;

libipc::program!(run);

/// Name of the endpoint in the system page.
const ENDPOINT: &str = "loader";

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take(ENDPOINT)?;
    Err(libipc::serve::<dyn Loader>(&endpoint, &mut Reader).into())
}
