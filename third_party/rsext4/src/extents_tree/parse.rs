use super::*;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtentRun {
    pub logical_start: u32,
    pub physical_start: AbsoluteBN,
    pub len: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExtentBlockMapping {
    Hole,
    Initialized(AbsoluteBN),
    Unwritten(AbsoluteBN),
}

impl<'a> ExtentTree<'a> {
    /// Maximum on-disk extent-tree depth accepted by Linux ext4.
    pub const MAX_DEPTH: u16 = 5;

    pub fn parse_node(bytes: &[u8]) -> Ext4Result<ExtentNode> {
        Self::parse_node_from_bytes(bytes)
    }

    /// Parses one extent-tree node from raw bytes.
    pub(super) fn parse_node_from_bytes(bytes: &[u8]) -> Ext4Result<ExtentNode> {
        let hdr_size = Ext4ExtentHeader::disk_size();
        if bytes.len() < hdr_size {
            return Err(Ext4Error::corrupted().with_operation("extent:header_truncated"));
        }

        let header = Ext4ExtentHeader::from_disk_bytes(&bytes[..hdr_size]);
        if header.eh_magic != Ext4ExtentHeader::EXT4_EXT_MAGIC {
            return Err(Ext4Error::corrupted().with_operation("extent:bad_magic"));
        }

        let entries = header.eh_entries as usize;
        let max = header.eh_max as usize;
        let entry_size = Ext4Extent::disk_size();
        let capacity = bytes.len().saturating_sub(hdr_size) / entry_size;
        if max == 0 || entries > max || max > capacity || header.eh_depth > Self::MAX_DEPTH {
            return Err(Ext4Error::corrupted().with_operation("extent:header_geometry"));
        }
        if header.eh_depth > 0 && entries == 0 {
            return Err(Ext4Error::corrupted().with_operation("extent:empty_index"));
        }

        let mut offset = hdr_size;

        if header.eh_depth == 0 {
            // Leaf nodes store extents directly.
            let mut vec = Vec::with_capacity(entries);
            let et_size = Ext4Extent::disk_size();
            for _ in 0..entries {
                if offset + et_size > bytes.len() {
                    return Err(Ext4Error::corrupted().with_operation("extent:entry_truncated"));
                }
                let et = Ext4Extent::from_disk_bytes(&bytes[offset..offset + et_size]);
                vec.push(et);
                offset += et_size;
            }
            Self::validate_leaf_entries(&vec)?;
            Ok(ExtentNode::Leaf {
                header,
                entries: vec,
            })
        } else {
            // Internal nodes store child indexes.
            let mut vec = Vec::with_capacity(entries);
            let idx_size = Ext4ExtentIdx::disk_size();
            for _ in 0..entries {
                if offset + idx_size > bytes.len() {
                    return Err(Ext4Error::corrupted().with_operation("extent:index_truncated"));
                }
                let idx = Ext4ExtentIdx::from_disk_bytes(&bytes[offset..offset + idx_size]);
                vec.push(idx);
                offset += idx_size;
            }
            Self::validate_index_entries(&vec)?;
            Ok(ExtentNode::Index {
                header,
                entries: vec,
            })
        }
    }

    pub(super) fn validate_leaf_entries(entries: &[Ext4Extent]) -> Ext4Result<()> {
        let mut previous_end = None;
        for extent in entries {
            let len = extent.len();
            if len == 0 {
                return Err(Ext4Error::corrupted().with_operation("extent:zero_length"));
            }
            let logical_end = extent
                .ee_block
                .checked_add(len)
                .ok_or_else(|| Ext4Error::corrupted().with_operation("extent:logical_overflow"))?;
            extent
                .start_block()
                .checked_add(u64::from(len))
                .ok_or_else(|| Ext4Error::corrupted().with_operation("extent:physical_overflow"))?;
            if previous_end.is_some_and(|end| extent.ee_block < end) {
                return Err(Ext4Error::corrupted().with_operation("extent:overlap_or_order"));
            }
            previous_end = Some(logical_end);
        }
        Ok(())
    }

    pub(super) fn validate_index_entries(entries: &[Ext4ExtentIdx]) -> Ext4Result<()> {
        let mut previous_key = None;
        for index in entries {
            if previous_key.is_some_and(|key| index.ei_block <= key) {
                return Err(Ext4Error::corrupted().with_operation("extent:index_order"));
            }
            previous_key = Some(index.ei_block);
        }
        Ok(())
    }

    /// Finds the extent covering `lblock`, if any.
    pub fn find_extent<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        lblock: u32,
    ) -> Ext4Result<Option<Ext4Extent>> {
        let root = self.load_root_from_inode()?;
        self.validate_node(&root, None, None, dev.total_blocks(), true)?;
        self.find_in_node(dev, &root, lblock)
    }

    /// Finds the extent covering `lblock`, or the first extent after it.
    pub(crate) fn find_extent_at_or_after<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        lblock: u32,
    ) -> Ext4Result<Option<Ext4Extent>> {
        let root = self.load_root_from_inode()?;
        self.validate_node(&root, None, None, dev.total_blocks(), true)?;
        self.find_at_or_after_in_node(dev, &root, lblock)
    }

    /// Returns the external leaf block that owns `lblock`; inline leaves have
    /// no block identity.
    pub(crate) fn external_leaf_block<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        lblock: u32,
    ) -> Ext4Result<Option<AbsoluteBN>> {
        let root = self.load_root_from_inode()?;
        self.validate_node(&root, None, None, dev.total_blocks(), true)?;
        self.external_leaf_block_in_node(dev, &root, lblock, None)
    }

    /// Resolves one logical block without collapsing unwritten extents into holes.
    pub fn map_block<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        lblock: u32,
    ) -> Ext4Result<ExtentBlockMapping> {
        let Some(extent) = self.find_extent(dev, lblock)? else {
            return Ok(ExtentBlockMapping::Hole);
        };
        let offset = lblock
            .checked_sub(extent.ee_block)
            .ok_or_else(|| Ext4Error::corrupted().with_operation("extent:mapping_offset"))?;
        let physical = AbsoluteBN::new(extent.start_block()).checked_add(offset)?;
        Ok(if extent.is_unwritten() {
            ExtentBlockMapping::Unwritten(physical)
        } else {
            ExtentBlockMapping::Initialized(physical)
        })
    }

    pub fn initialized_runs_in_range<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        start_lbn: u32,
        end_lbn: u32,
    ) -> Ext4Result<Vec<ExtentRun>> {
        if start_lbn > end_lbn {
            return Ok(Vec::new());
        }
        let root = self.load_root_from_inode()?;
        self.validate_node(&root, None, None, dev.total_blocks(), true)?;
        let mut runs = Vec::new();
        self.collect_runs_in_node(dev, &root, start_lbn, end_lbn, &mut runs)?;
        Ok(runs)
    }

    /// Returns every initialized or unwritten extent in logical order.
    pub(crate) fn all_extents<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
    ) -> Ext4Result<Vec<Ext4Extent>> {
        let root = self.load_root_from_inode()?;
        self.validate_node(&root, None, None, dev.total_blocks(), true)?;

        fn collect<B: BlockIo>(
            tree: &ExtentTree<'_>,
            dev: &mut Jbd2Dev<B>,
            node: &ExtentNode,
            output: &mut Vec<Ext4Extent>,
        ) -> Ext4Result<()> {
            match node {
                ExtentNode::Leaf { entries, .. } => output.extend_from_slice(entries),
                ExtentNode::Index { header, entries } => {
                    for index in entries {
                        let child = tree.read_child_node(dev, index, header.eh_depth - 1)?;
                        collect(tree, dev, &child, output)?;
                    }
                }
            }
            Ok(())
        }

        let mut extents = Vec::new();
        collect(self, dev, &root, &mut extents)?;
        Ok(extents)
    }

    /// Recursively searches one node for the extent covering `lblock`.
    #[allow(clippy::only_used_in_recursion)]
    fn find_in_node<B: BlockIo>(
        &mut self,
        dev: &mut Jbd2Dev<B>,
        node: &ExtentNode,
        lblock: u32,
    ) -> Ext4Result<Option<Ext4Extent>> {
        match node {
            ExtentNode::Leaf { entries, .. } => {
                for et in entries {
                    let start = et.ee_block;
                    let len = et.len();
                    let end = start.checked_add(len).ok_or_else(|| {
                        Ext4Error::corrupted().with_operation("extent:logical_overflow")
                    })?; // half-open range [start, end)
                    if lblock >= start && lblock < end {
                        return Ok(Some(*et));
                    }
                }
                Ok(None)
            }
            ExtentNode::Index { header, entries } => {
                // Descend through the last child whose key is <= target.
                let mut chosen = &entries[0];
                for idx in entries {
                    if idx.ei_block <= lblock {
                        chosen = idx;
                    } else {
                        break;
                    }
                }

                let child = self.read_child_node(dev, chosen, header.eh_depth - 1)?;

                self.find_in_node(dev, &child, lblock)
            }
        }
    }

    fn find_at_or_after_in_node<B: BlockIo>(
        &self,
        dev: &mut Jbd2Dev<B>,
        node: &ExtentNode,
        lblock: u32,
    ) -> Ext4Result<Option<Ext4Extent>> {
        match node {
            ExtentNode::Leaf { entries, .. } => {
                for extent in entries {
                    let end = extent.ee_block.checked_add(extent.len()).ok_or_else(|| {
                        Ext4Error::corrupted().with_operation("extent:logical_overflow")
                    })?;
                    if end > lblock {
                        return Ok(Some(*extent));
                    }
                }
                Ok(None)
            }
            ExtentNode::Index { header, entries } => {
                let partition = entries.partition_point(|index| index.ei_block <= lblock);
                let first = partition.saturating_sub(1);
                for index in &entries[first..] {
                    let child = self.read_child_node(dev, index, header.eh_depth - 1)?;
                    if let Some(extent) = self.find_at_or_after_in_node(dev, &child, lblock)? {
                        return Ok(Some(extent));
                    }
                }
                Ok(None)
            }
        }
    }

    fn external_leaf_block_in_node<B: BlockIo>(
        &self,
        dev: &mut Jbd2Dev<B>,
        node: &ExtentNode,
        lblock: u32,
        physical_node: Option<AbsoluteBN>,
    ) -> Ext4Result<Option<AbsoluteBN>> {
        match node {
            ExtentNode::Leaf { entries, .. } => {
                let owns_block = entries.iter().any(|extent| {
                    extent.ee_block <= lblock
                        && lblock < extent.ee_block.saturating_add(extent.len())
                });
                if owns_block {
                    Ok(physical_node)
                } else {
                    Err(Ext4Error::corrupted().with_operation("extent:leaf_mapping_missing"))
                }
            }
            ExtentNode::Index { header, entries } => {
                let partition = entries.partition_point(|index| index.ei_block <= lblock);
                let position = partition.saturating_sub(1);
                let index = entries
                    .get(position)
                    .ok_or_else(|| Ext4Error::corrupted().with_operation("extent:empty_index"))?;
                let child_block = AbsoluteBN::new(
                    (u64::from(index.ei_leaf_hi) << 32) | u64::from(index.ei_leaf_lo),
                );
                let child = self.read_child_node(dev, index, header.eh_depth - 1)?;
                self.external_leaf_block_in_node(dev, &child, lblock, Some(child_block))
            }
        }
    }

    fn collect_runs_in_node<B: BlockIo>(
        &self,
        dev: &mut Jbd2Dev<B>,
        node: &ExtentNode,
        start_lbn: u32,
        end_lbn: u32,
        out: &mut Vec<ExtentRun>,
    ) -> Ext4Result<()> {
        match node {
            ExtentNode::Leaf { entries, .. } => {
                for ext in entries {
                    let len = ext.len();
                    if len == 0 || ext.is_unwritten() {
                        continue;
                    }
                    let ext_start = ext.ee_block;
                    let ext_end = ext_start
                        .checked_add(len)
                        .and_then(|end| end.checked_sub(1))
                        .ok_or_else(|| {
                            Ext4Error::corrupted().with_operation("extent:logical_overflow")
                        })?;
                    if ext_end < start_lbn || ext_start > end_lbn {
                        continue;
                    }
                    let logical_start = ext_start.max(start_lbn);
                    let logical_end = ext_end.min(end_lbn);
                    let physical_offset = logical_start.saturating_sub(ext_start);
                    let physical_start =
                        AbsoluteBN::new(ext.start_block()).checked_add(physical_offset)?;
                    out.push(ExtentRun {
                        logical_start,
                        physical_start,
                        len: logical_end
                            .checked_sub(logical_start)
                            .and_then(|len| len.checked_add(1))
                            .ok_or_else(Ext4Error::overflow)?,
                    });
                }
                Ok(())
            }
            ExtentNode::Index { header, entries } => {
                for (idx, entry) in entries.iter().enumerate() {
                    let child_start = entry.ei_block;
                    let child_end = entries
                        .get(idx + 1)
                        .map(|next| next.ei_block - 1)
                        .unwrap_or(u32::MAX);
                    if child_end < start_lbn || child_start > end_lbn {
                        continue;
                    }
                    let child = self.read_child_node(dev, entry, header.eh_depth - 1)?;
                    self.collect_runs_in_node(dev, &child, start_lbn, end_lbn, out)?;
                }
                Ok(())
            }
        }
    }
}
