//! Capabilities in messages.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    echo::{EchoClient, INTERFACE, Server, number},
    raw,
    run::World,
    wait,
};
use alloc::vec::Vec;
use libipc::{
    CallError, Capability, FOREVER, Start,
    handle::{Handle, Rights},
    label::Label,
    message_buffer::word,
    objects::{EndpointClient, MemoryClient, ObjectError, ThreadState},
    registers::CallOut,
    status::{Cause, Status},
    thread::{self, JoinHandle},
};

const CALL: Label = Label::call(1, 1);

/// Calls with these capabilities on a thread of its own.
fn sender(to: Handle, handles: Vec<Handle>, passing: u64) -> Result<JoinHandle<CallOut>, Failure> {
    let sender = thread::spawn(move || {
        for (index, handle) in handles.iter().enumerate() {
            raw::attach(index, *handle);
        }
        raw::passing(passing);
        raw::call(to, CALL.with_capabilities(handles.len()), &[])
    })?;
    wait::for_state(sender.thread(), ThreadState::Sending)?;
    Ok(sender)
}

fn join(sender: JoinHandle<CallOut>) -> Result<CallOut, Failure> {
    sender.join().ok_or_else(|| Failure::new("no result"))
}

/// Receives with so many slots open; returns what arrived.
fn receive(at: &EndpointClient, slots: u64) -> (CallOut, [Handle; 4]) {
    raw::open(slots);
    let out = raw::receive(at.as_ref().handle(), 0);
    let handles = core::array::from_fn(|index| Handle(raw::get(word::CAPABILITIES + index)));
    (out, handles)
}

fn lives(handle: Handle) -> bool {
    use libipc::objects::memory;
    raw::operation(handle, &memory::INTERFACE, memory::number::PAGES, &[]).status == 0
}

fn memories() -> Result<[MemoryClient; 4], Failure> {
    let task = libipc::task();
    let one = || task.create_memory(1);
    Ok([one()?, one()?, one()?, one()?])
}

pub(super) fn passing_on_needs_grant(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let kept = memory.as_ref().derive(Rights::all() - Rights::GRANT)?;
    for passing in [0, 1] {
        let sender = sender(endpoint.as_ref().handle(), [kept.handle()].into(), passing)?;
        check!(raw::refused(&receive(&endpoint, 4).0, Cause::TimedOut));
        check!(raw::refused(&join(sender)?, Cause::Denied));
        check!(lives(kept.handle()));
    }
    let task = libipc::task().create_task(16)?;
    let refused = task.install(&kept, 255).err();
    let refused = refused.and_then(|error: CallError<ObjectError>| error.transport());
    check_eq!(refused.map(|error| error.cause), Some(Cause::Denied));
    Ok(())
}

pub(super) fn rights_can_be_lost_on_the_way(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let [first, second, ..] = memories()?;
    let handles = [first.as_ref().handle(), second.as_ref().handle()];
    let lost = u64::from(Rights::WRITE.bits()) << 8
        | u64::from((Rights::READ | Rights::GRANT).bits()) << 16;
    let sender = sender(endpoint.as_ref().handle(), handles.into(), 3 | lost)?;
    let (out, arrived) = receive(&endpoint, 2);
    check_eq!(raw::status(&out), Some(Status::Message));
    raw::reply(&[]);
    join(sender)?;
    check_eq!(arrived[0].rights(), handles[0].rights() - Rights::WRITE);
    check_eq!(
        arrived[1].rights(),
        handles[1].rights() - Rights::READ - Rights::GRANT
    );
    for handle in &arrived[..2] {
        drop(Capability::from_handle(*handle));
    }
    // They were copied.
    check!(handles.iter().all(|handle| lives(*handle)));
    Ok(())
}

pub(super) fn transfer_is_all_or_nothing(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let to = endpoint.as_ref().handle();
    let before = libipc::task().info()?.capabilities;
    let memories = memories()?;
    let good = memories.each_ref().map(|memory| memory.as_ref().handle());
    // One that is no handle, in each place.
    for place in 0..4 {
        let mut handles = good;
        handles[place] = Handle(good[place].0 ^ 1 << 40);
        let sender = sender(to, handles.into(), 0)?;
        check!(raw::refused(&receive(&endpoint, 4).0, Cause::TimedOut));
        check!(raw::refused(&join(sender)?, Cause::Denied));
        check!(good.iter().all(|handle| lives(*handle)));
    }
    // Too few slots.
    let refused = sender(to, good.into(), 0)?;
    check!(raw::refused(&receive(&endpoint, 3).0, Cause::TimedOut));
    check!(raw::refused(&join(refused)?, Cause::QuotaExceeded));
    check!(good.iter().all(|handle| lives(*handle)));
    check_eq!(libipc::task().info()?.capabilities, before + 4);
    // And now all four.
    let sender = sender(to, good.into(), 0)?;
    let (out, arrived) = receive(&endpoint, 4);
    check_eq!(out.label.capabilities(), 4);
    raw::reply(&[]);
    join(sender)?;
    check!(arrived.iter().all(|handle| lives(*handle)));
    check!(!good.iter().any(|handle| lives(*handle)));
    check_eq!(libipc::task().info()?.capabilities, before + 4);
    for handle in arrived {
        drop(Capability::from_handle(handle));
    }
    check_eq!(libipc::task().info()?.capabilities, before);
    // They are gone already.
    for memory in memories {
        Capability::from(memory).into_handle();
    }
    Ok(())
}

/// What a child runs that receives once, with all slots open.
fn receiver(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::open(4);
    raw::receive(endpoint.as_ref().handle(), FOREVER);
    Ok(())
}

pub(super) fn what_found_room_leaves_with_what_found_none(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let child = Plan::new(receiver)
        .give(&[given("endpoint", &endpoint)])
        .start(&world.image)?;
    wait::for_state(Some(&child.thread), ThreadState::Receiving)?;
    // No frame is left for the receiver's table, and one slot in it.
    let mut taken = Vec::new();
    while let Ok(memory) = child.task.create_memory(1) {
        taken.push(memory);
    }
    let mut last = 0;
    while let Ok(handle) = child.task.install(taken[0].as_ref(), 255) {
        last = handle;
    }
    child.task.delete(last)?;
    let before = child.task.info()?.capabilities;
    let memories = memories()?;
    for (index, memory) in memories[..2].iter().enumerate() {
        raw::attach(index, memory.as_ref().handle());
    }
    raw::passing(3);
    let out = raw::call(endpoint.as_ref().handle(), CALL.with_capabilities(2), &[]);
    check!(raw::refused(&out, Cause::QuotaExceeded));
    check_eq!(child.task.info()?.capabilities, before);
    Ok(())
}

pub(super) fn an_answer_without_room_leaves_its_capability(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let handle = server.endpoint.as_ref().handle();
    let before = libipc::task().info()?.capabilities;
    for _ in 0..3 {
        let memory = Capability::from(libipc::task().create_memory(1)?);
        raw::attach(0, memory.into_handle());
        raw::passing(0);
        raw::open(0);
        let label = Label::call(number::PASS, INTERFACE.hash);
        let out = raw::call(handle, label.with_capabilities(1), &[]);
        let cause = raw::error(&out).map(|error| error.cause);
        check_eq!(cause, Some(Cause::QuotaExceeded));
    }
    // The server was told and threw it away, and serves the next one.
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let memory = libipc::task().create_memory(1)?;
    let memory = MemoryClient::from(client.pass(memory.into())?);
    check_eq!(memory.pages()?, 1);
    drop((memory, client));
    check_eq!(libipc::task().info()?.capabilities, before);
    Ok(())
}

pub(super) fn one_capability_is_not_moved_twice(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let memory = libipc::task().create_memory(1)?;
    let handle = memory.as_ref().handle();
    let sender = sender(endpoint.as_ref().handle(), [handle, handle].into(), 0)?;
    check!(raw::refused(&receive(&endpoint, 4).0, Cause::TimedOut));
    check!(raw::refused(&join(sender)?, Cause::Malformed));
    check!(lives(handle));
    Ok(())
}

pub(super) fn losing_the_last_right_to_receive_on_the_way_is_safe(_: &mut World) -> Verdict {
    // The only capability to receive is moved through its own endpoint, to a
    // thread that waits there, and loses the right to receive on the way.
    let endpoint = libipc::task().create_endpoint()?;
    let client = endpoint.as_ref().derive(Rights::CALL | Rights::GRANT)?;
    let handle = endpoint.as_ref().handle();
    let server = thread::spawn(move || {
        raw::open(4);
        let out = raw::receive(handle, FOREVER);
        if raw::status(&out) == Some(Status::Message) {
            raw::reply(&[]);
        }
    })?;
    wait::for_state(server.thread(), ThreadState::Receiving)?;
    raw::attach(0, Capability::from(endpoint).into_handle());
    raw::passing(u64::from(Rights::RECEIVE.bits()) << 8);
    raw::call(client.handle(), CALL.with_capabilities(1), &[]);
    server.join();
    // Nobody can receive any more, so a call ends at once.
    let out = raw::call(client.handle(), CALL, &[]);
    check!(raw::refused(&out, Cause::Died));
    Ok(())
}
