//! On-disk inode, extent, and timestamp types.
use crate::endian::*;

mod device_number;
mod disk_format;
mod extent;
mod inode;
mod inode_flags;
mod inode_mode;
mod time;

pub use device_number::DeviceNumber;
pub use extent::{Ext4Extent, Ext4ExtentHeader, Ext4ExtentIdx};
pub use inode::Ext4Inode;
pub use time::{Ext4TimeSpec, Ext4Timestamp};
