//! The ext4 file server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::boxed::Box;
use libipc::{ExitCode, Start, start::AnyError};
use tessera_disk::serve;
use tessera_ext4::{mounted::Time, volume::Ext4Volume};

libipc::program!(run);

fn run(start: Start) -> Result<ExitCode, AnyError> {
    serve(start, |disk, cache, owners| {
        let volume = Ext4Volume::with_cache(disk, Box::new(cache), Time::default());
        volume.and_then(|volume| volume.with_owners(owners))
    })
}
