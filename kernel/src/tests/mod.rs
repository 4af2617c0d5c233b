//! Tests of the kernel's logic on the host, by the system calls that programs
//! would make.

mod alarms;
mod answers;
mod bindings;
mod capabilities;
mod contiguous;
mod cores;
mod cycles;
mod differential;
mod dma;
mod ends;
mod exploration;
mod far_only;
mod faults;
mod info;
mod inherit;
mod invariants;
mod leases;
mod machine;
mod memory;
mod messages;
mod pairs;
mod quotas;
mod random;
mod relending;
mod repeats;
mod replies;
mod reservations;
mod revoke;
mod scheduling;
mod sessions;
mod steps;
mod watched;
