//! Handles that nobody gave.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, number},
    raw::{self, PlaceAt},
    run::World,
};
use libipc::{
    Start,
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects,
    operation::Interface,
    status::Cause,
};

/// Asks memory behind the handle for its size.
fn probe(handle: Handle) -> libipc::registers::CallOut {
    raw::operation(
        handle,
        &objects::memory::INTERFACE,
        objects::memory::number::PAGES,
        &[],
    )
}

pub(super) fn a_handle_with_any_bit_changed_is_denied(_: &mut World) -> Verdict {
    // Rights that no other handle here has, so that no neighbour is met by chance.
    let memory = libipc::task().create_memory(3)?;
    let narrow = memory.as_ref().derive(Rights::EXECUTE)?;
    check_eq!(probe(narrow.handle()).words[0], 3);
    for bit in 0..64 {
        let forged = Handle(narrow.handle().0 ^ 1 << bit);
        if !raw::refused(&probe(forged), Cause::Denied) {
            return Err(Failure::new(format_args!("bit {bit} changed: {forged:?}")));
        }
    }
    check_eq!(probe(narrow.handle()).words[0], 3);
    Ok(())
}

pub(super) fn random_handles_are_denied(_: &mut World) -> Verdict {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..2000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // A generation that no slot has reached.
        let handle = Handle(state | 1 << 63);
        let out = probe(handle);
        check!(raw::refused(&out, Cause::Denied));
    }
    check!(raw::refused(&probe(Handle::NULL), Cause::Denied));
    check!(raw::refused(&probe(Handle(u64::MAX)), Cause::Denied));
    Ok(())
}

pub(super) fn a_stale_handle_is_denied(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    let mut stale = alloc::vec::Vec::new();
    for _ in 0..20 {
        let copy = memory.as_ref().copy()?;
        check_eq!(probe(copy.handle()).words[0], 1);
        check!(!stale.contains(&copy.handle()));
        stale.push(copy.handle());
        drop(copy);
        for old in &stale {
            check!(raw::refused(&probe(*old), Cause::Denied));
        }
    }
    // The slot is the same each time; only the generation tells them apart.
    check!(
        stale
            .windows(2)
            .all(|pair| pair[0].index() == pair[1].index())
    );
    check!(
        stale
            .windows(2)
            .all(|pair| pair[0].generation() < pair[1].generation())
    );
    Ok(())
}

fn try_handles(start: Start) -> Verdict {
    for index in 0..start.arguments().len() {
        let handle = Handle(number(&start, index)?);
        check!(raw::refused(&probe(handle), Cause::Denied));
        check!(raw::refused(
            &raw::call(handle, Label::call(1, 1), &[]),
            Cause::Denied
        ));
        check!(raw::refused(&raw::receive(handle, 0), Cause::Denied));
    }
    Ok(())
}

pub(super) fn handles_of_another_task_mean_nothing(world: &mut World) -> Verdict {
    let mut ours = alloc::vec::Vec::new();
    let mut index = 0;
    while let Ok(held) = libipc::task().capability(index) {
        index = held.next;
        // A child's only capability is the one for itself, in the first slot.
        if Handle(held.handle).index() != 1 {
            ours.push(held.handle);
        }
    }
    check!(ours.len() > 5);
    Plan::new(try_handles)
        .tell(&ours)
        .start(&world.image)?
        .finish()
}

pub(super) fn an_object_of_another_type_is_refused(_: &mut World) -> Verdict {
    let task = libipc::task();
    let memory = task.create_memory(1)?;
    let endpoint = task.create_endpoint()?;
    let child = task.create_task(16)?;
    let thread = child.thread_at(0x1000, 0x2000, 0, 0, 1)?;
    let held: [(Handle, &Interface); 4] = [
        (memory.as_ref().handle(), &objects::memory::INTERFACE),
        (endpoint.as_ref().handle(), &objects::endpoint::INTERFACE),
        (child.as_ref().handle(), &objects::task::INTERFACE),
        (thread.as_ref().handle(), &objects::thread::INTERFACE),
    ];
    for (handle, own) in held {
        for (_, interface) in held {
            if own.hash == interface.hash {
                continue;
            }
            for operation in interface.operations {
                let label = Label::call(operation.number, interface.hash).with_flags(Flags::OBJECT);
                let out = raw::call(handle, label, &[]);
                check!(raw::refused(&out, Cause::VersionMismatch));
            }
        }
        if handle.object_type() != Some(ObjectType::Endpoint) {
            check!(raw::refused(&raw::receive(handle, 0), Cause::Denied));
            let signal = Label::control(Flags::SIGNAL, 0);
            check!(raw::refused(
                &raw::call(handle, signal, &[1]),
                Cause::Denied
            ));
        }
        // As an argument where memory is wanted.
        if handle.object_type() != Some(ObjectType::Memory) {
            raw::attach(0, handle);
            raw::passing(1);
            let map = Label::call(objects::task::number::MAP, objects::task::INTERFACE.hash);
            let map = map.with_capabilities(1);
            let out = raw::call(child.as_ref().handle(), map, &[0x10000, 0, 1, 1]);
            check!(raw::refused(&out, Cause::Denied));
        }
    }
    Ok(())
}

pub(super) fn the_pseudo_handles_allow_only_what_they_say(_: &mut World) -> Verdict {
    use objects::thread::number::*;
    let thread = |number| raw::operation(Handle::THREAD, &objects::thread::INTERFACE, number, &[0]);
    for number in [RESUME, SUSPEND, CANCEL, SET_PRIORITY] {
        check!(raw::refused(&thread(number), Cause::Denied));
    }
    check_eq!(thread(INFO).status, 0);
    check_eq!(thread(YIELD_NOW).status, 0);
    // They have no slot: nothing can be derived, installed, passed or deleted.
    let own = libipc::task();
    for pseudo in [Handle::THREAD, Handle::REQUEST] {
        let denied = |result: Result<u64, libipc::CallError<objects::ObjectError>>| {
            result.is_err_and(|error| {
                error.transport().map(|error| error.cause) == Some(Cause::Denied)
            })
        };
        check!(denied(own.derive(pseudo.0, 255)));
        check!(denied(own.delete(pseudo.0).map(|()| 0)));
        let endpoint = own.create_endpoint()?;
        raw::attach(0, pseudo);
        raw::passing(1);
        let label = Label::call(1, 1).with_capabilities(1);
        // Nobody receives: it is refused only when it would be delivered.
        let handle = endpoint.as_ref().handle();
        let sender = libipc::thread::spawn(move || {
            raw::attach(0, pseudo);
            raw::passing(1);
            raw::call(handle, label, &[])
        })?;
        crate::wait::for_state(sender.thread(), objects::ThreadState::Sending)?;
        raw::open(4);
        check!(raw::refused(&raw::receive(handle, 0), Cause::TimedOut));
        let out = sender.join().ok_or_else(|| Failure::new("no result"))?;
        check!(raw::refused(&out, Cause::Denied));
    }
    Ok(())
}
