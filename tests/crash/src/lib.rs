//! What disks do to a file system: the power of a simulated one is cut at every
//! write, and what is on it is damaged.
//!
//! ```text
//! campaign   workloads, their cuts, what is found after each
//! workload   random operations            -> tessera-ext4
//! history    what was done, and what may be left of it: the oracle
//! cuts       prefixes, reordering, torn requests
//! disk       a disk that remembers its log
//! fsck       what e2fsck says
//! fault      ordering bugs, which must be found
//!
//! recorded   sessions in a guest, by the log of its disk
//!
//! damaged    damaged images, and what must not come of them
//! client     what is done with each      -> tessera-ext4
//! originals  the images that are damaged
//! damage     how: numbers, structures
//! layout     where structures are
//! seal       their checksums
//! ```
//!
//! What must hold after each cut: names are those of one moment, not before the
//! last sync that was acknowledged; what was synced is there byte for byte; no
//! byte of a file was never written to it; `e2fsck` finds nothing to mend. A
//! sector is written whole or not at all.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod client;
pub mod cuts;
pub mod damage;
pub mod damaged;
pub mod disk;
pub mod fault;
pub mod fsck;
pub mod history;
pub mod layout;
pub mod originals;
pub mod recorded;
pub mod seal;
pub mod workload;

pub use tessera_test_cases::random;
