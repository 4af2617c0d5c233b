//! The life of sessions.

use super::deliver;
use crate::{
    Entered,
    memory::slab,
    object::{
        endpoint::{Endpoint, State},
        session::Session,
    },
};
use libipc_abi::{objects::ObjectError, status::Status};

/// Makes a session without copies; the endpoint's payer pays.
pub fn create<'k>(
    k: Entered<'k>,
    endpoint: &Endpoint,
    badge: u64,
    limit: u64,
) -> Result<&'k Session, ObjectError> {
    let payer = endpoint.payer.get(k).ok_or(ObjectError::Died)?;
    let session = slab::create(k, payer, Session::default())?;
    session.id.set(k.kernel.new_id());
    session.badge.set(badge);
    session.set_limit(limit);
    session.endpoint.set(Some(endpoint));
    endpoint.uses.add(1);
    endpoint.sessions.push(k, session);
    endpoint.session_count.add(1);
    Ok(session)
}

/// A capability of the session is gone. After the last, the endpoint's receiver
/// is told.
pub fn drop_copy(k: Entered<'_>, session: &Session) {
    if session.copies.take(1) != 0 {
        return;
    }
    session.room.set(session.room.get() | Session::ABANDONED);
    let Some(endpoint) = session.endpoint.get(k) else {
        return;
    };
    if endpoint.state.get() == State::Closed {
        session.told.set(true);
    } else if let Some(receiver) = endpoint.receivers.first(k) {
        session.told.set(true);
        deliver::event(k, receiver, Status::Closed, 0, session.badge.get());
    } else {
        endpoint.closed.push(k, session);
        endpoint.update_quiet();
    }
    session.end_if_unused(k);
}
