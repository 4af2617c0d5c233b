//! Tests of the kernel's logic on the host, by the system calls that programs
//! would make.

mod ends;
mod leases;
mod machine;
mod messages;
mod replies;
mod sessions;
