//! Hostile user pointers: every operation that takes an address, with every
//! kind of address that it must not follow.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, STACK, number},
    raw::{self, PlaceAt, ReadTo},
    run::{Case, World, cases},
};
use libipc::{
    CallError, Capability, PAGE, Start,
    handle::Rights,
    memory::Mapping,
    objects::{FaultKind, MemoryClient, ObjectError, TaskClient},
    status::{Cause, TransportError},
};

pub(crate) const CASES: &[Case] = cases![
    memory_is_not_read_to_bad_places,
    memory_is_not_written_from_bad_places,
    peeking_follows_no_bad_pointer,
    the_log_is_not_read_to_bad_places,
    the_log_is_not_written_from_bad_places,
    a_panic_may_name_any_address,
    a_fault_handler_sees_the_pointer_and_nothing_happens,
    mappings_stay_in_user_space,
    threads_begin_in_user_space,
    good_pointers_work_across_pages,
];

const PAGE_SIZE: u64 = PAGE as u64;
/// Where user space ends.
const END: u64 = 1 << 38;
/// An address of the kernel's, on both architectures.
const KERNEL: u64 = 0xffff_ffc0_8020_0000;

/// Places that can be neither read nor written; a copy of 16 bytes there must
/// fail. `page` is mapped and nothing follows it.
fn nowhere(page: &Mapping, device: &Mapping) -> [u64; 14] {
    let end = page.address() as u64 + PAGE_SIZE;
    [
        0,
        8,
        PAGE_SIZE - 8,
        end,
        end - 8,
        1 << 37,
        END - 16,
        END - 8,
        END,
        KERNEL,
        0xffff_ff80_0000_0000,
        u64::MAX - 8,
        u64::MAX - 15,
        device.address() as u64,
    ]
}

struct Places {
    memory: MemoryClient,
    page: Mapping,
    device: Mapping,
    read_only: Mapping,
}

impl Places {
    fn new(world: &World) -> Result<Places, Failure> {
        let memory = libipc::task().create_memory(1)?;
        let secret = libipc::task().create_memory(1)?;
        secret.write_from(0, &[0x77; 64])?;
        Ok(Places {
            page: Mapping::new(&memory, Rights::READ | Rights::WRITE)?,
            device: Mapping::new(world.uart()?, Rights::READ | Rights::WRITE)?,
            read_only: Mapping::new(&secret, Rights::READ)?,
            memory,
        })
    }

    /// As [`nowhere`], and what can be read but not written.
    fn unwritable(&self) -> impl Iterator<Item = u64> {
        let code = raw::park as *const () as u64;
        let constant = (&raw const PATTERN).addr() as u64;
        nowhere(&self.page, &self.device).into_iter().chain([
            code,
            constant,
            self.read_only.address() as u64,
        ])
    }

    fn unreadable(&self) -> impl Iterator<Item = u64> {
        nowhere(&self.page, &self.device).into_iter()
    }
}

/// Something in read-only data.
static PATTERN: [u64; 4] = [0x0123_4567_89ab_cdef; 4];

type Result2 = Result<(), CallError<ObjectError>>;
const FAULT: Result2 = Err(CallError::Transport(TransportError::refused(
    Cause::LeaseFault,
)));

fn memory_is_not_read_to_bad_places(world: &mut World) -> Verdict {
    let places = Places::new(world)?;
    for address in places.unwritable() {
        check_eq!(places.memory.read_to([0], address, 16), FAULT);
    }
    check_eq!(
        core::hint::black_box(&PATTERN)[..],
        [0x0123_4567_89ab_cdef; 4][..]
    );
    Ok(())
}

fn memory_is_not_written_from_bad_places(world: &mut World) -> Verdict {
    let places = Places::new(world)?;
    for address in places.unreadable() {
        check_eq!(places.memory.write(0, address, 16), FAULT);
    }
    let mut bytes = [1; 8];
    places.memory.read_into(0, &mut bytes)?;
    // The one that began in a good page copied that part and no more.
    check_eq!(bytes, [0; 8]);
    let out_of_range = Err(CallError::Server(ObjectError::OutOfRange));
    check_eq!(
        places
            .memory
            .write(PAGE_SIZE - 8, places.page.address() as u64, 16),
        out_of_range
    );
    check_eq!(
        places
            .memory
            .read_to([u64::MAX], places.page.address() as u64, 2),
        out_of_range
    );
    // Registers of devices are no memory to copy.
    check_eq!(
        world.uart()?.read_to([0], places.page.address() as u64, 8),
        FAULT
    );
    check_eq!(
        world.uart()?.write(0, places.page.address() as u64, 8),
        FAULT
    );
    Ok(())
}

fn peeking_follows_no_bad_pointer(world: &mut World) -> Verdict {
    let places = Places::new(world)?;
    let child = Plan::new(|_| Ok(())).make(&world.image)?;
    for address in places.unwritable() {
        check_eq!(child.task.peek_to(STACK, address, 16), FAULT);
    }
    let mut bytes = [0; 16];
    for address in places.unreadable() {
        check_eq!(child.task.peek_into(address, &mut bytes), FAULT);
    }
    // The page below its stack.
    check_eq!(child.task.peek_into(STACK - 16, &mut bytes), FAULT);
    check_eq!(child.task.peek_into(STACK, &mut bytes), Ok(()));
    child.kill()
}

fn the_log_is_not_read_to_bad_places(world: &mut World) -> Verdict {
    let places = Places::new(world)?;
    for address in places.unwritable() {
        let result = raw::read_log_to(&world.log, 0, address, 16).map(|_| ());
        check_eq!(result, FAULT);
    }
    Ok(())
}

fn the_log_is_not_written_from_bad_places(world: &mut World) -> Verdict {
    let places = Places::new(world)?;
    for address in places.unreadable() {
        check_eq!(world.log.write_log(address, 16), FAULT);
    }
    let good = places.page.address() as u64;
    for length in [513, 1 << 32, u64::MAX] {
        let refused = Err(CallError::Server(ObjectError::OutOfRange));
        check_eq!(world.log.write_log(good, length), refused);
    }
    Ok(())
}

fn panic_at(start: Start) -> Verdict {
    let (address, length) = (number(&start, 0)?, number(&start, 1)?);
    libipc::thread::current().panic(address, length)?;
    Ok(())
}

fn a_panic_may_name_any_address(world: &mut World) -> Verdict {
    for (address, length) in [(0, 8), (KERNEL, 64), (u64::MAX, u64::MAX), (END - 4, 8)] {
        let child = Plan::new(panic_at)
            .tell(&[address, length])
            .start(&world.image)?;
        let report = child.fault(true)?;
        check_eq!(report.kind, FaultKind::Panic);
        check_eq!((report.address, report.code), (address, length));
        let mut byte = [0];
        check_eq!(child.task.peek_into(address, &mut byte), FAULT);
        crate::wait::until(|| Ok(child.task.info()?.threads == 0))?;
    }
    Ok(())
}

fn load(start: Start) -> Verdict {
    raw::load(number(&start, 0)?);
    Ok(())
}

fn a_fault_handler_sees_the_pointer_and_nothing_happens(world: &mut World) -> Verdict {
    for address in [0, 1 << 37, KERNEL] {
        let child = Plan::new(load).tell(&[address]).start(&world.image)?;
        let report = child.fault(false)?;
        check_eq!((report.kind, report.address), (FaultKind::Read, address));
    }
    Ok(())
}

fn mappings_stay_in_user_space(world: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(4)?;
    let bad = Err(CallError::Server(ObjectError::BadAddress));
    let child: TaskClient = libipc::task().create_task(64)?;
    let addresses = [
        0,
        1,
        8,
        4097,
        END,
        END - PAGE_SIZE,
        KERNEL,
        u64::MAX - 4095,
        u64::MAX,
        1 << 63,
    ];
    for address in addresses {
        check_eq!(child.map_at(&memory, address, 0, 1, 1), bad);
        check_eq!(child.unmap_at(address, 1), bad);
        check_eq!(child.protect_at(address, 1, 1), bad);
    }
    for pages in [0, 1 << 26, 1 << 51, 1 << 52, u64::MAX] {
        check_eq!(child.map_at(&memory, 1 << 20, 0, pages, 1), bad);
        check_eq!(child.unmap_at(1 << 20, pages), bad);
    }
    // The message buffers' own region cannot be mapped over either.
    let buffer = raw::buffer() as u64;
    check_eq!(libipc::task().map_at(&memory, buffer, 0, 1, 1), bad);
    check_eq!(libipc::task().unmap_at(buffer, 1), bad);
    check_eq!(libipc::task().protect_at(buffer, 1, 4), bad);
    let _ = world;
    Ok(())
}

fn threads_begin_in_user_space(_: &mut World) -> Verdict {
    let task = libipc::task().create_task(64)?;
    let bad = |entry, stack| {
        task.thread_at(entry, stack, 0, 0, 1).map(|_| ())
            == Err(CallError::Server(ObjectError::BadAddress))
    };
    for address in [END, KERNEL, u64::MAX, 1 << 63] {
        check!(bad(address, 0x1000));
    }
    for stack in [END + 8, KERNEL, u64::MAX] {
        check!(bad(0x1000, stack));
    }
    check!(task.thread_at(END - 4, END, u64::MAX, KERNEL, 1).is_ok());
    Ok(())
}

fn good_pointers_work_across_pages(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(4)?;
    let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    let other = libipc::task().create_memory(4)?;
    let from = alloc::vec![0x3c_u8; 2 * PAGE + 5];
    memory.write_from(PAGE_SIZE - 3, &from)?;
    other.write(
        7,
        mapping.address() as u64 + PAGE_SIZE - 3,
        from.len() as u64,
    )?;
    let mut back = alloc::vec![0_u8; 2 * PAGE + 7];
    other.read_into(6, &mut back)?;
    check!(back[0] == 0 && back[back.len() - 1] == 0);
    check!(back[1..back.len() - 1] == from[..]);
    drop(Capability::from(other));
    Ok(())
}
