//! The port that lets the kernel's logic run on the host.

/// The host as an architecture.
pub enum Port {}
