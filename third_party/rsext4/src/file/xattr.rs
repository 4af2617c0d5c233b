//! Extended-attribute on-disk decoding and typed core operations.

use alloc::vec::Vec;

use crate::{
    BlockIo, Ext4FileSystem, Jbd2Dev,
    blockdev::TransactionCredits,
    bmalloc::{AbsoluteBN, BGIndex, InodeNumber},
    cache::bitmap::CacheKey,
    checksum::ext4_metadata_csum32,
    crc32c::{ext4_crc32c_seed_from_superblock, ext4_superblock_has_metadata_csum},
    disknode::Ext4Inode,
    endian::{read_u16_le, read_u32_le, write_u16_le, write_u32_le},
    error::{Ext4Error, Ext4ErrorKind, Ext4Result},
    runtime::Clock,
    superblock::Ext4Superblock,
};

pub(crate) const XATTR_MAGIC: u32 = 0xea02_0000;
pub(crate) const XATTR_IBODY_HEADER_SIZE: usize = 4;
const XATTR_BLOCK_HEADER_SIZE: usize = 32;
const XATTR_ENTRY_SIZE: usize = 16;
const XATTR_TERMINATOR_SIZE: usize = 4;
const XATTR_SIZE_MAX: u32 = 1 << 24;
const XATTR_REFCOUNT_MAX: u32 = 1024;
const XATTR_BLOCK_CHECKSUM_OFFSET: usize = 16;
const XATTR_TRANSACTION_CREDITS: usize = 8;

/// Namespace encoded by an ext4 xattr entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum XattrNamespace {
    User,
    PosixAclAccess,
    PosixAclDefault,
    Trusted,
    Lustre,
    Security,
    System,
    RichAcl,
    Encryption,
    Hurd,
    Other(u8),
}

impl XattrNamespace {
    pub const fn from_disk_index(index: u8) -> Self {
        match index {
            1 => Self::User,
            2 => Self::PosixAclAccess,
            3 => Self::PosixAclDefault,
            4 => Self::Trusted,
            5 => Self::Lustre,
            6 => Self::Security,
            7 => Self::System,
            8 => Self::RichAcl,
            9 => Self::Encryption,
            10 => Self::Hurd,
            index => Self::Other(index),
        }
    }

    pub const fn disk_index(self) -> u8 {
        match self {
            Self::User => 1,
            Self::PosixAclAccess => 2,
            Self::PosixAclDefault => 3,
            Self::Trusted => 4,
            Self::Lustre => 5,
            Self::Security => 6,
            Self::System => 7,
            Self::RichAcl => 8,
            Self::Encryption => 9,
            Self::Hurd => 10,
            Self::Other(index) => index,
        }
    }
}

/// One raw xattr name returned by the portable core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct XattrName {
    pub namespace: XattrNamespace,
    pub name: Vec<u8>,
}

/// Linux-compatible create/replace policy without exposing syscall flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrSetMode {
    Upsert,
    Create,
    Replace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum StoredXattrValue {
    Local(Vec<u8>),
    EaInode { inode: u32, size: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredXattr {
    name: XattrName,
    value: StoredXattrValue,
}

pub(super) struct ExternalStore {
    block: AbsoluteBN,
    refcount: u32,
    entries: Vec<StoredXattr>,
    raw: Vec<u8>,
}

struct XattrLayout {
    inline: Vec<StoredXattr>,
    external: Vec<StoredXattr>,
}

struct XattrPersistence<'a> {
    inode_number: InodeNumber,
    original_inode: &'a Ext4Inode,
    layout: XattrLayout,
    external_store: Option<ExternalStore>,
    transaction_credits: usize,
}

pub(crate) fn get_inode_xattr<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    inode_number: InodeNumber,
    namespace: XattrNamespace,
    name: &[u8],
) -> Ext4Result<Vec<u8>> {
    validate_name(name)?;
    let (inode, raw_inode) = load_allocated_inode(device, filesystem, inode_number)?;

    if let Some(entries) = parse_inline_store(filesystem, &inode, &raw_inode)?
        && let Some(value) = find_value(entries, namespace, name)?
    {
        return Ok(value);
    }
    if let Some(store) = read_external_store(device, filesystem, &inode)?
        && let Some(value) = find_value(store.entries, namespace, name)?
    {
        return Ok(value);
    }
    Err(Ext4Error::not_found().with_operation("xattr:get"))
}

pub(crate) fn list_inode_xattrs<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    inode_number: InodeNumber,
) -> Ext4Result<Vec<XattrName>> {
    let (inode, raw_inode) = load_allocated_inode(device, filesystem, inode_number)?;
    let mut names = Vec::new();
    if let Some(entries) = parse_inline_store(filesystem, &inode, &raw_inode)? {
        names.extend(entries.into_iter().map(|entry| entry.name));
    }
    if let Some(store) = read_external_store(device, filesystem, &inode)? {
        names.extend(store.entries.into_iter().map(|entry| entry.name));
    }
    Ok(names)
}

pub(crate) fn set_inode_xattr<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    inode_number: InodeNumber,
    namespace: XattrNamespace,
    name: &[u8],
    value: &[u8],
    mode: XattrSetMode,
) -> Ext4Result<()> {
    validate_name(name)?;
    if value.len() > XATTR_SIZE_MAX as usize {
        return Err(Ext4Error::invalid_input().with_operation("xattr:value_size"));
    }
    let (inode, raw_inode) = load_allocated_inode(device, filesystem, inode_number)?;
    let mut layout = XattrLayout {
        inline: parse_inline_store(filesystem, &inode, &raw_inode)?.unwrap_or_default(),
        external: Vec::new(),
    };
    let external_store = read_external_store(device, filesystem, &inode)?;
    layout.external = external_store
        .as_ref()
        .map_or_else(Vec::new, |store| store.entries.clone());
    let inline_index = find_entry(&layout.inline, namespace, name);
    let external_index = find_entry(&layout.external, namespace, name);
    let existing = inline_index.is_some() || external_index.is_some();
    match (mode, existing) {
        (XattrSetMode::Create, true) => {
            return Err(Ext4Error::already_exists().with_operation("xattr:create"));
        }
        (XattrSetMode::Replace, false) => {
            return Err(Ext4Error::not_found().with_operation("xattr:replace"));
        }
        _ => {}
    }
    let replacement = StoredXattr {
        name: XattrName {
            namespace,
            name: name.to_vec(),
        },
        value: StoredXattrValue::Local(value.to_vec()),
    };
    if stored_value_matches(&layout.inline, inline_index, &replacement)
        || stored_value_matches(&layout.external, external_index, &replacement)
    {
        return Ok(());
    }

    let mut inline_candidate = layout.inline.clone();
    replace_or_insert(&mut inline_candidate, inline_index, replacement.clone());
    match encode_inline_xattrs(filesystem, &inode, &mut inline_candidate) {
        Ok(_) => {
            layout.inline = inline_candidate;
            remove_entry(&mut layout.external, namespace, name);
        }
        Err(error) if error.kind() == Ext4ErrorKind::NoSpace => {
            replace_or_insert(&mut layout.external, external_index, replacement);
            let mut external_candidate = layout.external.clone();
            encode_external_xattrs(filesystem, &mut external_candidate)?;
            layout.external = external_candidate;
            remove_entry(&mut layout.inline, namespace, name);
        }
        Err(error) => return Err(error),
    }
    persist_xattrs(
        device,
        filesystem,
        XattrPersistence {
            inode_number,
            original_inode: &inode,
            layout,
            external_store,
            transaction_credits: XATTR_TRANSACTION_CREDITS,
        },
    )
}

fn find_entry(entries: &[StoredXattr], namespace: XattrNamespace, name: &[u8]) -> Option<usize> {
    entries
        .iter()
        .position(|entry| entry.name.namespace == namespace && entry.name.name.as_slice() == name)
}

fn stored_value_matches(
    entries: &[StoredXattr],
    index: Option<usize>,
    replacement: &StoredXattr,
) -> bool {
    index.is_some_and(|index| entries[index].value == replacement.value)
}

fn replace_or_insert(
    entries: &mut Vec<StoredXattr>,
    index: Option<usize>,
    replacement: StoredXattr,
) {
    if let Some(index) = index {
        entries[index] = replacement;
    } else {
        entries.push(replacement);
    }
}

fn remove_entry(entries: &mut Vec<StoredXattr>, namespace: XattrNamespace, name: &[u8]) -> bool {
    if let Some(index) = find_entry(entries, namespace, name) {
        entries.remove(index);
        true
    } else {
        false
    }
}

fn encode_inline_xattrs(
    filesystem: &Ext4FileSystem,
    inode: &Ext4Inode,
    entries: &mut [StoredXattr],
) -> Ext4Result<Vec<u8>> {
    let inode_size = filesystem.inode_disk_size() as usize;
    let inline_offset = usize::from(Ext4Inode::GOOD_OLD_INODE_SIZE)
        .checked_add(usize::from(inode.i_extra_isize))
        .ok_or_else(Ext4Error::overflow)?;
    let storage_size = inode_size
        .checked_sub(inline_offset)
        .ok_or_else(|| Ext4Error::no_space().with_operation("xattr:inline_bounds"))?;
    encode_xattrs(
        entries,
        storage_size,
        XATTR_IBODY_HEADER_SIZE,
        XATTR_IBODY_HEADER_SIZE,
        false,
    )
}

fn encode_external_xattrs(
    filesystem: &Ext4FileSystem,
    entries: &mut [StoredXattr],
) -> Ext4Result<Vec<u8>> {
    encode_xattrs(
        entries,
        filesystem.block_size(),
        XATTR_BLOCK_HEADER_SIZE,
        0,
        true,
    )
}

pub(crate) fn remove_inode_xattr<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    inode_number: InodeNumber,
    namespace: XattrNamespace,
    name: &[u8],
) -> Ext4Result<()> {
    validate_name(name)?;
    let (inode, raw_inode) = load_allocated_inode(device, filesystem, inode_number)?;
    let mut layout = XattrLayout {
        inline: parse_inline_store(filesystem, &inode, &raw_inode)?.unwrap_or_default(),
        external: Vec::new(),
    };
    let external_store = read_external_store(device, filesystem, &inode)?;
    layout.external = external_store
        .as_ref()
        .map_or_else(Vec::new, |store| store.entries.clone());
    if !remove_entry(&mut layout.inline, namespace, name)
        && !remove_entry(&mut layout.external, namespace, name)
    {
        return Err(Ext4Error::not_found().with_operation("xattr:remove"));
    }
    persist_xattrs(
        device,
        filesystem,
        XattrPersistence {
            inode_number,
            original_inode: &inode,
            layout,
            external_store,
            transaction_credits: XATTR_TRANSACTION_CREDITS,
        },
    )
}

fn persist_xattrs<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    persistence: XattrPersistence<'_>,
) -> Ext4Result<()> {
    let XattrPersistence {
        inode_number,
        original_inode,
        mut layout,
        external_store,
        transaction_credits,
    } = persistence;
    let inode_size = filesystem.inode_disk_size() as usize;
    let inline_offset = usize::from(Ext4Inode::GOOD_OLD_INODE_SIZE)
        .checked_add(usize::from(original_inode.i_extra_isize))
        .ok_or_else(Ext4Error::overflow)?;
    let inline_image = if inline_offset <= inode_size {
        Some(encode_inline_xattrs(
            filesystem,
            original_inode,
            &mut layout.inline,
        )?)
    } else if layout.inline.is_empty() {
        None
    } else {
        return Err(Ext4Error::no_space().with_operation("xattr:inline_bounds"));
    };
    let mut external_image = if layout.external.is_empty() {
        None
    } else {
        Some(encode_external_xattrs(filesystem, &mut layout.external)?)
    };
    let external_unchanged = external_store
        .as_ref()
        .is_some_and(|store| store.entries == layout.external);
    let timestamp = device.now()?;
    let ctime = timestamp.sec.clamp(0, i64::from(u32::MAX)) as u32;
    let block_size = filesystem.block_size() as u32;
    let huge_file = filesystem
        .superblock
        .has_feature_ro_compat(Ext4Superblock::EXT4_FEATURE_RO_COMPAT_HUGE_FILE);

    let feature_was_missing =
        filesystem.superblock.s_feature_compat & Ext4Superblock::EXT4_FEATURE_COMPAT_EXT_ATTR == 0;
    let revoke_records = usize::from(
        external_image.is_none()
            && external_store
                .as_ref()
                .is_some_and(|store| store.refcount == 1),
    );
    let credits = TransactionCredits::metadata_with_revokes(transaction_credits, revoke_records);
    filesystem.with_metadata_transaction(device, credits, |filesystem, device| {
        let mut allocated_block = None;
        let mut touched_bitmap_groups = Vec::<BGIndex>::new();
        let mut superblock_dirty = feature_was_missing;
        let target_block = if external_unchanged {
            external_store.as_ref().map(|store| store.block)
        } else if let Some(image) = external_image.as_mut() {
            let block = match external_store.as_ref() {
                Some(store) if store.refcount == 1 => store.block,
                Some(store) if store.refcount == 0 || store.refcount > 1024 => {
                    return Err(Ext4Error::corrupted().with_operation("xattr:block_refcount"));
                }
                _ => {
                    let block = filesystem.alloc_block(device)?;
                    allocated_block = Some(block);
                    let (group, _) = filesystem.block_allocator.global_to_group(block)?;
                    touched_bitmap_groups.push(group);
                    superblock_dirty = true;
                    block
                }
            };
            set_external_block_checksum(&filesystem.superblock, block, image)?;
            device.write_blocks(image, block, 1, true)?;
            Some(block)
        } else {
            None
        };

        let inode_update =
            filesystem.modify_inode_record(device, inode_number, |inode, raw_inode| {
                if inline_offset > raw_inode.len() {
                    return Err(Ext4Error::corrupted().with_operation("xattr:inode_bounds"));
                }
                let inline_tail = &mut raw_inode[inline_offset..];
                inline_tail.fill(0);
                if let Some(image) = &inline_image {
                    if image.len() != inline_tail.len() {
                        return Err(Ext4Error::corrupted().with_operation("xattr:inline_size"));
                    }
                    inline_tail.copy_from_slice(image);
                }

                let had_external = inode.file_acl() != 0;
                let has_external = target_block.is_some();
                let mut sectors = inode.blocks_count(block_size, huge_file);
                let xattr_sectors = u64::from(block_size / 512);
                match (had_external, has_external) {
                    (false, true) => {
                        sectors = sectors
                            .checked_add(xattr_sectors)
                            .ok_or_else(Ext4Error::overflow)?;
                    }
                    (true, false) => {
                        sectors = sectors.checked_sub(xattr_sectors).ok_or_else(|| {
                            Ext4Error::corrupted().with_operation("xattr:i_blocks")
                        })?;
                    }
                    _ => {}
                }
                inode.set_blocks_count(sectors, block_size, huge_file)?;
                inode.set_file_acl(target_block.map_or(0, AbsoluteBN::raw))?;
                inode.i_ctime = ctime;
                inode.increment_version(u16::try_from(raw_inode.len()).unwrap_or(u16::MAX));
                Ok(())
            });
        if let Err(error) = inode_update {
            if let Some(block) = allocated_block {
                device.forget_unpublished_metadata(block);
                filesystem.free_block(device, block)?;
            }
            return Err(error);
        }

        if let Some(old) = external_store
            && Some(old.block) != target_block
            && let Some(group) = release_external_store(device, filesystem, old)?
        {
            if !touched_bitmap_groups.contains(&group) {
                touched_bitmap_groups.push(group);
            }
            superblock_dirty = true;
        }
        filesystem.superblock.s_feature_compat |= Ext4Superblock::EXT4_FEATURE_COMPAT_EXT_ATTR;
        if feature_was_missing {
            filesystem.mark_superblock_dirty();
        }

        // Materialize every metadata image while the same bounded handle is
        // active. A later filesystem-wide sync must not split one xattr state
        // transition across journal transactions.
        filesystem.inodetable_cache.flush(device, inode_number)?;
        for group in touched_bitmap_groups {
            filesystem
                .bitmap_cache
                .flush(device, &CacheKey::new_block(group))?;
            filesystem.sync_group_descriptor(device, group)?;
        }
        if superblock_dirty {
            filesystem.sync_superblock(device)?;
        }
        Ok(())
    })
}

fn encode_xattrs(
    entries: &mut [StoredXattr],
    storage_size: usize,
    entries_start: usize,
    value_base: usize,
    external: bool,
) -> Ext4Result<Vec<u8>> {
    if storage_size < entries_start + XATTR_TERMINATOR_SIZE {
        return Err(Ext4Error::no_space().with_operation("xattr:encode"));
    }
    if external {
        entries.sort_by(|left, right| {
            left.name
                .namespace
                .disk_index()
                .cmp(&right.name.namespace.disk_index())
                .then(left.name.name.len().cmp(&right.name.name.len()))
                .then(left.name.name.cmp(&right.name.name))
        });
    }

    let mut names_end = entries_start;
    for entry in entries.iter() {
        validate_name(&entry.name.name)?;
        names_end = names_end
            .checked_add(round_up_4(
                XATTR_ENTRY_SIZE
                    .checked_add(entry.name.name.len())
                    .ok_or_else(Ext4Error::overflow)?,
            )?)
            .ok_or_else(Ext4Error::overflow)?;
    }
    names_end = names_end
        .checked_add(XATTR_TERMINATOR_SIZE)
        .ok_or_else(Ext4Error::overflow)?;
    if names_end > storage_size {
        return Err(Ext4Error::no_space().with_operation("xattr:encode_names"));
    }

    let mut image = alloc::vec![0u8; storage_size];
    if entries.is_empty() {
        return Ok(image);
    }
    write_u32_le(XATTR_MAGIC, &mut image[0..4]);
    if external {
        write_u32_le(1, &mut image[4..8]);
        write_u32_le(1, &mut image[8..12]);
    }

    let mut entry_offset = entries_start;
    let mut value_cursor = storage_size;
    let mut entry_hashes = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        let value = match &entry.value {
            StoredXattrValue::Local(value) => value,
            StoredXattrValue::EaInode { .. } => {
                return Err(Ext4Error::unsupported_feature(
                    crate::error::FeatureSet::Incompatible,
                    Ext4Superblock::EXT4_FEATURE_INCOMPAT_EA_INODE,
                )
                .with_operation("xattr:encode_ea_inode"));
            }
        };
        let padded_value_size = round_up_4(value.len())?;
        value_cursor = value_cursor
            .checked_sub(padded_value_size)
            .ok_or_else(|| Ext4Error::no_space().with_operation("xattr:encode_value"))?;
        if value_cursor < names_end || value_cursor < value_base {
            return Err(Ext4Error::no_space().with_operation("xattr:encode_value"));
        }
        let value_offset = value_cursor - value_base;
        let value_offset = u16::try_from(value_offset)
            .map_err(|_| Ext4Error::no_space().with_operation("xattr:value_offset"))?;
        let value_size = u32::try_from(value.len())
            .map_err(|_| Ext4Error::invalid_input().with_operation("xattr:value_size"))?;

        let entry_end = entry_offset + XATTR_ENTRY_SIZE;
        image[entry_offset] = u8::try_from(entry.name.name.len())
            .map_err(|_| Ext4Error::invalid_input().with_operation("xattr:name"))?;
        image[entry_offset + 1] = entry.name.namespace.disk_index();
        if !value.is_empty() {
            write_u16_le(value_offset, &mut image[entry_offset + 2..entry_offset + 4]);
            image[value_cursor..value_cursor + value.len()].copy_from_slice(value);
        }
        write_u32_le(value_size, &mut image[entry_offset + 8..entry_offset + 12]);
        image[entry_end..entry_end + entry.name.name.len()].copy_from_slice(&entry.name.name);

        let hash = if external {
            xattr_entry_hash(
                &entry.name.name,
                &image[value_cursor..value_cursor + padded_value_size],
            )
        } else {
            0
        };
        write_u32_le(hash, &mut image[entry_offset + 12..entry_offset + 16]);
        entry_hashes.push(hash);
        entry_offset += round_up_4(XATTR_ENTRY_SIZE + entry.name.name.len())?;
    }

    if external {
        let mut block_hash = 0u32;
        for hash in entry_hashes {
            if hash == 0 {
                block_hash = 0;
                break;
            }
            block_hash = block_hash.rotate_left(16) ^ hash;
        }
        write_u32_le(block_hash, &mut image[12..16]);
    }
    Ok(image)
}

fn xattr_entry_hash(name: &[u8], padded_value: &[u8]) -> u32 {
    let mut hash = 0u32;
    for byte in name {
        hash = hash.rotate_left(5) ^ u32::from(*byte);
    }
    for word in padded_value.as_chunks::<4>().0 {
        hash = hash.rotate_left(16) ^ read_u32_le(word);
    }
    hash
}

fn set_external_block_checksum(
    superblock: &Ext4Superblock,
    block_number: AbsoluteBN,
    block: &mut [u8],
) -> Ext4Result<()> {
    if block.len() < XATTR_BLOCK_HEADER_SIZE {
        return Err(Ext4Error::corrupted().with_operation("xattr:block_checksum_bounds"));
    }
    block[XATTR_BLOCK_CHECKSUM_OFFSET..XATTR_BLOCK_CHECKSUM_OFFSET + 4].fill(0);
    if ext4_superblock_has_metadata_csum(superblock) {
        let block_number = block_number.raw().to_le_bytes();
        let checksum = ext4_metadata_csum32(
            ext4_crc32c_seed_from_superblock(superblock),
            &[&block_number, block],
        );
        write_u32_le(
            checksum,
            &mut block[XATTR_BLOCK_CHECKSUM_OFFSET..XATTR_BLOCK_CHECKSUM_OFFSET + 4],
        );
    }
    Ok(())
}

fn load_allocated_inode<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    inode_number: InodeNumber,
) -> Ext4Result<(Ext4Inode, Vec<u8>)> {
    if !filesystem.inode_is_allocated_checked(device, inode_number)? {
        return Err(Ext4Error::not_found().with_operation("xattr:unallocated_inode"));
    }
    filesystem.get_inode_record(device, inode_number)
}

fn find_value(
    entries: Vec<StoredXattr>,
    namespace: XattrNamespace,
    name: &[u8],
) -> Ext4Result<Option<Vec<u8>>> {
    let Some(entry) = entries
        .into_iter()
        .find(|entry| entry.name.namespace == namespace && entry.name.name == name)
    else {
        return Ok(None);
    };
    match entry.value {
        StoredXattrValue::Local(value) => Ok(Some(value)),
        StoredXattrValue::EaInode { .. } => Err(Ext4Error::unsupported_feature(
            crate::error::FeatureSet::Incompatible,
            Ext4Superblock::EXT4_FEATURE_INCOMPAT_EA_INODE,
        )
        .with_operation("xattr:ea_inode_value")),
    }
}

fn validate_name(name: &[u8]) -> Ext4Result<()> {
    if name.len() > u8::MAX as usize || name.contains(&0) {
        return Err(Ext4Error::invalid_input().with_operation("xattr:name"));
    }
    Ok(())
}

pub(super) fn has_valid_inline_store(
    filesystem: &Ext4FileSystem,
    inode: &Ext4Inode,
    raw_inode: &[u8],
) -> Ext4Result<bool> {
    parse_inline_store(filesystem, inode, raw_inode).map(|entries| entries.is_some())
}

fn parse_inline_store(
    filesystem: &Ext4FileSystem,
    inode: &Ext4Inode,
    raw_inode: &[u8],
) -> Ext4Result<Option<Vec<StoredXattr>>> {
    let xattr_offset = usize::from(Ext4Inode::GOOD_OLD_INODE_SIZE)
        .checked_add(usize::from(inode.i_extra_isize))
        .ok_or_else(Ext4Error::overflow)?;
    let minimum_end = xattr_offset
        .checked_add(XATTR_IBODY_HEADER_SIZE + XATTR_TERMINATOR_SIZE)
        .ok_or_else(Ext4Error::overflow)?;
    if minimum_end > raw_inode.len() {
        return Ok(None);
    }
    let xattrs = &raw_inode[xattr_offset..];
    if read_u32_le(&xattrs[..XATTR_IBODY_HEADER_SIZE]) != XATTR_MAGIC {
        return Ok(None);
    }
    parse_xattrs(
        &filesystem.superblock,
        filesystem.root_inode,
        xattrs,
        XATTR_IBODY_HEADER_SIZE,
        XATTR_IBODY_HEADER_SIZE,
    )
    .map(Some)
}

pub(super) fn read_external_store<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &Ext4FileSystem,
    inode: &Ext4Inode,
) -> Ext4Result<Option<ExternalStore>> {
    let block_number = inode.file_acl();
    if block_number == 0 {
        return Ok(None);
    }
    if block_number >= filesystem.superblock.blocks_count() || block_number >= device.total_blocks()
    {
        return Err(Ext4Error::corrupted().with_operation("xattr:block_number"));
    }
    let block_number = AbsoluteBN::new(block_number);
    let mut block = alloc::vec![0u8; filesystem.block_size()];
    device.read_blocks(&mut block, block_number, 1)?;
    validate_external_header(&filesystem.superblock, block_number, &block)?;
    let entries = parse_xattrs(
        &filesystem.superblock,
        filesystem.root_inode,
        &block,
        XATTR_BLOCK_HEADER_SIZE,
        0,
    )?;
    Ok(Some(ExternalStore {
        block: block_number,
        refcount: read_u32_le(&block[4..8]),
        entries,
        raw: block,
    }))
}

pub(super) fn external_store_revoke_records(external: Option<&ExternalStore>) -> usize {
    usize::from(external.is_some_and(|external| external.refcount == 1))
}

/// Drops one inode's reference to a checked external xattr store.
///
/// The caller must run this transition in the same metadata transaction that
/// clears the inode's `i_file_acl`. A shared store remains allocated with its
/// checksum updated; an exclusively owned store is revoked before allocator
/// reuse and returns the block group whose bitmap metadata changed.
pub(super) fn release_external_store<B: BlockIo>(
    device: &mut Jbd2Dev<B>,
    filesystem: &mut Ext4FileSystem,
    external: ExternalStore,
) -> Ext4Result<Option<BGIndex>> {
    if external.refcount > 1 {
        let mut image = external.raw;
        image[4..8].copy_from_slice(&(external.refcount - 1).to_le_bytes());
        set_external_block_checksum(&filesystem.superblock, external.block, &mut image)?;
        device.write_blocks(&image, external.block, 1, true)?;
        return Ok(None);
    }

    device.forget_detached_metadata(external.block)?;
    filesystem.free_block(device, external.block)?;
    let (group, _) = filesystem.block_allocator.global_to_group(external.block)?;
    Ok(Some(group))
}

fn validate_external_header(
    superblock: &Ext4Superblock,
    block_number: AbsoluteBN,
    block: &[u8],
) -> Ext4Result<()> {
    if block.len() < XATTR_BLOCK_HEADER_SIZE + XATTR_TERMINATOR_SIZE
        || read_u32_le(&block[0..4]) != XATTR_MAGIC
        || read_u32_le(&block[8..12]) != 1
    {
        return Err(Ext4Error::corrupted().with_operation("xattr:block_header"));
    }
    let refcount = read_u32_le(&block[4..8]);
    if refcount == 0 || refcount > XATTR_REFCOUNT_MAX {
        return Err(Ext4Error::corrupted().with_operation("xattr:block_refcount"));
    }
    if ext4_superblock_has_metadata_csum(superblock) {
        let stored =
            read_u32_le(&block[XATTR_BLOCK_CHECKSUM_OFFSET..XATTR_BLOCK_CHECKSUM_OFFSET + 4]);
        let zero = 0u32.to_le_bytes();
        let block_number = block_number.raw().to_le_bytes();
        let expected = ext4_metadata_csum32(
            ext4_crc32c_seed_from_superblock(superblock),
            &[
                &block_number,
                &block[..XATTR_BLOCK_CHECKSUM_OFFSET],
                &zero,
                &block[XATTR_BLOCK_CHECKSUM_OFFSET + 4..],
            ],
        );
        if stored != expected {
            return Err(Ext4Error::checksum().with_operation("xattr:block_checksum"));
        }
    }
    Ok(())
}

fn parse_xattrs(
    superblock: &Ext4Superblock,
    root_inode: InodeNumber,
    storage: &[u8],
    entries_start: usize,
    value_base: usize,
) -> Ext4Result<Vec<StoredXattr>> {
    let mut entry_offsets = Vec::new();
    let mut entry_offset = entries_start;
    loop {
        let prefix_end = entry_offset
            .checked_add(XATTR_TERMINATOR_SIZE)
            .ok_or_else(Ext4Error::overflow)?;
        let prefix = storage
            .get(entry_offset..prefix_end)
            .ok_or_else(|| Ext4Error::corrupted().with_operation("xattr:entry_bounds"))?;
        if read_u32_le(prefix) == 0 {
            break;
        }
        let fixed_end = entry_offset
            .checked_add(XATTR_ENTRY_SIZE)
            .ok_or_else(Ext4Error::overflow)?;
        let fixed = storage
            .get(entry_offset..fixed_end)
            .ok_or_else(|| Ext4Error::corrupted().with_operation("xattr:entry_bounds"))?;
        let name_len = usize::from(fixed[0]);
        let name_end = fixed_end
            .checked_add(name_len)
            .ok_or_else(Ext4Error::overflow)?;
        let name = storage
            .get(fixed_end..name_end)
            .ok_or_else(|| Ext4Error::corrupted().with_operation("xattr:name_bounds"))?;
        let next = entry_offset
            .checked_add(round_up_4(
                XATTR_ENTRY_SIZE
                    .checked_add(name_len)
                    .ok_or_else(Ext4Error::overflow)?,
            )?)
            .ok_or_else(Ext4Error::overflow)?;
        if name.contains(&0)
            || next
                .checked_add(XATTR_TERMINATOR_SIZE)
                .is_none_or(|end| end > storage.len())
        {
            return Err(Ext4Error::corrupted().with_operation("xattr:name"));
        }
        entry_offsets.push(entry_offset);
        entry_offset = next;
    }
    let names_end = entry_offset
        .checked_add(XATTR_TERMINATOR_SIZE)
        .ok_or_else(Ext4Error::overflow)?;

    let mut entries = Vec::with_capacity(entry_offsets.len());
    for entry_offset in entry_offsets {
        let fixed_end = entry_offset + XATTR_ENTRY_SIZE;
        let fixed = &storage[entry_offset..fixed_end];
        let name_len = usize::from(fixed[0]);
        let name = storage[fixed_end..fixed_end + name_len].to_vec();
        let value_offset = usize::from(read_u16_le(&fixed[2..4]));
        let value_inode = read_u32_le(&fixed[4..8]);
        let value_size = read_u32_le(&fixed[8..12]);
        if value_size > XATTR_SIZE_MAX {
            return Err(Ext4Error::corrupted().with_operation("xattr:value_size"));
        }
        let value = if value_inode != 0 {
            if !superblock.has_feature_incompat(Ext4Superblock::EXT4_FEATURE_INCOMPAT_EA_INODE)
                || value_inode == root_inode.raw()
                || value_inode < superblock.s_first_ino
                || value_inode > superblock.s_inodes_count
                || value_size == 0
            {
                return Err(Ext4Error::corrupted().with_operation("xattr:value_inode"));
            }
            StoredXattrValue::EaInode {
                inode: value_inode,
                size: value_size,
            }
        } else {
            let value_size = usize::try_from(value_size).map_err(|_| Ext4Error::overflow())?;
            if value_size == 0 {
                StoredXattrValue::Local(Vec::new())
            } else {
                let absolute_offset = value_base
                    .checked_add(value_offset)
                    .ok_or_else(Ext4Error::overflow)?;
                let value_end = absolute_offset
                    .checked_add(value_size)
                    .ok_or_else(Ext4Error::overflow)?;
                let padded_end = absolute_offset
                    .checked_add(round_up_4(value_size)?)
                    .ok_or_else(Ext4Error::overflow)?;
                if value_offset > storage.len().saturating_sub(value_base)
                    || absolute_offset < names_end
                    || value_end > storage.len()
                    || padded_end > storage.len()
                {
                    return Err(Ext4Error::corrupted().with_operation("xattr:value_bounds"));
                }
                StoredXattrValue::Local(storage[absolute_offset..value_end].to_vec())
            }
        };
        entries.push(StoredXattr {
            name: XattrName {
                namespace: XattrNamespace::from_disk_index(fixed[1]),
                name,
            },
            value,
        });
    }
    Ok(entries)
}

fn round_up_4(value: usize) -> Ext4Result<usize> {
    value
        .checked_add(3)
        .map(|value| value & !3)
        .ok_or_else(Ext4Error::overflow)
}
