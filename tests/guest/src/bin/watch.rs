//! Says every so many seconds what each task waits for, so that the console of a
//! machine that hangs tells why. It runs above all others.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::time::Duration;

use libipc::interfaces::supervisor::{InspectClient, TaskLine};
use libipc::start::AnyError;
use libipc::{Start, println, time};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let inspect: InspectClient = start.take("inspect")?;
    let seconds = start.arguments().get(1).and_then(|text| text.parse().ok());
    let pause = Duration::from_secs(seconds.unwrap_or(100));
    loop {
        time::sleep(pause);
        let mut index = 0;
        while let Ok(task) = inspect.task(index) {
            tell(&inspect, &task);
            index += 1;
        }
    }
}

/// A line for each thread of the task.
fn tell(inspect: &InspectClient, task: &TaskLine) {
    let (mut index, mut cursor) = (0, 0);
    while let Ok(thread) = inspect.thread(task.name, cursor) {
        println!(
            "[watch] {} thread {index}: {:?} {} {}.{} of {}",
            task.name.as_str(),
            thread.info.state,
            thread.endpoint.as_str(),
            thread.interface.as_str(),
            thread.operation.as_str(),
            thread.server.as_str(),
        );
        (index, cursor) = (index + 1, thread.info.next);
        if cursor == 0 {
            break;
        }
    }
}
