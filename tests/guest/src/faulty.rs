//! What the words of a call tell `faulty-parser`: the first what it is to do, the second until
//! when, in ticks.

/// It faults.
pub(crate) const CRASH: u64 = 0x6661_756c_7479_0001;

/// It does not answer.
pub(crate) const HANG: u64 = 0x6661_756c_7479_0002;

/// It answers what nobody can have read.
pub(crate) const LIE: u64 = 0x6661_756c_7479_0003;

/// It answers that there is no message.
pub(crate) const DENY: u64 = 0x6661_756c_7479_0004;
