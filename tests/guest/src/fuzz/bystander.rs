//! A task that has nothing to do with the hostile ones, and must not notice
//! them: it looks after a pattern in its memory and counts.

use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, given, number},
    raw,
    run::World,
    wait,
};
use alloc::vec::Vec;
use core::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use libipc::{
    Start,
    handle::Rights,
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
    time::Instant,
};

/// The bystander, as its maker sees it.
pub(super) struct Bystander {
    child: Child,
    stop: EndpointClient,
    /// Holds what it counts; it is mapped.
    page: Mapping,
    last: AtomicU64,
}

/// Makes the bystander.
pub(super) fn start(world: &World) -> Result<Bystander, Failure> {
    let stop = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let page = Mapping::new(&memory, Rights::READ)?;
    let child = Plan {
        priority: super::PRIORITY,
        ..Plan::new(program)
    }
    .give(&[given("stop", &stop), given("page", &memory)])
    .tell(&[0xb75])
    .start(&world.image)?;
    Ok(Bystander {
        child,
        stop,
        page,
        last: AtomicU64::new(0),
    })
}

fn pattern(seed: u64, index: u64) -> u64 {
    (seed + index).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn program(mut start: Start) -> Verdict {
    let stop: EndpointClient = start.take("stop")?;
    let memory: MemoryClient = start.take("page")?;
    let seed = number(&start, 0)?;
    let words: Vec<u64> = (0..4096).map(|index| pattern(seed, index)).collect();
    let mut receiver = Receiver::new(&stop);
    for count in 1_u64.. {
        memory.write_from(0, &count.to_le_bytes())?;
        let values = core::array::from_fn(|index| pattern(count, index as u64));
        let until = Instant::after(Duration::from_micros(100)).ticks();
        check_eq!(raw::floating_after_spin(values, until), values);
        for (index, word) in words.iter().enumerate() {
            check_eq!(*word, pattern(seed, index as u64));
        }
        let end = Instant::after(Duration::from_micros(200));
        if let Ok(Event::Signals(_)) = receiver.wait(end) {
            break;
        }
    }
    Ok(())
}

impl Bystander {
    /// How far it has counted.
    pub(super) fn count(&self) -> u64 {
        let mut count = [0; 8];
        let from = self.page.address();
        for (index, byte) in count.iter_mut().enumerate() {
            // SAFETY: the page is mapped as long as `page` lives.
            #[allow(unsafe_code, reason = "memory that another task writes")]
            unsafe {
                *byte = ((from + index) as *const u8).read_volatile();
            }
        }
        u64::from_le_bytes(count)
    }

    /// It must have gone on since the last look.
    pub(super) fn check(&self) -> Verdict {
        // Its core may have had no turn on a host with fewer processors.
        let gone_on = wait::until(|| Ok(self.count() > self.last.load(Relaxed)));
        let count = self.count();
        self.last.store(count, Relaxed);
        if gone_on.is_err() {
            let fault = Receiver::new(&self.child.faults)
                .wait(Instant::PAST)
                .is_ok();
            return Err(Failure::new(format_args!(
                "the bystander stopped at {count}{}",
                if fault { ": it faulted" } else { "" }
            )));
        }
        Ok(())
    }

    /// It must end well when asked to.
    pub(super) fn finish(self) -> Verdict {
        self.stop.signal(1)?;
        self.child.finish()
    }
}
