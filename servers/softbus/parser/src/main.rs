//! Reads what one device says: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{Start, objects::EndpointClient, start::AnyError};
use tessera_softbus_parser::{BusParser, ENDPOINT, Reader};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take(ENDPOINT)?;
    Err(libipc::serve::<dyn BusParser>(&endpoint, &mut Reader).into())
}
