//! Frames in memory, as smoltcp takes and gives them.

use smoltcp::phy::{RxToken, TxToken};

/// One that came.
pub(crate) struct Received(pub(crate) Vec<u8>);

/// Room for one more behind those that were sent.
pub(crate) struct Sending<'p>(pub(crate) &'p mut Vec<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, work: F) -> R {
        work(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, work: F) -> R {
        let mut frame = vec![0; length];
        let result = work(&mut frame);
        self.0.push(frame);
        result
    }
}
