//! Starts the tasks of the system page and looks after them.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{Start, start::AnyError};
use tessera_init::Supervisor;

libipc::program!(run);

fn run(start: Start) -> Result<(), AnyError> {
    let mut supervisor = Supervisor::new(start)?;
    supervisor.start_page()?;
    Err(supervisor.serve())
}
