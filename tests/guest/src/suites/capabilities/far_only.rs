//! The mark `FAR_ONLY`: a server that stands alone, and no other that joins it.

use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, given},
    echo::{self, EchoClient},
    run::World,
    wait,
};
use libipc::{
    CallError, Capability,
    handle::Rights,
    objects::{EndpointClient, ThreadState},
    status::{Cause, TransportError},
    thread,
};

/// A server in a task of its own, and clients with and without the mark.
struct Setting {
    child: Child,
    endpoint: EndpointClient,
    marked: EchoClient,
    plain: EchoClient,
}

fn setting(world: &World) -> Result<Setting, Failure> {
    let endpoint = libipc::task().create_endpoint()?;
    let marked = endpoint.as_ref().derive(Rights::CALL | Rights::FAR_ONLY)?;
    // Nobody gets rid of it.
    let marked = marked.derive(Rights::CALL)?;
    Ok(Setting {
        child: Plan::new(echo::serve)
            .give(&[given("endpoint", &endpoint)])
            .start(&world.image)?,
        marked: marked.into(),
        plain: endpoint.as_ref().derive(Rights::CALL)?.into(),
        endpoint,
    })
}

fn far_only<T>() -> Result<T, CallError<libipc::objects::ObjectError>> {
    let refused = TransportError::refused(Cause::FarOnly);
    Err(CallError::Transport(refused))
}

fn refused(client: &EchoClient) -> Verdict {
    let refused = TransportError::refused(Cause::FarOnly);
    check_eq!(client.add(1, 2), Err(CallError::Transport(refused)));
    Ok(())
}

pub(super) fn far_only_is_not_delivered_to_a_shared_task(world: &mut World) -> Verdict {
    let setting = setting(world)?;
    check_eq!(setting.plain.add(1, 2)?, 3);
    // Only who controls the task says so.
    let own = setting.child.task.as_ref();
    let weak = own.derive(Rights::all() - Rights::CONTROL)?;
    let weak = libipc::objects::TaskClient::from(weak);
    let denied = TransportError::refused(Cause::Denied);
    check_eq!(weak.set_shared(), Err(CallError::Transport(denied)));
    setting.child.task.set_shared()?;
    setting.child.task.set_shared()?;
    refused(&setting.marked)?;
    check_eq!(setting.plain.add(1, 2)?, 3);
    // One that waits in the queue is not delivered either, and nobody behind it
    // is held up.
    setting.endpoint.pause()?;
    let handle = setting.marked.as_ref().handle();
    let marked = thread::spawn(move || {
        let client = EchoClient::from(Capability::from_handle(handle));
        let sum = client.add(4, 5);
        Capability::from(client).into_handle();
        sum
    })?;
    wait::for_state(marked.thread(), ThreadState::Sending)?;
    let handle = setting.plain.as_ref().handle();
    let plain = thread::spawn(move || {
        let client = EchoClient::from(Capability::from_handle(handle));
        let sum = client.add(6, 7);
        Capability::from(client).into_handle();
        sum
    })?;
    wait::for_state(plain.thread(), ThreadState::Sending)?;
    setting.endpoint.resume()?;
    let none = || Failure::new("no result");
    let refused = TransportError::refused(Cause::FarOnly);
    let ended = marked.join().ok_or_else(none)?;
    check_eq!(ended, Err(CallError::Transport(refused)));
    check_eq!(plain.join().ok_or_else(none)?, Ok(13));
    Ok(())
}

pub(super) fn who_received_far_only_stays_alone(world: &mut World) -> Verdict {
    let setting = setting(world)?;
    check_eq!(setting.plain.add(1, 2)?, 3);
    check_eq!(setting.marked.add(1, 2)?, 3);
    check_eq!(setting.child.task.set_shared(), far_only());
    check_eq!(setting.marked.add(1, 2)?, 3);
    // The caller's own task is not held to anything.
    let caller = libipc::task().create_task(16)?;
    caller.set_shared()?;
    Ok(())
}
