//! Calls on the request being served: copies from and to what was lent with it, and
//! keeping it for later.

use super::Next;
use crate::{
    Entered,
    arch::{Arch, Port},
    capability::object::Target,
    ipc::{
        lease::{self, Wanted, Way},
        plain,
    },
    object::thread::Thread,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    buffer::word,
    handle::Rights,
    label::Label,
    objects::reply::{INTERFACE, number},
    status::Status,
};

/// A call that nothing is attached to.
#[inline(always)]
pub(super) fn call<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    label: Label,
) -> Option<Next<'k>> {
    if !k.core.fast.get() || !INTERFACE.accepts(label.hash()) {
        return None;
    }
    let client = server.client.get(k)?;
    let next = match label.operation() {
        number::KEEP => keep::<ALONE>(k, server, client)?,
        number::READ => copy(k, server, client, Way::Read)?,
        number::WRITE => copy(k, server, client, Way::Write)?,
        _ => return None,
    };
    server.remember(label.0);
    k.core.calls.add(1);
    Some(next)
}

/// Copies no more than a page, as more has to look for interrupts in between. Whose
/// memory it is cannot change meanwhile: that takes the kernel's lock.
#[inline(always)]
fn copy<'k>(k: Entered<'k>, server: &Thread, client: &'k Thread, way: Way) -> Option<Next<'k>> {
    let word = |index| Port::word(&server.context, index);
    let wanted = Wanted {
        lease: word(0),
        offset: word(1),
        address: word(2),
        length: word(3),
        way,
    };
    lease::copy_present(k, server, client, &wanted).then_some(Next::Ends(Status::Message))
}

/// Makes a capability of the request. Tables of capabilities are other cores' too.
#[inline(always)]
fn keep<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    client: &'k Thread,
) -> Option<Next<'k>> {
    // Refuse.
    let buffer = server.buffer(k);
    if !ALONE || server.passive.get() || buffer[word::OPEN].load(Relaxed) == 0 {
        return None;
    }
    // Who has kept what it served goes on with its own time and priority, and may have
    // to make way.
    let effective = server.priority.bits().max(server.press.bits());
    let counted = !server.runs_on.is_none() || !server.reservation.is_none();
    if counted || !k.core.comes_first(effective) {
        return None;
    }
    let task = server.own_task(k);
    let target = Target::Reply(client, client.call_number.get());
    let rights = Rights::ANSWER | Rights::GRANT;
    let handle = task.table.insert_known(k, task, &target, rights).ok()?;

    // Hand over.
    client.server.set(None);
    server.client.set(None);
    server.depth.set(0);
    server.effective.set_bits(effective);
    buffer[word::CAPABILITIES].store(handle.0, Relaxed);
    let mut out = plain(Status::Message);
    out.label = Label::default().with_capabilities(1);
    Port::words_out(&server.context, &out);
    Some(Next::Returns(server, false))
}
