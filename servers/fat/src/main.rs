//! The FAT file server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::boxed::Box;
use libipc::{ExitCode, Start, start::AnyError};
use tessera_disk::serve;
use tessera_fat::volume::FatVolume;

libipc::program!(run);

fn run(start: Start) -> Result<ExitCode, AnyError> {
    // Files there have no owners.
    serve(start, |disk, memory, _| {
        FatVolume::new(disk, Box::new(memory))
    })
}
