//! Measures, in nanoseconds of the machine's clock, which are instructions when
//! it counts them: a line for each case, with how often it was done.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![allow(unsafe_code, reason = "maps and touches pages of its own")]

extern crate alloc;

use alloc::format;
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use libipc::{
    Capability, PAGE, Start,
    client::Borrowed,
    handle::{Handle, ObjectType, Rights},
    objects::{EndpointClient, Shutdown, SystemClient},
    server::{Event, Receiver},
    start::AnyError,
    thread,
    time::Instant,
};
use tessera_bench::TargetClient;

libipc::program!(run);

/// What cases have to work with.
struct World {
    target: TargetClient,
    counters: SystemClient,
    log: SystemClient,
    shutdown: SystemClient,
}

type Measured = Result<(u64, Duration), AnyError>;

/// A case.
type Case = fn(&World) -> Measured;

/// All of them, by name.
const CASES: [(&str, Case); 13] = [
    ("refused", refused),
    ("call_2w", call_2w),
    ("call_2w_fp", call_2w_fp),
    ("call_8w", call_8w),
    ("call_32w", call_32w),
    ("lease_4k", lease_4k),
    ("call_cap", call_cap),
    ("call_kept", call_kept),
    ("call_timeout", call_timeout),
    ("signal_wait", signal_wait),
    ("thread", spawn_join),
    ("zero_page", zero_page),
    ("map_page", map_page),
];

/// How often the short ones are done.
const TIMES: u64 = 4096;

fn run(mut start: Start) -> Result<(), AnyError> {
    let world = World {
        target: start.take("target")?,
        counters: start.take("counters")?,
        log: start.take("kernel-log")?,
        shutdown: start.take("shutdown")?,
    };
    // All others have come to rest.
    libipc::time::sleep(Duration::from_millis(100));
    let wanted = start.arguments().get(1).copied().unwrap_or("all");
    for (name, case) in CASES {
        if wanted == "all" || wanted.split(',').any(|one| one == name) {
            let line = match case(&world) {
                Ok((times, taken)) => format!("[bench] {name} {times} {}\n", taken.as_nanos()),
                Err(error) => format!("[bench] {name} failed: {error}\n"),
            };
            world.log.log(&line)?;
        }
    }
    world.log.log("[bench] done\n")?;
    Ok(world.shutdown.shutdown(Shutdown::PowerOff)?)
}

/// Times `what`, which was done once before.
fn repeat(times: u64, mut what: impl FnMut() -> Result<(), AnyError>) -> Measured {
    for _ in 0..16 {
        what()?;
    }
    let begin = Instant::now();
    for _ in 0..times {
        what()?;
    }
    Ok((times, begin.elapsed()))
}

fn refused(_: &World) -> Measured {
    let nobody = Handle::new(0xf_ffff, Rights::SIGNAL, ObjectType::Endpoint, 7);
    let nobody = Borrowed::<EndpointClient>::new(nobody);
    repeat(TIMES, || match nobody.signal(1) {
        Err(_) => Ok(()),
        Ok(()) => Err(AnyError::new("it was not refused")),
    })
}

fn call_2w(world: &World) -> Measured {
    repeat(TIMES, || {
        black_box(world.target.add(black_box(1), black_box(2))?);
        Ok(())
    })
}

fn call_2w_fp(world: &World) -> Measured {
    let mut number = 1.5_f64;
    repeat(TIMES, || {
        let factor = (black_box(number) * 1.000_1).to_bits();
        number = f64::from_bits(
            world
                .target
                .multiply(factor, black_box(1.0_f64).to_bits())?,
        );
        Ok(())
    })
}

fn call_8w(world: &World) -> Measured {
    repeat(TIMES, || {
        black_box(world.target.add_8(black_box([1, 2, 3, 4, 5, 6, 7, 8]))?);
        Ok(())
    })
}

fn call_32w(world: &World) -> Measured {
    let words = core::array::from_fn(|index| index as u64);
    repeat(TIMES, || {
        black_box(world.target.add_32(black_box(words))?);
        Ok(())
    })
}

fn lease_4k(world: &World) -> Measured {
    let mut page = [7; PAGE];
    repeat(TIMES, || Ok(world.target.load(black_box(&mut page))?))
}

/// There in one call, back in the next.
fn call_cap(world: &World) -> Measured {
    let endpoint = libipc::task().create_endpoint()?;
    let mut capability = Some(Capability::from(endpoint));
    let (times, taken) = repeat(TIMES / 2, || {
        world.target.give(
            capability
                .take()
                .ok_or_else(|| AnyError::new("it is gone"))?,
        )?;
        capability = Some(world.target.take()?);
        Ok(())
    })?;
    Ok((2 * times, taken))
}

fn call_kept(world: &World) -> Measured {
    repeat(TIMES, || {
        black_box(world.target.later(black_box(1))?);
        Ok(())
    })
}

/// Nobody serves the endpoint. The time that the machine idles is not counted.
fn call_timeout(world: &World) -> Measured {
    let timeout = Duration::from_micros(100);
    let endpoint = libipc::task().create_endpoint()?;
    let client = endpoint
        .mint_client::<TargetClient>(1)?
        .with_timeout(timeout);
    let idle = || Ok::<_, AnyError>(libipc::time::from_ticks(world.counters.counters()?.idle));
    let wait = || match client.add(1, 2) {
        Err(_) => Ok(()),
        Ok(_) => Err(AnyError::new("somebody answered")),
    };
    let times = TIMES / 8;
    repeat(1, wait)?;
    let (idle_before, begin) = (idle()?, Instant::now());
    for _ in 0..times {
        wait()?;
    }
    let taken = begin.elapsed();
    Ok((times, taken.saturating_sub(idle()? - idle_before)))
}

/// From a thread of lower priority than the one that waits.
fn signal_wait(_: &World) -> Measured {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let lower = thread::current().info()?.priority - 1;
    let signaller = thread::spawn_with(lower, thread::STACK, move || {
        let endpoint = Borrowed::<EndpointClient>::new(handle);
        let measured = repeat(TIMES, || Ok(endpoint.signal(1)?));
        endpoint.close().map_err(AnyError::from).and(measured)
    })?;
    let mut receiver = Receiver::new(&endpoint);
    while let Ok(Event::Signals(_)) = receiver.next() {
        TAKEN.store(TAKEN.load(Relaxed) + 1, Relaxed);
    }
    let measured = signaller.join();
    if TAKEN.load(Relaxed) < TIMES {
        return Err(AnyError::new("not each signal was taken at once"));
    }
    measured.unwrap_or_else(|| Err(AnyError::new("the other thread failed")))
}

fn spawn_join(_: &World) -> Measured {
    repeat(TIMES / 16, || {
        let thread = thread::spawn(|| ())?;
        thread.join().ok_or_else(|| AnyError::new("it did not end"))
    })
}

/// Where pages are mapped; nothing else is there.
const PLACE: u64 = 1 << 36;

fn zero_page(_: &World) -> Measured {
    const PAGES: u64 = 512;
    let memory = libipc::task().create_memory(PAGES)?;
    let access = (Rights::READ | Rights::WRITE).bits().into();
    // SAFETY: nothing of this program is there.
    unsafe { libipc::task().map(&memory, PLACE, 0, PAGES, access)? };
    let begin = Instant::now();
    for page in 0..PAGES {
        let word = (PLACE + page * PAGE as u64) as *mut u64;
        // SAFETY: the page was mapped, and no reference to it exists.
        unsafe { word.write_volatile(1) };
    }
    let taken = begin.elapsed();
    // SAFETY: nothing refers to it.
    unsafe { libipc::task().unmap(PLACE, PAGES)? };
    Ok((PAGES, taken))
}

fn map_page(_: &World) -> Measured {
    let memory = libipc::task().create_memory(1)?;
    let access = (Rights::READ | Rights::WRITE).bits().into();
    repeat(TIMES, || {
        // SAFETY: nothing of this program is there.
        unsafe { libipc::task().map(&memory, PLACE, 0, 1, access)? };
        // SAFETY: it was mapped, and no reference to it exists.
        unsafe { (PLACE as *mut u64).write_volatile(1) };
        // SAFETY: nothing refers to it.
        unsafe { libipc::task().unmap(PLACE, 1)? };
        Ok(())
    })
}
