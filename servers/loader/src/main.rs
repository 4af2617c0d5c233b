//! Proposes how to load ELF files, with no authority of its own.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{vec, vec::Vec};
use libipc::{
    Lease, Start,
    interfaces::loader::{ElfError, Loader, Plan},
    objects::EndpointClient,
    start::AnyError,
};
use tessera_loader::{Machine, read};

libipc::program!(run);

/// Name of the endpoint in the system page.
const ENDPOINT: &str = "loader";

/// Most bytes of a file, so that it fits into the heap of the standard system.
const FILE: usize = 768 << 10;

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take(ENDPOINT)?;
    Err(libipc::serve::<dyn Loader>(&endpoint, &mut Reader).into())
}

struct Reader;

impl Loader for Reader {
    fn plan(&mut self, file: Lease) -> Result<Plan, ElfError> {
        if file.len() > FILE {
            return Err(ElfError::TooLarge);
        }
        let mut bytes: Vec<u8> = vec![0; file.len()];
        let copied = file.read_at(0, &mut bytes);
        copied.map_err(|_| ElfError::Unreadable)?;
        read(&bytes, Machine::THIS)
    }
}
