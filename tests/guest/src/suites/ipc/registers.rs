//! What a call does to registers that carry no part of the message.

use crate::{check::Verdict, raw, run::World};

pub(super) fn caller_saved_registers_are_cleared(_: &mut World) -> Verdict {
    check_eq!(
        raw::scratch_after_call(0x5a5a_5a5a_5a5a_5a5a),
        [0; raw::SCRATCH]
    );
    Ok(())
}

pub(super) fn callee_saved_registers_are_kept(_: &mut World) -> Verdict {
    let values = core::array::from_fn(|index| 0x0101_0101_0101_0101 * (index as u64 + 3));
    check_eq!(raw::saved_after_call(values), values);
    Ok(())
}
