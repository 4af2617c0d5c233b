//! Time: which thread runs, and who is woken when.
//!
//! [`queue`] holds the threads that are ready; [`alarm`] those whose wait has
//! an end; [`core`] is a core's view of both; [`ready`] is what is done to a
//! thread, at whichever core that is. [`inherit`] says with what priority a thread
//! runs, [`budget`] on whose time.

pub mod alarm;
pub mod budget;
pub mod core;
pub mod inherit;
pub mod queue;
pub mod ready;
