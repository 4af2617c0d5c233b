//! What a call does to registers that carry no part of the message.

use crate::{
    check::Verdict,
    echo::{INTERFACE, Server, number},
    raw,
    run::World,
};
use libipc::{handle::Handle, label::Label};

const FULL: u64 = 0x5a5a_5a5a_5a5a_5a5a;

pub(super) fn caller_saved_registers_are_cleared(_: &mut World) -> Verdict {
    let refused = raw::scratch_after_call(FULL, Handle::NULL, Label(0));
    check_eq!(refused, [0; raw::SCRATCH]);
    Ok(())
}

/// The first call may find the server busy; the others find it waiting.
pub(super) fn a_message_leaves_no_more_in_registers(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let handle = server.endpoint.as_ref().handle();
    for _ in 0..20 {
        let add = Label::call(number::ADD, INTERFACE.hash);
        let served = raw::scratch_after_call(FULL, handle, add);
        check_eq!(served, [0; raw::SCRATCH]);
    }
    Ok(())
}

pub(super) fn callee_saved_registers_are_kept(_: &mut World) -> Verdict {
    let values = core::array::from_fn(|index| 0x0101_0101_0101_0101 * (index as u64 + 3));
    check_eq!(raw::saved_after_call(values), values);
    Ok(())
}
