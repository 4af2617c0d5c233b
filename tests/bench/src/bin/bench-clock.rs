//! Tells how long the machine has been busy: since reset, without the time that it
//! idled. A trace from reset ends here.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libipc::{Start, objects::SystemClient, println, start::AnyError, time};
use tessera_bench::mark;

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    mark::close();
    let counters: SystemClient = start.take("counters")?;
    let counters = counters.counters()?;
    let busy = time::from_ticks(counters.now - counters.idle);
    println!("[clock] {}", busy.as_nanos());
    Ok(())
}
