//! What each owner has of a file system, and may have.
//!
//! Inodes say whose they are and how many blocks they have. Where owners have limits,
//! that is counted at the mount, and followed from then on: by inodes made and reaped,
//! and by what each operation takes of the free blocks.

use crate::{error::refusal, mounted::FileSystem, store::Store};
use alloc::collections::BTreeMap;
use libipc::interfaces::{FileError, clients::AccountArgument};
use rsext4::{Ext4Result, InodeInfo, InodeNumber};
use tessera_disk::{Disk, SECTOR};
use tessera_files::volume::Share;

/// The shares of those owners that are counted.
#[derive(Debug, Default)]
pub struct Quotas(BTreeMap<u32, Share>);

impl Quotas {
    /// Nothing used yet, by those that have limits.
    pub fn new(owners: &[AccountArgument<'_>]) -> Self {
        let share = |owner: &AccountArgument<'_>| Share {
            bytes_limit: owner.bytes,
            files_limit: owner.files,
            ..Share::default()
        };
        let is_limited = |owner: &&AccountArgument<'_>| owner.bytes.or(owner.files).is_some();
        let limited = owners.iter().filter(is_limited);
        Quotas(limited.map(|owner| (owner.id, share(owner))).collect())
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an owner has.
    pub fn share(&self, owner: u32) -> Option<Share> {
        self.0.get(&owner).copied()
    }

    /// One file or directory more.
    pub fn add_file(&mut self, owner: u32) {
        if let Some(share) = self.0.get_mut(&owner) {
            share.files = share.files.saturating_add(1);
        }
    }

    /// One less.
    pub fn remove_file(&mut self, owner: u32) {
        if let Some(share) = self.0.get_mut(&owner) {
            share.files = share.files.saturating_sub(1);
        }
    }

    /// More bytes, or less if it is negative.
    pub fn add_bytes(&mut self, owner: u32, bytes: i64) {
        if let Some(share) = self.0.get_mut(&owner) {
            share.bytes = share.bytes.saturating_add_signed(bytes);
        }
    }

    /// Whether an owner may have one file more.
    pub fn has_file(&self, owner: u32) -> bool {
        self.0.get(&owner).is_none_or(|share| {
            let limit = share.files_limit.unwrap_or(u64::MAX);
            share.files < limit
        })
    }

    /// Whether an owner may have so many bytes more.
    pub fn has_bytes(&self, owner: u32, more: u64) -> bool {
        self.0.get(&owner).is_none_or(|share| {
            let limit = share.bytes_limit.unwrap_or(u64::MAX);
            share.bytes.saturating_add(more) <= limit
        })
    }
}

impl Quotas {
    /// Does something to a file system. The owner is charged for the blocks that it takes,
    /// and given back those that it frees.
    pub fn charge<D: Disk, T>(
        &mut self,
        file_system: &mut FileSystem<D>,
        owner: u32,
        change: impl FnOnce(&mut FileSystem<D>) -> Ext4Result<T>,
    ) -> Result<T, FileError> {
        let before = file_system.statfs();
        let changed = change(file_system);
        let after = file_system.statfs().free_blocks;
        let taken = before.free_blocks.wrapping_sub(after);
        let bytes = taken.wrapping_mul(before.block_size).cast_signed();
        self.add_bytes(owner, bytes);
        changed.map_err(refusal)
    }
}

impl<D: Disk> Store<D> {
    /// Counts what owners have, from when on their limits hold.
    pub fn count(&mut self, owners: &[AccountArgument<'_>]) -> Result<(), FileError> {
        let mut quotas = Quotas::new(owners);
        if quotas.is_empty() || self.mounted.is_read_only() {
            return Ok(());
        }
        // Inodes are in their places, and those without a name gone.
        self.mounted.rest()?;
        let counted = self.mounted.device().guard().owners(&mut |owner, bytes| {
            quotas.add_file(owner);
            quotas.add_bytes(owner, bytes.cast_signed());
        });
        counted.map_err(FileError::from)?;
        self.quotas = quotas;
        Ok(())
    }

    /// Whether an owner may have one more file or directory, of so many bytes, and whose
    /// the directory above it is, which may have to grow. `TooManyFiles`, `NoSpace`.
    pub fn admit(
        &mut self,
        owner: u32,
        directory: InodeNumber,
        bytes: u64,
    ) -> Result<u32, FileError> {
        if self.quotas.is_empty() {
            return Ok(0);
        }
        let above = self.owner(directory)?;
        let block = self.file_system()?.statfs().block_size;
        if !self.quotas.has_file(owner) {
            return Err(FileError::TooManyFiles);
        }
        if self.quotas.has_bytes(owner, bytes) && self.quotas.has_bytes(above, block) {
            return Ok(above);
        }
        Err(FileError::NoSpace)
    }

    /// Whose an inode is, nobody's in particular if that does not matter.
    pub fn owner(&mut self, number: InodeNumber) -> Result<u32, FileError> {
        if self.quotas.is_empty() {
            return Ok(0);
        }
        if let Some(node) = self.nodes.get(number.raw()) {
            return Ok(node.owner);
        }
        let inode = self.file_system()?.inode(number);
        Ok(inode.map_err(refusal)?.uid)
    }

    /// A file or directory was made, in one whose owner was charged for its blocks.
    pub fn give(&mut self, above: u32, made: &InodeInfo) {
        let bytes = made.blocks.saturating_mul(SECTOR as u64).cast_signed();
        self.quotas.add_bytes(above, -bytes);
        self.quotas.add_bytes(made.uid, bytes);
        self.quotas.add_file(made.uid);
    }

    /// Does something to the file system below at an owner's cost.
    pub fn charge<T>(
        &mut self,
        owner: u32,
        change: impl FnOnce(&mut FileSystem<D>) -> Ext4Result<T>,
    ) -> Result<T, FileError> {
        self.quotas.charge(self.mounted.get()?, owner, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_has_its_own_limits() {
        let arguments = ["account:7=shell,8192,2", "account:8=log,-,1"];
        let owners = arguments.map(|argument| AccountArgument::parse(argument).unwrap());
        let mut quotas = Quotas::new(&owners);
        quotas.add_file(7);
        quotas.add_bytes(7, 4096);
        assert!(quotas.has_bytes(7, 4096) && !quotas.has_bytes(7, 4097));
        assert!(quotas.has_bytes(8, u64::MAX) && quotas.has_bytes(9, u64::MAX));
        quotas.add_file(7);
        assert!(!quotas.has_file(7) && quotas.has_file(8) && quotas.has_file(9));
        quotas.add_bytes(7, -8192);
        quotas.remove_file(7);
        assert_eq!(
            quotas.share(7).map(|share| (share.bytes, share.files)),
            Some((0, 1))
        );
        assert_eq!(quotas.share(9), None);
    }
}
