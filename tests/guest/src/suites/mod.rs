//! The suites, hostile first.

mod capabilities;
mod ipc;

use crate::run::Case;

/// The cases of the suite with that name, in the table's order.
pub(crate) fn find(suite: &str) -> Option<&'static [Case]> {
    Some(match suite {
        "ipc" => ipc::CASES,
        "capabilities" => capabilities::CASES,
        _ => return None,
    })
}
