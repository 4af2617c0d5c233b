//! What the words of a call tell `faulty-parser`.

/// The first word says that it is to fault, the second until when, in ticks.
pub(crate) const CRASH: u64 = 0x6661_756c_7479_0001;
