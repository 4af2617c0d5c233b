//! Random bytes as a client of the entropy server sees them, and a hostile driver of
//! such a device.

use super::driver::{
    device::{DATA, Driver, Victim, WRITE, elsewhere, refused},
    holds_no_device,
};
use crate::{
    check::{Failure, Verdict},
    run::{Case, World, cases},
};
use alloc::{vec, vec::Vec};
use libipc::{
    CallError, Text,
    interfaces::{
        entropy::{EntropyClient, EntropyError, MAX_FILL},
        supervisor::KillAnyClient,
        virtio::VirtioError,
    },
    status::Cause,
};

pub(crate) const CASES: &[Case] = cases![
    random_bytes_never_come_again,
    what_is_too_much_is_refused,
    clients_go_on_when_server_or_proxy_is_killed,
    a_device_fills_what_its_driver_may_use,
    descriptors_that_lead_anywhere_else_are_not_filled,
    a_driver_holds_neither_registers_nor_interrupts,
];

/// Whether no eight bytes come twice, which chance does once in so many boots as no
/// machine lives to see.
fn all_differ(mut words: Vec<[u8; 8]>) -> Verdict {
    words.sort_unstable();
    check!(words.windows(2).all(|pair| pair[0] != pair[1]));
    Ok(())
}

fn words(bytes: &[u8]) -> Vec<[u8; 8]> {
    bytes.as_chunks::<8>().0.to_vec()
}

fn random_bytes_never_come_again(world: &mut World) -> Verdict {
    let entropy: EntropyClient = world.power("entropy")?;
    let mut all = Vec::new();
    // More than the server gives out without a new seed.
    for length in [
        MAX_FILL, 8, 4096, MAX_FILL, MAX_FILL, MAX_FILL, MAX_FILL, 256,
    ] {
        let mut bytes = vec![0; length];
        entropy.fill(&mut bytes)?;
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        // Half of the bits, within what chance allows.
        let bits = length as u32 * 8;
        check!(length < 4096 || ones.abs_diff(bits / 2) < bits / 50);
        all.extend(words(&bytes));
    }
    for _ in 0..50 {
        all.extend(entropy.seed()?.map(u64::to_le_bytes));
    }
    all_differ(all)
}

fn what_is_too_much_is_refused(world: &mut World) -> Verdict {
    let entropy: EntropyClient = world.power("entropy")?;
    let mut bytes = vec![7; MAX_FILL + 1];
    let filled = entropy.fill(&mut bytes);
    check_eq!(filled, Err(CallError::Server(EntropyError::BadLength)));
    check!(bytes.iter().all(|byte| *byte == 7));
    Ok(entropy.fill(&mut [])?)
}

fn clients_go_on_when_server_or_proxy_is_killed(world: &mut World) -> Verdict {
    let entropy: EntropyClient = world.power("entropy")?;
    let kill: KillAnyClient = world.power("kill-any")?;
    let mut all = Vec::new();
    for victim in ["entropy", "entropy-queue", "entropy", "entropy-queue"] {
        let name = Text::new(victim).ok_or_else(|| Failure::new("a long name"))?;
        kill.kill(name)?;
        // A call that meets the end of the server may end with it.
        let seed = loop {
            match entropy.seed() {
                Ok(seed) => break seed,
                Err(CallError::Transport(error))
                    if matches!(error.cause, Cause::Died | Cause::Dropped) => {}
                Err(error) => return Err(error.into()),
            }
        };
        all.extend(seed.map(u64::to_le_bytes));
    }
    all_differ(all)
}

/// Asks the device to fill so much at this address.
fn ask(driver: &mut Driver, address: u64, length: u64) -> Result<(), CallError<VirtioError>> {
    let asked = driver.descriptor(0, address, length | WRITE);
    asked.map_err(|_| CallError::Server(VirtioError::BadAddress))?;
    driver.offer()
}

fn a_device_fills_what_its_driver_may_use(world: &mut World) -> Verdict {
    let mut driver = Driver::attach(world)?;
    let mut all = Vec::new();
    for _ in 0..3 {
        driver.data.write_from(0, &[0; 4096])?;
        ask(&mut driver, DATA + 1000, 64)?;
        driver.wait()?;
        let mut bytes = [0; 4096];
        driver.data.read_into(0, &mut bytes)?;
        check!(bytes[..1000].iter().all(|byte| *byte == 0));
        check!(bytes[1064..].iter().all(|byte| *byte == 0));
        all.extend(words(&bytes[1000..1064]));
    }
    all_differ(all)
}

fn descriptors_that_lead_anywhere_else_are_not_filled(world: &mut World) -> Verdict {
    let victim = Victim::new(64)?;
    for address in elsewhere() {
        let mut driver = Driver::attach(world)?;
        let asked = ask(&mut driver, address, 512);
        check_eq!(asked, refused(VirtioError::BadDescriptor));
        check_eq!(driver.device.notify(0), refused(VirtioError::NotAttached));
        check_eq!(driver.used(), Some(0));
    }
    // Nor where the driver's own memory was.
    let mut driver = Driver::attach(world)?;
    driver.device.unmap(DATA)?;
    drop(core::mem::replace(
        &mut driver.data,
        libipc::task().create_memory(1)?,
    ));
    let later = Victim::new(64)?;
    let asked = ask(&mut driver, DATA, 512);
    check_eq!(asked, refused(VirtioError::BadDescriptor));
    later.is_untouched()?;
    victim.is_untouched()?;
    a_device_fills_what_its_driver_may_use(world)
}

fn a_driver_holds_neither_registers_nor_interrupts(world: &mut World) -> Verdict {
    holds_no_device(world, &["entropy"], &["entropy-queue", "hostile-queue"])
}
