//! Checked codec and lifecycle state for ext4 multi-mount protection.

use alloc::{boxed::Box, vec};
use core::{cmp, time::Duration};

use crate::{
    blockdev::{BlockIo, Jbd2Dev},
    bmalloc::AbsoluteBN,
    crc32c::{crc32c_append, ext4_crc32c_seed_from_superblock, ext4_superblock_has_metadata_csum},
    disknode::Ext4Timestamp,
    endian::{read_u16_le, read_u32_le, write_u16_le, write_u32_le, write_u64_le},
    error::{Ext4Error, Ext4Result},
    runtime::{Clock, Delay, EntropySource, MmpIdentity},
    superblock::Ext4Superblock,
};

const MMP_BLOCK_BYTES: usize = 1024;
const MMP_CHECKSUM_OFFSET: usize = 1020;
const MMP_NODE_NAME_OFFSET: usize = 16;
const MMP_NODE_NAME_BYTES: usize = 64;
const MMP_DEVICE_NAME_OFFSET: usize = 80;
const MMP_DEVICE_NAME_BYTES: usize = 32;
const MMP_MAGIC: u32 = 0x004d_4d50;
const MMP_SEQUENCE_CLEAN: u32 = 0xff4d_4d50;
const MMP_SEQUENCE_FSCK: u32 = 0xe24d_4d50;
const MMP_SEQUENCE_MAX: u32 = 0xe24d_4d4f;
const MMP_MIN_CHECK_INTERVAL_SECS: u16 = 5;
const MMP_MAX_CHECK_INTERVAL_SECS: u16 = 300;

#[derive(Clone, Debug, PartialEq, Eq)]
struct MmpBlock {
    bytes: [u8; MMP_BLOCK_BYTES],
}

#[derive(Debug)]
pub(crate) struct MmpLease {
    block: AbsoluteBN,
    filesystem_block: alloc::vec::Vec<u8>,
    record: MmpBlock,
    next_sequence: u32,
    update_interval: Duration,
    check_interval: Duration,
}

#[derive(Debug, Default)]
pub(crate) enum MmpState {
    #[default]
    Disabled,
    Active(Box<MmpLease>),
    Failed(Ext4Error),
}

impl MmpState {
    pub(crate) fn claim<B, E, W>(
        device: &mut Jbd2Dev<B>,
        superblock: &Ext4Superblock,
        entropy: &mut E,
        delay: &mut W,
    ) -> Ext4Result<Self>
    where
        B: BlockIo,
        E: EntropySource,
        W: Delay,
    {
        if !superblock.has_feature_incompat(Ext4Superblock::EXT4_FEATURE_INCOMPAT_MMP) {
            return Ok(Self::Disabled);
        }

        let block = validate_mmp_location(superblock)?;
        let (mut filesystem_block, mut record) = read_mmp(device, superblock, block)?;
        let check_interval = effective_startup_check_interval(superblock, &record);
        let wait_time = startup_wait_time(&record, check_interval)?;
        if !wait_time.is_zero() {
            let original_sequence = record.sequence();
            delay
                .wait(wait_time)
                .map_err(|error| error.with_operation("mmp:startup_wait"))?;
            (filesystem_block, record) = read_mmp(device, superblock, block)?;
            if record.sequence() != original_sequence {
                return Err(Ext4Error::busy().with_operation("mmp:active"));
            }
        }

        let claimed_sequence = random_sequence(entropy)?;
        record.set_sequence(claimed_sequence);
        write_mmp(
            device,
            superblock,
            block,
            &mut filesystem_block,
            &mut record,
        )?;
        if !wait_time.is_zero() {
            delay
                .wait(wait_time)
                .map_err(|error| error.with_operation("mmp:claim_wait"))?;
        }
        let (observed_block, observed) = read_mmp(device, superblock, block)?;
        if observed.sequence() != claimed_sequence {
            return Err(Ext4Error::busy().with_operation("mmp:claim_lost"));
        }
        filesystem_block = observed_block;
        record = observed;

        Ok(Self::Active(Box::new(MmpLease {
            block,
            filesystem_block,
            record,
            next_sequence: 0,
            update_interval: Duration::from_secs(u64::from(superblock.s_mmp_interval)),
            check_interval,
        })))
    }

    pub(crate) fn refresh<B: BlockIo>(
        &mut self,
        device: &mut Jbd2Dev<B>,
        superblock: &Ext4Superblock,
        identity: MmpIdentity,
        elapsed: Duration,
    ) -> Ext4Result<Duration> {
        let result = match self {
            Self::Disabled => return Ok(Duration::ZERO),
            Self::Failed(error) => return Err(*error),
            Self::Active(lease) => refresh_lease(device, superblock, identity, elapsed, lease),
        };
        match result {
            Ok(interval) => Ok(interval),
            Err(error) => {
                *self = Self::Failed(error);
                Err(error)
            }
        }
    }

    pub(crate) fn release_clean<B: BlockIo>(
        &mut self,
        device: &mut Jbd2Dev<B>,
        superblock: &Ext4Superblock,
    ) -> Ext4Result<()> {
        let result = match self {
            Self::Disabled => return Ok(()),
            Self::Failed(error) => return Err(*error),
            Self::Active(lease) => {
                lease.record.set_sequence(MMP_SEQUENCE_CLEAN);
                lease.record.set_time(wall_seconds(device.now()?));
                write_mmp(
                    device,
                    superblock,
                    lease.block,
                    &mut lease.filesystem_block,
                    &mut lease.record,
                )
            }
        };
        match result {
            Ok(()) => {
                *self = Self::Disabled;
                Ok(())
            }
            Err(error) => {
                *self = Self::Failed(error);
                Err(error)
            }
        }
    }

    pub(crate) fn ensure_writable(&self, operation: &'static str) -> Ext4Result<()> {
        match self {
            Self::Failed(_) => Err(Ext4Error::io().with_operation(operation)),
            Self::Disabled | Self::Active(_) => Ok(()),
        }
    }

    pub(crate) fn mark_failed(&mut self, error: Ext4Error) {
        *self = Self::Failed(error);
    }

    pub(crate) const fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }

    pub(crate) const fn refresh_interval(&self) -> Option<Duration> {
        match self {
            Self::Active(lease) => Some(lease.update_interval),
            Self::Disabled | Self::Failed(_) => None,
        }
    }
}

fn refresh_lease<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    superblock: &Ext4Superblock,
    identity: MmpIdentity,
    elapsed: Duration,
    lease: &mut MmpLease,
) -> Ext4Result<Duration> {
    if elapsed > lease.check_interval {
        let (observed_block, observed) = read_mmp(device, superblock, lease.block)?;
        if observed.sequence() != lease.record.sequence()
            || observed.node_name() != lease.record.node_name()
        {
            return Err(Ext4Error::busy().with_operation("mmp:ownership_lost"));
        }
        lease.filesystem_block = observed_block;
        lease.record = observed;
    }

    lease.next_sequence = if lease.next_sequence >= MMP_SEQUENCE_MAX {
        1
    } else {
        lease.next_sequence + 1
    };
    let check_secs = elapsed.as_secs().saturating_mul(2).clamp(
        u64::from(MMP_MIN_CHECK_INTERVAL_SECS),
        u64::from(MMP_MAX_CHECK_INTERVAL_SECS),
    );
    lease.check_interval = Duration::from_secs(check_secs);
    lease.record.set_sequence(lease.next_sequence);
    lease.record.set_time(wall_seconds(device.now()?));
    lease.record.set_check_interval(check_secs as u16);
    lease.record.set_identity(identity);
    write_mmp(
        device,
        superblock,
        lease.block,
        &mut lease.filesystem_block,
        &mut lease.record,
    )?;
    Ok(lease.update_interval)
}

fn read_mmp<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    superblock: &Ext4Superblock,
    block: AbsoluteBN,
) -> Ext4Result<(alloc::vec::Vec<u8>, MmpBlock)> {
    let mut filesystem_block = vec![0; superblock.checked_block_size()? as usize];
    device
        .read_blocks_uncached(&mut filesystem_block, block, 1)
        .map_err(|error| error.with_operation("mmp:read"))?;
    let record = MmpBlock::decode(&filesystem_block, superblock)?;
    Ok((filesystem_block, record))
}

fn write_mmp<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    superblock: &Ext4Superblock,
    block: AbsoluteBN,
    filesystem_block: &mut [u8],
    record: &mut MmpBlock,
) -> Ext4Result<()> {
    let encoded = record.encode(superblock);
    filesystem_block[..MMP_BLOCK_BYTES].copy_from_slice(&encoded);
    device
        .write_blocks_durable(filesystem_block, block, 1)
        .map_err(|error| error.with_operation("mmp:write"))
}

fn effective_startup_check_interval(superblock: &Ext4Superblock, record: &MmpBlock) -> Duration {
    let seconds = cmp::max(
        cmp::max(superblock.s_mmp_interval, MMP_MIN_CHECK_INTERVAL_SECS),
        record.check_interval(),
    );
    Duration::from_secs(u64::from(seconds))
}

fn startup_wait_time(record: &MmpBlock, check_interval: Duration) -> Ext4Result<Duration> {
    if record.is_clean() {
        return Ok(Duration::ZERO);
    }
    if record.is_fsck() {
        return Err(Ext4Error::busy().with_operation("mmp:fsck"));
    }
    let seconds = cmp::min(
        check_interval.as_secs().saturating_mul(2).saturating_add(1),
        check_interval.as_secs().saturating_add(60),
    );
    Ok(Duration::from_secs(seconds))
}

fn random_sequence<E: EntropySource>(entropy: &mut E) -> Ext4Result<u32> {
    let range = MMP_SEQUENCE_MAX + 1;
    let uniform_zone = u32::MAX - (u32::MAX % range);
    loop {
        let mut bytes = [0; 4];
        entropy
            .fill_bytes(&mut bytes)
            .map_err(|error| error.with_operation("mmp:sequence_entropy"))?;
        let candidate = u32::from_ne_bytes(bytes);
        if candidate < uniform_zone {
            return Ok(candidate % range);
        }
    }
}

fn wall_seconds(timestamp: Ext4Timestamp) -> u64 {
    timestamp.sec as u64
}

impl MmpBlock {
    fn decode(bytes: &[u8], superblock: &Ext4Superblock) -> Ext4Result<Self> {
        let source = bytes
            .get(..MMP_BLOCK_BYTES)
            .ok_or_else(|| Ext4Error::buffer_too_small(bytes.len(), MMP_BLOCK_BYTES))?;
        if read_u32_le(&source[0..4]) != MMP_MAGIC {
            return Err(Ext4Error::corrupted().with_operation("mmp:magic"));
        }
        if ext4_superblock_has_metadata_csum(superblock) {
            let stored = read_u32_le(&source[MMP_CHECKSUM_OFFSET..MMP_BLOCK_BYTES]);
            let expected = crc32c_append(
                ext4_crc32c_seed_from_superblock(superblock),
                &source[..MMP_CHECKSUM_OFFSET],
            );
            if stored != expected {
                return Err(Ext4Error::checksum().with_operation("mmp:checksum"));
            }
        }

        let mut owned = [0; MMP_BLOCK_BYTES];
        owned.copy_from_slice(source);
        Ok(Self { bytes: owned })
    }

    fn sequence(&self) -> u32 {
        read_u32_le(&self.bytes[4..8])
    }

    fn check_interval(&self) -> u16 {
        read_u16_le(&self.bytes[112..114])
    }

    fn node_name(&self) -> &[u8] {
        &self.bytes[MMP_NODE_NAME_OFFSET..MMP_NODE_NAME_OFFSET + MMP_NODE_NAME_BYTES]
    }

    fn is_clean(&self) -> bool {
        self.sequence() == MMP_SEQUENCE_CLEAN
    }

    fn is_fsck(&self) -> bool {
        self.sequence() == MMP_SEQUENCE_FSCK
    }

    fn set_sequence(&mut self, sequence: u32) {
        write_u32_le(sequence, &mut self.bytes[4..8]);
    }

    fn set_time(&mut self, seconds: u64) {
        write_u64_le(seconds, &mut self.bytes[8..16]);
    }

    fn set_check_interval(&mut self, seconds: u16) {
        write_u16_le(seconds, &mut self.bytes[112..114]);
    }

    fn set_identity(&mut self, identity: MmpIdentity) {
        self.bytes[MMP_NODE_NAME_OFFSET..MMP_NODE_NAME_OFFSET + MMP_NODE_NAME_BYTES]
            .copy_from_slice(identity.node_name());
        self.bytes[MMP_DEVICE_NAME_OFFSET..MMP_DEVICE_NAME_OFFSET + MMP_DEVICE_NAME_BYTES]
            .copy_from_slice(identity.device_name());
    }

    fn encode(&mut self, superblock: &Ext4Superblock) -> [u8; MMP_BLOCK_BYTES] {
        if ext4_superblock_has_metadata_csum(superblock) {
            let checksum = crc32c_append(
                ext4_crc32c_seed_from_superblock(superblock),
                &self.bytes[..MMP_CHECKSUM_OFFSET],
            );
            write_u32_le(
                checksum,
                &mut self.bytes[MMP_CHECKSUM_OFFSET..MMP_BLOCK_BYTES],
            );
        }
        self.bytes
    }
}

fn validate_mmp_location(superblock: &Ext4Superblock) -> Ext4Result<AbsoluteBN> {
    let block = superblock.s_mmp_block;
    if block < u64::from(superblock.s_first_data_block) || block >= superblock.blocks_count() {
        return Err(Ext4Error::bad_superblock().with_operation("mmp:block_range"));
    }
    Ok(AbsoluteBN::new(block))
}
