//! The bytes of one file: blocks where something was written, zeros elsewhere.

use crate::{
    quota::{Account, Accounts},
    volume::{Change, Inlet, Outlet},
};
use alloc::{collections::BTreeMap, vec::Vec};
use libipc::interfaces::FileError;

/// Bytes in a block.
pub const BLOCK: u64 = 4096;

/// Largest size of a file: 1 TiB, of which only what was written takes space.
pub const MAX_SIZE: u64 = 1 << 40;

static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Who paid, which need not be the file's owner.
    payer: Account,
}

/// The bytes of one file.
#[derive(Debug, Default)]
pub struct Data {
    /// Bytes past `size` in the last block are zero.
    blocks: BTreeMap<u64, Block>,
    size: u64,
}

/// The part of a block that a transfer touches next.
struct Piece {
    index: u64,
    start: usize,
    length: usize,
}

fn piece(position: u64, remaining: u64) -> Piece {
    let start = position % BLOCK;
    Piece {
        index: position / BLOCK,
        start: start as usize,
        length: remaining.min(BLOCK - start) as usize,
    }
}

impl Data {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads up to `length` bytes; fewer only at the end.
    pub fn read(
        &self,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let length = length.min(self.size.saturating_sub(position));
        let mut done = 0;
        while done < length {
            let piece = piece(position + done, length - done);
            let bytes = match self.blocks.get(&piece.index) {
                Some(block) => &block.bytes[..],
                None => &ZEROS[..],
            };
            outlet(done, &bytes[piece.start..piece.start + piece.length])?;
            done += piece.length as u64;
        }
        Ok(length)
    }

    /// Writes up to `length` bytes; fewer only if a quota runs out.
    pub fn write(
        &mut self,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
        change: &mut Change<'_>,
    ) -> Result<u64, FileError> {
        let end = position.checked_add(length);
        if end.is_none_or(|end| end > MAX_SIZE) {
            return Err(FileError::OutOfRange);
        }
        let mut done = 0;
        while done < length {
            let piece = piece(position + done, length - done);
            let block = match self.block(piece.index, change) {
                Ok(block) => block,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            };
            let range = piece.start..piece.start + piece.length;
            if let Err(error) = inlet(done, &mut block.bytes[range]) {
                // What the failed copy left behind must not show later.
                self.cut(change.accounts);
                return Err(error);
            }
            done += piece.length as u64;
            self.size = self.size.max(position + done);
        }
        Ok(done)
    }

    /// Cuts the file or extends it by zeros.
    pub fn set_size(&mut self, size: u64, accounts: &mut Accounts) -> Result<(), FileError> {
        if size > MAX_SIZE {
            return Err(FileError::OutOfRange);
        }
        self.size = size;
        self.cut(accounts);
        Ok(())
    }

    /// Gives all blocks back.
    pub fn clear(&mut self, accounts: &mut Accounts) {
        self.size = 0;
        self.cut(accounts);
    }

    /// The block with this index, made and paid if there is none.
    fn block(&mut self, index: u64, change: &mut Change<'_>) -> Result<&mut Block, FileError> {
        use alloc::collections::btree_map::Entry;
        match self.blocks.entry(index) {
            Entry::Occupied(block) => Ok(block.into_mut()),
            Entry::Vacant(vacant) => {
                let mut bytes = Vec::new();
                bytes
                    .try_reserve_exact(BLOCK as usize)
                    .map_err(|_| FileError::NoSpace)?;
                change.accounts.charge_bytes(change.payer, BLOCK)?;
                bytes.resize(BLOCK as usize, 0);
                let payer = change.payer;
                Ok(vacant.insert(Block { bytes, payer }))
            }
        }
    }

    /// Drops what lies past the end.
    fn cut(&mut self, accounts: &mut Accounts) {
        for block in self.blocks.split_off(&self.size.div_ceil(BLOCK)).values() {
            accounts.refund_bytes(block.payer, BLOCK);
        }
        let kept = (self.size % BLOCK) as usize;
        if kept > 0
            && let Some(last) = self.blocks.get_mut(&(self.size / BLOCK))
        {
            last.bytes[kept..].fill(0);
        }
    }
}
