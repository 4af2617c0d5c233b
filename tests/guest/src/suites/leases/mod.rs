//! Leases: memory that a server may copy from or to, and no other.
//!
//! `relending`: what a server lends on to another.

mod relending;

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    echo::{EchoClient, Server},
    raw::{self, ReadTo},
    run::{Case, World, cases},
};
use alloc::{vec, vec::Vec};
use core::time::Duration;
use libipc::{
    CallError, Capability, FOREVER, PAGE, Start,
    client::Borrowed,
    handle::{Handle, Rights},
    label::Label,
    memory::Mapping,
    message_buffer::word,
    objects::{EndpointClient, ObjectError, ReplyClient},
    registers::CallOut,
    status::{Cause, Status, TransportError},
    thread::{self, JoinHandle},
    time::Instant,
};

use relending::*;

pub(crate) const CASES: &[Case] = cases![
    impossible_leases_are_refused,
    a_copy_stays_inside_the_lease,
    a_lease_allows_what_it_says,
    there_is_no_lease_beyond_those_lent,
    memory_that_is_not_there_is_the_lenders_fault,
    memory_that_goes_away_is_the_lenders_fault,
    read_only_memory_is_not_written_through_a_lease,
    device_memory_is_not_lent,
    a_servers_own_bad_memory_is_its_fault,
    a_server_sees_no_addresses,
    a_lease_ends_with_its_call,
    a_kept_request_keeps_its_leases,
    a_lease_moves_with_its_request,
    a_megabyte_is_copied_both_ways_under_interrupts,
    message_buffers_are_left_alone,
    a_lease_reaches_a_third_task,
    no_more_is_lent_on_than_was_lent,
    only_a_request_at_hand_is_lent_from,
    a_lease_is_lent_on_four_times_and_no_more,
    the_end_of_the_first_call_ends_the_lease,
    a_kept_request_lends_on_until_it_ends,
];

const CALL: Label = Label::call(1, 1);
const READ: u64 = 1;
const WRITE: u64 = 2;

/// Calls with these leases on a thread of its own, and receives the call here.
/// The request is then being served by the calling thread.
fn lend(
    endpoint: &EndpointClient,
    leases: Vec<(u64, u64, u64)>,
) -> Result<JoinHandle<CallOut>, Failure> {
    let handle = endpoint.as_ref().handle();
    let lender = thread::spawn(move || {
        for (index, (address, length, access)) in leases.iter().enumerate() {
            raw::lend(index, *address, *length, *access);
        }
        raw::call(handle, CALL.with_leases(leases.len()), &[])
    })?;
    let out = raw::receive(handle, FOREVER);
    check_message(&out)?;
    Ok(lender)
}

fn check_message(out: &CallOut) -> Verdict {
    check_eq!(raw::status(out), Some(Status::Message));
    Ok(())
}

fn request() -> Borrowed<ReplyClient> {
    Borrowed::new(Handle::REQUEST)
}

fn read(lease: u64, offset: u64, into: &mut [u8]) -> Result<(), CallError<ObjectError>> {
    request().read_to([lease, offset], into.as_mut_ptr() as u64, into.len() as u64)
}

fn write(lease: u64, offset: u64, from: &[u8]) -> Result<(), CallError<ObjectError>> {
    request().write(lease, offset, from.as_ptr() as u64, from.len() as u64)
}

fn finish(lender: JoinHandle<CallOut>) -> Verdict {
    raw::reply(&[]);
    let out = lender.join().ok_or_else(|| Failure::new("no result"))?;
    check_message(&out)
}

const OUTSIDE: Result<(), CallError<ObjectError>> = Err(CallError::Server(ObjectError::OutOfRange));
const LENDER: Result<(), CallError<ObjectError>> = Err(CallError::Transport(
    TransportError::refused(Cause::LeaseFault),
));

fn impossible_leases_are_refused(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let end = 1 << 38;
    let cases = [
        (end - 8, 9, READ, Cause::LeaseFault),
        (end, 1, READ, Cause::LeaseFault),
        (u64::MAX - 8, 16, READ, Cause::LeaseFault),
        (0xffff_ffc0_8020_0000, 8, READ, Cause::LeaseFault),
        (8, u64::MAX, READ, Cause::LeaseFault),
        (4096, 8, 0, Cause::Malformed),
        (4096, 8, 4, Cause::Malformed),
        (4096, 8, u64::MAX, Cause::Malformed),
    ];
    for place in 0..4 {
        for (address, length, access, cause) in cases {
            (0..4).for_each(|other| raw::lend(other, 4096, 0, READ));
            raw::lend(place, address, length, access);
            let handle = server.endpoint.as_ref().handle();
            let out = raw::call(handle, CALL.with_leases(4), &[]);
            check!(raw::refused(&out, cause));
        }
    }
    Ok(())
}

fn a_copy_stays_inside_the_lease(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static mut [u8] = vec![7_u8; 64].leak();
    let address = memory.as_ptr() as u64;
    // The middle 32 bytes.
    let lender = lend(&endpoint, vec![(address + 16, 32, READ | WRITE)])?;
    let mut bytes = [0; 33];
    check_eq!(read(0, 0, &mut bytes[..32]), Ok(()));
    check_eq!(&bytes[..32], &[7; 32][..]);
    check_eq!(write(0, 0, &[9; 32]), Ok(()));
    check_eq!(write(0, 32, &[]), Ok(()));
    let outside = [
        (0, 33),
        (1, 32),
        (31, 2),
        (32, 1),
        (33, 0),
        (u64::MAX, 1),
        (u64::MAX - 15, 16),
        (u64::MAX, 0),
    ];
    for (offset, length) in outside {
        bytes.fill(1);
        check_eq!(read(0, offset, &mut bytes[..length]), OUTSIDE);
        check_eq!(bytes, [1; 33]);
        check_eq!(write(0, offset, &[8; 33][..length]), OUTSIDE);
    }
    let into = bytes.as_mut_ptr() as u64;
    check_eq!(request().read_to([0, 8], into, u64::MAX), OUTSIDE);
    check_eq!(request().write(0, 8, into, u64::MAX - 7), OUTSIDE);
    finish(lender)?;
    check_eq!(&memory[..16], &[7; 16][..]);
    check_eq!(&memory[16..48], &[9; 32][..]);
    check_eq!(&memory[48..], &[7; 16][..]);
    Ok(())
}

fn a_lease_allows_what_it_says(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 32].leak();
    let address = memory.as_ptr() as u64;
    let leases = vec![
        (address, 8, READ),
        (address + 8, 8, WRITE),
        (address + 16, 8, READ | WRITE),
    ];
    let lender = lend(&endpoint, leases)?;
    let mut bytes = [0; 8];
    for (lease, readable, writable) in [(0, true, false), (1, false, true), (2, true, true)] {
        check_eq!(
            read(lease, 0, &mut bytes),
            if readable { Ok(()) } else { OUTSIDE }
        );
        check_eq!(
            write(lease, 0, &[5; 8]),
            if writable { Ok(()) } else { OUTSIDE }
        );
    }
    finish(lender)?;
    // Read anew: the server wrote it behind the compiler's back.
    let now = core::hint::black_box(memory);
    check_eq!(now[..8], [3; 8]);
    check_eq!(now[8..24], [5; 16]);
    Ok(())
}

fn there_is_no_lease_beyond_those_lent(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 8].leak();
    let address = memory.as_ptr() as u64;
    // An earlier call lent four: nothing of that is left.
    let lender = lend(&endpoint, vec![(address, 8, READ); 4])?;
    finish(lender)?;
    let lender = lend(&endpoint, vec![(address, 8, READ)])?;
    let mut bytes = [0; 8];
    for lease in [1, 2, 3, 4, 5, 1 << 32, u64::MAX] {
        check_eq!(read(lease, 0, &mut bytes), OUTSIDE);
    }
    check_eq!(read(0, 0, &mut bytes), Ok(()));
    finish(lender)
}

fn memory_that_is_not_there_is_the_lenders_fault(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let page = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    // The page, and what follows it, where nothing is.
    let start = page.address() as u64;
    let lender = lend(
        &endpoint,
        vec![
            (start, 3 * PAGE as u64, READ | WRITE),
            (0, 64, READ | WRITE),
        ],
    )?;
    let mut bytes = vec![1; PAGE];
    check_eq!(read(0, 0, &mut bytes), Ok(()));
    check_eq!(read(0, 8, &mut bytes), LENDER);
    check_eq!(write(0, PAGE as u64 + 8, &[1]), LENDER);
    check_eq!(read(1, 0, &mut bytes[..1]), LENDER);
    check_eq!(write(1, 0, &[1]), LENDER);
    finish(lender)
}

fn memory_that_goes_away_is_the_lenders_fault(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let page = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    let lender = lend(&endpoint, vec![(page.address() as u64, 64, READ | WRITE)])?;
    check_eq!(write(0, 0, &[6; 64]), Ok(()));
    drop(page);
    check_eq!(write(0, 0, &[7; 64]), LENDER);
    let mut bytes = [0; 64];
    check_eq!(read(0, 0, &mut bytes), LENDER);
    finish(lender)?;
    memory.read_into(0, &mut bytes)?;
    check_eq!(bytes, [6; 64]);
    Ok(())
}

fn read_only_memory_is_not_written_through_a_lease(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let page = Mapping::new(&memory, Rights::READ)?;
    let code = raw::park as *const () as u64;
    let lender = lend(
        &endpoint,
        vec![
            (page.address() as u64, 64, READ | WRITE),
            (code, 16, READ | WRITE),
        ],
    )?;
    check_eq!(write(0, 0, &[6; 64]), LENDER);
    check_eq!(write(1, 0, &[0; 16]), LENDER);
    let mut bytes = [1; 64];
    check_eq!(read(0, 0, &mut bytes), Ok(()));
    check_eq!(bytes, [0; 64]);
    check_eq!(read(1, 0, &mut bytes[..16]), Ok(()));
    finish(lender)
}

fn device_memory_is_not_lent(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let page = Mapping::new(world.uart()?, Rights::READ | Rights::WRITE)?;
    let lender = lend(&endpoint, vec![(page.address() as u64, 8, READ | WRITE)])?;
    let mut bytes = [0; 8];
    check_eq!(read(0, 0, &mut bytes), LENDER);
    check_eq!(write(0, 0, &bytes), LENDER);
    finish(lender)
}

fn a_servers_own_bad_memory_is_its_fault(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let lender = lend(&endpoint, vec![(memory.as_ptr() as u64, 64, READ | WRITE)])?;
    let bad = Err(CallError::Server(ObjectError::BadAddress));
    for address in [
        0,
        1 << 37,
        (1 << 38) - 8,
        1 << 38,
        0xffff_ffc0_8020_0000,
        u64::MAX - 8,
    ] {
        check_eq!(request().read_to([0, 0], address, 32), bad);
        check_eq!(request().write(0, 0, address, 32), bad);
    }
    // Its own code cannot be written, but read.
    let code = raw::park as *const () as u64;
    check_eq!(request().read_to([0, 0], code, 8), bad);
    check_eq!(request().write(0, 0, code, 8), Ok(()));
    finish(lender)
}

fn a_server_sees_no_addresses(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let address = memory.as_ptr() as u64;
    // Something that must be overwritten.
    (0..12).for_each(|index| raw::set(word::LEASE + index, u64::MAX));
    let lender = lend(
        &endpoint,
        vec![(address, 64, READ), (address, 9, READ | WRITE)],
    )?;
    let seen: [u64; 6] = core::array::from_fn(|index| raw::get(word::LEASE + index));
    finish(lender)?;
    check_eq!(seen, [0, 64, READ, 0, 9, READ | WRITE]);
    Ok(())
}

fn a_lease_ends_with_its_call(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let lender = lend(&endpoint, vec![(memory.as_ptr() as u64, 64, READ | WRITE)])?;
    finish(lender)?;
    let mut bytes = [0; 8];
    let gone = Err(CallError::Transport(TransportError::refused(
        Cause::Cancelled,
    )));
    check_eq!(read(0, 0, &mut bytes), gone);
    check_eq!(write(0, 0, &bytes), gone);
    Ok(())
}

fn a_kept_request_keeps_its_leases(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let lender = lend(&endpoint, vec![(memory.as_ptr() as u64, 64, READ | WRITE)])?;
    let kept = request().keep()?;
    let mut bytes = [0; 64];
    // Not by the implicit request any more, but by the kept one.
    check!(read(0, 0, &mut bytes).is_err());
    let address = bytes.as_mut_ptr() as u64;
    check_eq!(kept.read_to([0, 0], address, 64), Ok(()));
    check_eq!(core::hint::black_box(bytes), [3; 64]);
    check_eq!(kept.cancelled(), Ok(false));
    let thread = lender.thread().ok_or_else(|| Failure::new("no thread"))?;
    thread.cancel()?;
    check_eq!(kept.cancelled(), Ok(true));
    let wrong = Err(CallError::Server(ObjectError::WrongState));
    check_eq!(kept.read_to([0, 0], address, 64), wrong);
    let out = lender.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(
        raw::error(&out),
        Some(TransportError::delivered(Cause::Cancelled))
    );
    Ok(())
}

fn sum_up_what_comes(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::open(1);
    check_message(&raw::receive(endpoint.as_ref().handle(), FOREVER))?;
    let kept = ReplyClient::from(Capability::from_handle(Handle(raw::get(
        word::CAPABILITIES,
    ))));
    let mut bytes = [0_u8; 64];
    kept.read_to([0, 0], bytes.as_mut_ptr() as u64, 64)?;
    check_eq!(core::hint::black_box(bytes), [3; 64]);
    kept.write(0, 0, [4_u8; 64].as_ptr() as u64, 64)?;
    // Dropping the duty ends the call.
    drop(kept);
    raw::reply(&[]);
    Ok(())
}

fn a_lease_moves_with_its_request(world: &mut World) -> Verdict {
    let (endpoint, other) = (
        libipc::task().create_endpoint()?,
        libipc::task().create_endpoint()?,
    );
    let child = Plan::new(sum_up_what_comes)
        .give(&[given("endpoint", &other)])
        .start(&world.image)?;
    let memory: &'static [u8] = vec![3_u8; 64].leak();
    let lender = lend(&endpoint, vec![(memory.as_ptr() as u64, 64, READ | WRITE)])?;
    let kept = Capability::from(request().keep()?).into_handle();
    raw::attach(0, kept);
    raw::passing(0);
    check_message(&raw::call(
        other.as_ref().handle(),
        CALL.with_capabilities(1),
        &[],
    ))?;
    let out = lender.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(
        raw::error(&out),
        Some(TransportError::delivered(Cause::Dropped))
    );
    check_eq!(core::hint::black_box(memory), [4; 64]);
    child.finish()
}

fn a_megabyte_is_copied_both_ways_under_interrupts(world: &mut World) -> Verdict {
    const LENGTH: usize = 1 << 20;
    let memory = libipc::task().create_memory((2 * LENGTH / PAGE) as u64)?;
    let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    // SAFETY: the mapping is this case's alone and lives to its end.
    #[allow(unsafe_code, reason = "memory that is mapped by hand")]
    let bytes =
        unsafe { core::slice::from_raw_parts_mut(mapping.address() as *mut u8, 2 * LENGTH) };
    let (lent, own) = bytes.split_at_mut(LENGTH);
    let byte = |index: usize| (index ^ index >> 8 ^ index >> 16) as u8;
    lent.iter_mut()
        .enumerate()
        .for_each(|(index, place)| *place = byte(index));
    // Sleepers whose timers ring all the time.
    let end = Instant::after(Duration::from_millis(60));
    let sleepers: [_; 4] = core::array::from_fn(|_| {
        thread::spawn(move || {
            while !end.passed() {
                libipc::time::sleep(Duration::from_micros(30));
            }
        })
    });
    let before = world.counters.counters()?.interrupts;
    let endpoint = libipc::task().create_endpoint()?;
    let mut rounds = 0;
    while rounds < 3 || !end.passed() {
        own.fill(0);
        let lender = lend(
            &endpoint,
            vec![(lent.as_ptr() as u64, LENGTH as u64, READ | WRITE)],
        )?;
        // At odd places, so that no two pages lie alike.
        check_eq!(read(0, 1, &mut own[..LENGTH - 1]), Ok(()));
        check!((0..LENGTH - 1).all(|index| own[index] == byte(index + 1)));
        check_eq!(write(0, 0, &own[..LENGTH - 1]), Ok(()));
        finish(lender)?;
        check!((0..LENGTH - 1).all(|index| lent[index] == byte(index + 1)));
        lent.iter_mut()
            .enumerate()
            .for_each(|(index, place)| *place = byte(index));
        rounds += 1;
    }
    for sleeper in sleepers {
        sleeper?.join();
    }
    check!(world.counters.counters()?.interrupts > before);
    Ok(())
}

fn message_buffers_are_left_alone(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let last = raw::BUFFER_WORDS - 200;
    for index in last..raw::BUFFER_WORDS {
        raw::set(index, index as u64);
    }
    let mut bytes = vec![0; 3000];
    client.fill(&mut bytes, 5)?;
    check!(
        bytes
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == 5_u8.wrapping_add(index as u8))
    );
    let sum = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    check_eq!(client.sum(&bytes)?, sum);
    check!((last..raw::BUFFER_WORDS).all(|index| raw::get(index) == index as u64));
    Ok(())
}
