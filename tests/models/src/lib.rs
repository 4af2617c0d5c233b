//! The kernel's two protocols between cores, its own source, on a machine that
//! [loom](https://docs.rs/loom) makes: it tries each order in which the cores' loads
//! and stores can happen, as the memory model of C11 allows them.
//!
//! A core is a thread of the model. An interrupt between cores is one flag.

#[path = "../../../kernel/src/entry/gate.rs"]
pub mod gate;
#[path = "../../../kernel/src/entry/lock.rs"]
pub mod lock;
pub mod machine;

mod sync {
    pub(crate) use loom::{hint::spin_loop, sync::atomic::*};
}

// What the source names by paths from the kernel's root.
use machine as arch;
use machine as bug;
use machine as kernel;
