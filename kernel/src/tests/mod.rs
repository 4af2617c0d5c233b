//! Tests of the kernel on the host.
