//! The table itself: growth, reuse, and tables of others.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, number},
    raw,
    run::World,
    wait,
};
use alloc::vec::Vec;
use libipc::{
    Capability, Start,
    handle::{Handle, Rights},
    objects::{self, MemoryClient},
    status::Cause,
};

fn pages(handle: Handle) -> libipc::registers::CallOut {
    raw::operation(
        handle,
        &objects::memory::INTERFACE,
        objects::memory::number::PAGES,
        &[],
    )
}

fn use_what_comes(start: Start) -> Verdict {
    let handle = Handle(number(&start, 0)?);
    wait::until(|| Ok(pages(handle).words[0] == 7))?;
    wait::until(|| Ok(raw::refused(&pages(handle), Cause::Denied)))
}

pub(super) fn another_tasks_table_can_be_filled_and_emptied(world: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(7)?;
    let weak = memory.as_ref().derive(Rights::READ | Rights::GRANT)?;
    // The child's first free slot is the second; nothing was there before.
    let expected = Handle::new(2, Rights::READ, objects_type(), 0);
    let child = Plan::new(use_what_comes)
        .tell(&[expected.0])
        .start(&world.image)?;
    let handle = child.task.install(&weak, Rights::READ.bits().into())?;
    check_eq!(Handle(handle), expected);
    wait::until(|| Ok(child.task.info()?.calls > 20))?;
    let derived = child.task.derive(handle, 255)?;
    check_eq!(Handle(derived).rights(), Rights::READ);
    child.task.delete(handle)?;
    check!(child.task.delete(handle).is_err());
    child.finish()
}

fn objects_type() -> libipc::handle::ObjectType {
    libipc::handle::ObjectType::Memory
}

pub(super) fn a_table_grows_and_uses_its_slots_again(_: &mut World) -> Verdict {
    let task = libipc::task().create_task(64)?;
    let memory = libipc::task().create_memory(1)?;
    let mut handles = Vec::new();
    for _ in 0..500 {
        handles.push(task.install(memory.as_ref(), 255)?);
    }
    let (first, used) = (task.info()?, task.info()?.used);
    check_eq!(first.capabilities, 500);
    check!(first.slots > 500 && first.slots < 1000);
    let mut sorted = handles.clone();
    sorted.sort_unstable();
    sorted.dedup();
    check_eq!(sorted.len(), 500);
    for handle in handles.drain(..) {
        task.delete(handle)?;
        check!(task.delete(handle).is_err());
    }
    check_eq!(task.info()?.capabilities, 0);
    for _ in 0..500 {
        task.install(memory.as_ref(), 255)?;
    }
    check_eq!((task.info()?.slots, task.info()?.used), (first.slots, used));
    Ok(())
}

pub(super) fn a_table_is_listed_as_it_is(_: &mut World) -> Verdict {
    let task = libipc::task().create_task(64)?;
    let memory = MemoryClient::from(Capability::from(libipc::task().create_memory(1)?));
    let endpoint = libipc::task().create_endpoint()?;
    let badged = endpoint.mint_client::<Capability>(55)?;
    let mut expected = [
        (task.install(memory.as_ref(), 255)?, 0),
        (task.install(&badged, 255)?, 55),
        (task.install(task.as_ref(), 1)?, 0),
    ];
    let mut found = Vec::new();
    let mut index = 0;
    while let Ok(held) = task.capability(index) {
        found.push((held.handle, held.badge));
        index = held.next;
    }
    found.sort_unstable();
    expected.sort_unstable();
    check_eq!(found, expected);
    check_eq!(
        task.capability(1 << 40),
        Err(libipc::CallError::Server(objects::ObjectError::NotFound))
    );
    Ok(())
}

pub(super) fn a_table_that_cannot_grow_refuses_and_gives_all_back(_: &mut World) -> Verdict {
    let own = libipc::task();
    let memory = own.create_memory(1)?;
    let before = own.info()?.used;
    // From a quota that has no room for a table at all to one that has.
    for frames in 1..8 {
        let Ok(task) = own.create_task(frames) else {
            continue;
        };
        let refused = loop {
            if let Err(error) = task.install(memory.as_ref(), 255) {
                break error;
            }
        };
        let cause = refused.transport().map(|error| error.cause);
        check_eq!(cause, Some(Cause::QuotaExceeded));
        check!(task.info()?.used <= frames);
        task.kill()?;
        drop(task);
    }
    // Tasks of earlier cases may have been on their way back too.
    let back = wait::until(|| Ok(own.info()?.used <= before));
    back.map_err(|_| Failure::new("frames of a dead task stay charged"))
}
