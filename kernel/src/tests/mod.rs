//! Tests of the kernel's logic on the host, by the system calls that programs
//! would make.

mod capabilities;
mod cycles;
mod ends;
mod invariants;
mod leases;
mod machine;
mod messages;
mod replies;
mod revoke;
mod sessions;
