//! The right that each operation of each object needs.

use crate::{
    check::{Failure, Verdict},
    echo::{INTERFACE, Server, number},
    raw::{self, PlaceAt},
    run::World,
    wait,
};
use libipc::{
    CallError, Capability,
    handle::Rights,
    label::{Flags, Label},
    objects::{
        self, EndpointClient, InterruptClient, MemoryClient, ObjectError, ReservationClient,
        SystemClient, TaskClient, ThreadClient, ThreadState,
    },
    operation::Interface,
    status::Cause,
};

fn cause<T>(result: Result<T, CallError<ObjectError>>) -> Option<Cause> {
    result
        .err()
        .and_then(|error| error.transport())
        .map(|error| error.cause)
}

/// Tries operations with all rights but the one that each needs, then with that
/// one alone: only then may it get further than the check of rights.
fn each_needs(
    capability: &Capability,
    all: Rights,
    interface: &Interface,
    needs: &[(u8, Rights)],
) -> Verdict {
    for (number, right) in needs {
        for (rights, allowed) in [(all - *right, false), (*right, true)] {
            let derived = capability.derive(rights)?;
            let label = Label::call(*number, interface.hash).with_flags(Flags::OBJECT);
            // An argument that no operation accepts, so that nothing is done.
            raw::open(4);
            raw::attach(0, derived.handle());
            raw::passing(1);
            let label = label.with_capabilities(1);
            let out = raw::call(derived.handle(), label, &[u64::MAX; 5]);
            if raw::refused(&out, Cause::Denied) == allowed {
                let name = interface
                    .operation(*number)
                    .map_or("?", |operation| operation.name);
                return Err(Failure::new(format_args!(
                    "{} with {rights:?}: {out:?}",
                    name
                )));
            }
        }
    }
    Ok(())
}

pub(super) fn rights_of_memory(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    use objects::memory::number::*;
    each_needs(
        memory.as_ref(),
        Rights::all(),
        &objects::memory::INTERFACE,
        &[(READ, Rights::READ), (WRITE, Rights::WRITE)],
    )?;
    // What can be mapped how.
    let kinds = [Rights::READ, Rights::WRITE, Rights::EXECUTE];
    for held in kinds {
        let weak = MemoryClient::from(memory.as_ref().derive(held)?);
        for wanted in kinds {
            let result = libipc::task().map_at(&weak, 1 << 20, 0, 1, wanted.bits().into());
            check_eq!(result.is_ok(), held == wanted);
            if result.is_ok() {
                libipc::task().unmap_at(1 << 20, 1)?;
            } else {
                check_eq!(cause(result), Some(Cause::Denied));
            }
        }
    }
    Ok(())
}

pub(super) fn rights_of_endpoints(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let without = |rights| {
        let derived = endpoint
            .as_ref()
            .derive(Rights::all() - rights - Rights::FAR_ONLY);
        derived.map(EndpointClient::from)
    };
    let denied = Some(Cause::Denied);
    let uncontrolled = without(Rights::CONTROL)?;
    check_eq!(cause(uncontrolled.pause()), denied);
    check_eq!(cause(uncontrolled.resume()), denied);
    check_eq!(cause(uncontrolled.close()), denied);
    check_eq!(cause(uncontrolled.expel()), denied);
    check_eq!(cause(uncontrolled.info()), None);
    let deaf = without(Rights::RECEIVE)?;
    check_eq!(cause(deaf.mint(1, 1, 1)), denied);
    check_eq!(cause(deaf.session(0)), denied);
    check_eq!(cause(deaf.info()), None);
    check_eq!(
        cause(without(Rights::CONTROL | Rights::RECEIVE)?.info()),
        denied
    );
    check_eq!(endpoint.info()?.state, 0);
    // Named as a handler, where it is to be called or signalled.
    let task = libipc::task().create_task(16)?;
    check_eq!(
        cause(task.set_fault_handler(&without(Rights::CALL)?)),
        denied
    );
    check_eq!(task.set_fault_handler(&endpoint), Ok(()));
    Ok(())
}

pub(super) fn calling_needs_its_right_though_a_server_waits(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let all = Rights::all() - Rights::FAR_ONLY;
    let weak = server.endpoint.as_ref().derive(all - Rights::CALL)?;
    let add = Label::call(number::ADD, INTERFACE.hash);
    for (client, allowed) in [(server.endpoint.as_ref(), true), (&weak, false)] {
        wait::for_state(server.thread(), ThreadState::Receiving)?;
        let out = raw::call(client.handle(), add, &[1, 2]);
        check_eq!(raw::refused(&out, Cause::Denied), !allowed);
    }
    Ok(())
}

pub(super) fn minted_badges_are_taken_back(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let minted = endpoint.mint(7, Rights::CALL.bits().into(), 1)?;
    let handle = minted.as_ref().handle();
    libipc::task().revoke(endpoint.as_ref().handle().0)?;
    let out = raw::call_until(handle, Label::call(1, 1), &[], 1);
    check!(raw::refused(&out, Cause::Denied));
    check_eq!(endpoint.info()?.state, 0);
    Ok(())
}

pub(super) fn rights_of_tasks(_: &mut World) -> Verdict {
    use objects::task::number::*;
    let task = libipc::task().create_task(64)?;
    let all = Rights::INSPECT
        | Rights::CREATE
        | Rights::MAP
        | Rights::CONTROL
        | Rights::INSTALL
        | Rights::GRANT;
    each_needs(
        task.as_ref(),
        all,
        &objects::task::INTERFACE,
        &[
            (CREATE_TASK, Rights::CREATE),
            (CREATE_THREAD, Rights::CREATE),
            (CREATE_MEMORY, Rights::CREATE),
            (UNMAP, Rights::MAP),
            (PROTECT, Rights::MAP),
            (INFO, Rights::INSPECT),
            (THREAD, Rights::INSPECT),
            (CAPABILITY, Rights::INSPECT),
            (REGISTERS, Rights::INSPECT),
            (HISTORY, Rights::INSPECT),
            (PEEK, Rights::INSPECT),
        ],
    )?;
    let denied = Some(Cause::Denied);
    let without = |rights: Rights| task.as_ref().derive(all - rights).map(TaskClient::from);
    let memory = libipc::task().create_memory(1)?;
    let endpoint = libipc::task().create_endpoint()?;
    check_eq!(cause(without(Rights::CREATE)?.create_endpoint()), denied);
    check_eq!(
        cause(without(Rights::MAP)?.map_at(&memory, 4096, 0, 1, 1)),
        denied
    );
    let uninstalled = without(Rights::INSTALL)?;
    check_eq!(cause(uninstalled.install(memory.as_ref(), 1)), denied);
    let there = task.install(memory.as_ref(), 1)?;
    check_eq!(cause(uninstalled.derive(there, 1)), denied);
    check_eq!(cause(uninstalled.delete(there)), denied);
    let uncontrolled = without(Rights::CONTROL)?;
    check_eq!(cause(uncontrolled.set_fault_handler(&endpoint)), denied);
    check_eq!(cause(uncontrolled.kill()), denied);
    check_eq!(task.info()?.capabilities, 1);
    // A task's own capability says no more than that it may run itself.
    check_eq!(cause(libipc::task().kill()), denied);
    Ok(())
}

pub(super) fn rights_of_threads(_: &mut World) -> Verdict {
    let task = libipc::task().create_task(64)?;
    let thread = task.thread_at(0x1000, 0x2000, 0, 0, 1)?;
    let denied = Some(Cause::Denied);
    let weak = ThreadClient::from(thread.as_ref().derive(Rights::all() - Rights::CONTROL)?);
    check_eq!(cause(weak.resume()), denied);
    check_eq!(cause(weak.suspend()), denied);
    check_eq!(cause(weak.cancel()), denied);
    check_eq!(cause(weak.set_priority(1)), denied);
    check_eq!(cause(weak.exit(1)), denied);
    check_eq!(cause(weak.set_core(0)), denied);
    check_eq!(cause(weak.set_passive(true)), denied);
    check_eq!(cause(weak.info()), None);
    let blind = ThreadClient::from(thread.as_ref().derive(Rights::all() - Rights::INSPECT)?);
    check_eq!(cause(blind.info()), denied);
    check_eq!(blind.set_priority(2), Ok(()));
    // What only the caller does to itself.
    let wrong = Err(CallError::Server(ObjectError::WrongState));
    check_eq!(thread.yield_now(), wrong);
    check_eq!(thread.panic(0, 0), wrong);
    check_eq!(thread.info()?.priority, 2);
    Ok(())
}

pub(super) fn rights_of_the_machine(world: &mut World) -> Verdict {
    let denied = Some(Cause::Denied);
    let mut byte = [0];
    let endpoint = libipc::task().create_endpoint()?;
    let others: [&SystemClient; 2] = [&world.counters, &world.shutdown];
    for system in others {
        check_eq!(cause(system.log("never\n")), denied);
        check_eq!(cause(system.read_log_into(0, &mut byte)), denied);
        check_eq!(cause(system.bind_log(&endpoint, 1)), denied);
        check_eq!(cause(system.release_console()), denied);
    }
    check_eq!(cause(world.log.counters()), denied);
    check_eq!(cause(world.shutdown.counters()), denied);
    check!(world.counters.counters()?.frames > 0);
    for system in [&world.counters, &world.shutdown, &world.log] {
        check_eq!(cause(system.device_memory(0x1000_0000, 1)), denied);
        check_eq!(cause(system.interrupt(40)), denied);
    }
    for system in [&world.counters, &world.log] {
        check_eq!(cause(system.shutdown(objects::Shutdown::Fail)), denied);
    }
    let (first, count) = world.log.read_log_into(0, &mut byte)?;
    check!(first > 0 || count == 1);
    Ok(())
}

pub(super) fn rights_of_interrupts(world: &mut World) -> Verdict {
    let line: &InterruptClient = world.uart_interrupt()?;
    let endpoint = libipc::task().create_endpoint()?;
    let denied = Some(Cause::Denied);
    let weak = InterruptClient::from(line.as_ref().derive(Rights::empty())?);
    check_eq!(cause(weak.bind(&endpoint, 1)), denied);
    check_eq!(cause(weak.acknowledge()), denied);
    check_eq!(cause(weak.unbind()), denied);
    let mute = endpoint.as_ref().derive(Rights::all() - Rights::SIGNAL)?;
    check_eq!(cause(line.bind(&EndpointClient::from(mute), 1)), denied);
    check_eq!(line.bind(&endpoint, 1), Ok(()));
    check_eq!(line.unbind(), Ok(()));
    Ok(())
}

pub(super) fn rights_of_reservations(world: &mut World) -> Verdict {
    let denied = Some(Cause::Denied);
    let (budget, period) = (
        1,
        libipc::time::to_ticks(core::time::Duration::from_secs(1)),
    );
    for system in [&world.counters, &world.shutdown, &world.log] {
        check_eq!(cause(system.create_reservation(budget, period)), denied);
    }
    let bad = Err(CallError::Server(ObjectError::BadArgument));
    let refused = [(0, period), (period + 1, period), (1, 1), (0, 0)];
    for (budget, period) in refused {
        let made = world.time()?.create_reservation(budget, period);
        check_eq!(made.map(|_| ()), bad);
    }
    let time = world.time()?.create_reservation(budget, period)?;
    let task = libipc::task().create_task(64)?;
    let thread = task.thread_at(0x1000, 0x2000, 0, 0, 1)?;
    let endpoint = libipc::task().create_endpoint()?;
    let weak = time.as_ref().derive(Rights::all() - Rights::CONTROL)?;
    let weak = ReservationClient::from(weak);
    check_eq!(cause(weak.bind(&thread)), denied);
    check_eq!(cause(weak.unbind()), denied);
    check_eq!(cause(weak.change(budget, period)), denied);
    check_eq!(cause(weak.watch(&endpoint, 1)), denied);
    check_eq!(weak.info()?.thread, 0);
    let blind = time.as_ref().derive(Rights::all() - Rights::INSPECT)?;
    check_eq!(cause(ReservationClient::from(blind).info()), denied);
    let seen = ThreadClient::from(thread.as_ref().derive(Rights::INSPECT)?);
    check_eq!(cause(time.bind(&seen)), denied);
    let mute = endpoint.as_ref().derive(Rights::all() - Rights::SIGNAL)?;
    check_eq!(cause(time.watch(&EndpointClient::from(mute), 1)), denied);
    check_eq!(time.change(0, period), bad);
    check_eq!(time.bind(&thread), Ok(()));
    check_eq!(time.info()?.thread, thread.info()?.id);
    // Its thread's death is the end of it.
    thread.exit(0)?;
    check_eq!(cause(time.bind(&thread)), Some(Cause::Died));
    check_eq!(time.info()?.thread, 0);
    endpoint.close()?;
    check_eq!(cause(time.watch(&endpoint, 1)), Some(Cause::Died));
    Ok(())
}

pub(super) fn derivation_never_adds_rights(_: &mut World) -> Verdict {
    let task = libipc::task();
    let memory = task.create_memory(1)?;
    let endpoint = task.create_endpoint()?;
    let child = task.create_task(16)?;
    for capability in [memory.as_ref(), endpoint.as_ref(), child.as_ref()] {
        let held = capability.rights() - Rights::FAR_ONLY;
        for bit in 0..8 {
            let one = Rights::from_bits_retain(1 << bit);
            if one == Rights::FAR_ONLY {
                continue;
            }
            let weak = capability.derive(held - one)?;
            check_eq!(weak.rights(), held - one);
            let again = weak.derive(Rights::all() - Rights::FAR_ONLY)?;
            check_eq!(again.rights(), held - one);
        }
    }
    let refused = task.derive(memory.as_ref().handle().0, 256);
    check_eq!(refused, Err(CallError::Server(ObjectError::BadArgument)));
    Ok(())
}

pub(super) fn far_only_is_added_and_kept(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    check!(!endpoint.as_ref().rights().contains(Rights::FAR_ONLY));
    let marked = endpoint.as_ref().derive(Rights::CALL | Rights::FAR_ONLY)?;
    check_eq!(marked.rights(), Rights::CALL | Rights::FAR_ONLY);
    let derived = marked.derive(Rights::CALL)?;
    check_eq!(derived.rights(), Rights::CALL | Rights::FAR_ONLY);
    let minted = endpoint.mint(1, (Rights::CALL | Rights::FAR_ONLY).bits().into(), 1)?;
    check_eq!(minted.as_ref().rights(), Rights::CALL | Rights::FAR_ONLY);
    Ok(())
}

pub(super) fn nobody_makes_what_outranks_him(_: &mut World) -> Verdict {
    let own = libipc::thread::current().info()?.priority;
    let task = libipc::task().create_task(64)?;
    let denied = Some(Cause::Denied);
    check_eq!(cause(task.thread_at(0x1000, 0x2000, 0, 0, own + 1)), denied);
    let thread = task.thread_at(0x1000, 0x2000, 0, 0, own)?;
    check_eq!(cause(thread.set_priority(own + 1)), denied);
    check_eq!(thread.set_priority(own - 1), Ok(()));
    let bad = Err(CallError::Server(ObjectError::BadArgument));
    check_eq!(thread.set_priority(256), bad);
    Ok(())
}
