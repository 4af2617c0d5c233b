//! What people write Tessera servers and apps against.
//!
//! In reading order:
//!
//! 1. [`interface`](macro@interface): one trait with an attribute declares an
//!    interface; `cargo xtask expand NAME` shows what it makes.
//! 2. [`client`]: how a call leaves; [`near`]: how it stays in the task.
//! 3. [`server`]: how a message arrives and is answered; [`Lease`] and
//!    [`LeaseMut`] are the caller's memory, [`server::Reply`] is an answer owed.
//! 4. [`Capability`] and [`objects`]: what a program holds, and the kernel's own;
//!    [`child`]: tasks that it makes.
//! 5. [`program!`] and [`Start`]: how a program begins and what it was given.
//! 6. [`thread`], [`time`], [`sync`], [`memory`], [`print!`]: the run-time.
//! 7. [`interfaces`]: those of the system's servers.
//! 8. [`mod@note`]: how a program says which of its arguments are paths.
//! 9. `fake`, on the host only: a kernel in the test's own process, so that any
//!    server is tested with `cargo test`.
//!
//! ```text
//!   client method -> client::Call -> arch::trap -> kernel
//!                         |                          |
//!                    near::Gate                 server::Receiver
//!                         |                          |
//!                         +--> dispatch <------------+
//!                                 |
//!                           the server's trait
//! ```
//!
//! Unsafe code is in these modules only, and nothing that a macro emits needs
//! any but the entry of [`program!`] and the section of [`note!`]:
//!
//! | module | why |
//! |---|---|
//! | `arch` | the trap and two registers |
//! | `buffer` | the message buffer is the kernel's page |
//! | `lease`, `incoming` | a near lease is an address of the caller |
//! | `near` | whoever holds a gate may use the server behind it |
//! | `start::entry` | start information is the supervisor's |
//! | `heap`, `sync` | an allocator's memory, a lock's promise |
//! | `objects`, `child`, `memory` | the kernel writes, maps and starts threads where it is told |
//! | `thread` | a new thread's closure reaches it as a number |
//! | `fake` | a kernel copies between threads by address |
#![no_std]

// The interface macro names this crate by its full path, here too.
extern crate self as libipc;

extern crate alloc;
extern crate libipc_mem as _;
#[cfg(not(target_os = "none"))]
extern crate std;

mod agreement;
mod arch;
mod buffer;
mod capability;
pub mod client;
mod error;
mod incoming;
mod kept;
mod lease;
mod message;
mod plain;
mod record;
mod reply;

pub mod child;
pub mod fault;
pub mod forward;
pub mod interfaces;
pub mod memory;
pub mod near;
pub mod note;
pub mod objects;
pub mod output;
pub mod server;
pub mod start;
pub mod sync;
pub mod thread;
pub mod time;

#[cfg(not(target_os = "none"))]
pub mod fake;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod panic;

pub use capability::{Capability, task};
pub use error::CallError;
pub use lease::{Lease, LeaseFault, LeaseMut, Lend, LendMut};
pub use libipc_abi::wire::{Bytes, Text};
pub use libipc_abi::{FOREVER, PAGE};
pub use libipc_abi::{
    buffer as message_buffer, ending, handle, label, operation, registers, status, wire,
};
pub use libipc_macros::{ErrorCode, Wire, interface};
pub use server::serve;
pub use start::{ExitCode, Start};
