//! Handles faults and times that: its exit code is the time that it took, in
//! nanoseconds. It is a program of its own so that what it uses of `libipc` is in no
//! other that is measured.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::time::Duration;
use libipc::{
    Start,
    child::Child,
    fault::Fault,
    objects::{EndpointClient, FaultKind, ObjectError},
    start::AnyError,
    thread,
    time::Instant,
};
use tessera_bench::{TIMES, mark};

libipc::program!(run);

/// Where the task would begin; nothing is there.
const PLACE: u64 = 1 << 30;

/// A task without a page: its handler lets it go on, and it faults there again. So
/// one fault is the way to the handler and back.
fn run(_: Start) -> Result<(), AnyError> {
    let endpoint = libipc::task().create_endpoint()?;
    let task = Child::create(&libipc::task(), 32)?;
    task.set_fault_handler(&endpoint)?;
    let priority = thread::current().info()?.priority;
    let thread = task.create_thread(PLACE, PLACE, 0, 0, priority)?;
    thread.resume()?;
    let mut handler = Handler {
        endpoint: &endpoint,
        seen: 0,
        begin: Instant::now(),
        taken: Duration::ZERO,
    };
    libipc::serve::<dyn Fault>(&endpoint, &mut handler);
    match handler.seen < 16 + TIMES {
        true => Err(AnyError::new("it did not go on faulting")),
        false => thread::exit(handler.taken.as_nanos() as u64),
    }
}

/// Answers a thread that faults again at once, and times that.
struct Handler<'e> {
    endpoint: &'e EndpointClient,
    seen: u64,
    begin: Instant,
    taken: Duration,
}

impl Fault for Handler<'_> {
    fn fault(
        &mut self,
        _: u64,
        _: u64,
        _: FaultKind,
        _: u64,
        _: u64,
        _: u64,
        _: u64,
    ) -> Result<(), ObjectError> {
        self.seen += 1;
        if self.seen == 16 {
            self.begin = Instant::now();
            mark::open();
        }
        if self.seen == 16 + TIMES {
            mark::close();
            self.taken = self.begin.elapsed();
            // Nothing else is to come, so the handler's loop may end.
            let _ = self.endpoint.close();
        }
        Ok(())
    }
}
