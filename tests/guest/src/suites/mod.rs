//! The suites, hostile first.

mod bus;
mod capabilities;
mod conformance;
mod cores;
mod disk;
mod driver;
mod entropy;
mod faults;
mod files;
mod ipc;
mod isolation;
mod leases;
mod memory;
mod near;
mod net;
mod pointers;
mod scheduling;
mod time;

use crate::run::Case;

/// The cases of the suite with that name, in the table's order.
pub(crate) fn find(suite: &str) -> Option<&'static [Case]> {
    Some(match suite {
        "ipc" => ipc::CASES,
        "capabilities" => capabilities::CASES,
        "conformance" => conformance::CASES,
        "leases" => leases::CASES,
        "pointers" => pointers::CASES,
        "memory" => memory::CASES,
        "faults" => faults::CASES,
        "scheduling" => scheduling::CASES,
        "cores" => cores::CASES,
        "time" => time::CASES,
        "near" => near::CASES,
        "isolation" => isolation::CASES,
        "files" => files::CASES,
        "disk" => disk::CASES,
        "driver" => driver::CASES,
        "entropy" => entropy::CASES,
        "net" => net::CASES,
        "bus" => bus::CASES,
        _ => return None,
    })
}
