//! Tasks that take whatever they can get.

use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, Program},
    echo::{EchoClient, Server},
    run::{PRIORITY, World},
};
use alloc::vec::Vec;
use core::time::Duration;
use libipc::{Start, handle::Rights, thread, time};

/// Each kind, by name.
pub(super) const ALL: &[(&str, Program)] = &[
    ("spinners", spinner),
    ("yielders", yielder),
    ("task hogs", tasks),
    ("thread hogs", threads),
    ("memory hogs", memory),
    ("session hogs", sessions),
    ("signal hogs", signals),
    ("timer hogs", timers),
    ("callers", caller),
];

/// How many of a kind run at once.
const COUNT: usize = 3;
const HOG: u64 = PRIORITY - 30;

/// Starts hogs of one kind, below their victim.
pub(super) fn start(world: &World, hog: Program) -> Result<Vec<Child>, Failure> {
    let mut hogs = Vec::new();
    for _ in 0..COUNT {
        let mut plan = Plan::new(hog);
        plan.quota = 600;
        plan.priority = HOG;
        hogs.push(plan.start(&world.image)?);
    }
    Ok(hogs)
}

fn spinner(_: Start) -> Verdict {
    loop {
        core::hint::spin_loop();
    }
}

fn yielder(_: Start) -> Verdict {
    loop {
        thread::yield_now();
    }
}

/// Until the quota is used up, then again.
fn tasks(_: Start) -> Verdict {
    loop {
        let mut made = Vec::new();
        while let Ok(task) = libipc::task().create_task(8) {
            made.push(task);
        }
    }
}

fn threads(_: Start) -> Verdict {
    loop {
        let made: Vec<_> = (0..8)
            .filter_map(|_| thread::spawn_with(1, 4096, || ()).ok())
            .collect();
        made.into_iter().for_each(|thread| _ = thread.join());
    }
}

fn memory(_: Start) -> Verdict {
    loop {
        let mut made = Vec::new();
        while let Ok(memory) = libipc::task().create_memory(16) {
            // Every frame is filled in.
            for page in 0..16 {
                _ = memory.write_from(page * 4096, &[1]);
            }
            made.push(memory);
        }
    }
}

fn sessions(_: Start) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    loop {
        let mut made = Vec::new();
        for badge in 1..500 {
            made.extend(endpoint.mint_client::<EchoClient>(badge));
        }
    }
}

fn signals(_: Start) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    loop {
        endpoint.signal(u64::MAX)?;
    }
}

fn timers(_: Start) -> Verdict {
    fn sleep() -> ! {
        loop {
            time::sleep(Duration::from_micros(1));
        }
    }
    for _ in 0..6 {
        thread::spawn_with(1, 4096, || sleep())?.detach();
    }
    sleep()
}

fn caller(_: Start) -> Verdict {
    let server = Server::echo()?;
    let echo = EchoClient::from(server.endpoint.as_ref().derive(Rights::CALL)?);
    loop {
        echo.add(1, 2)?;
    }
}
