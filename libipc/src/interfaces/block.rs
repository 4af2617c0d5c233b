//! `Block`: storage that is addressed by sectors.
//!
//! There are three ways to move bytes, over one numbering of sectors:
//!
//! | way | operations | for |
//! |---|---|---|
//! | by lease | `read`, `write` | whoever has bytes anywhere and little to move: they are copied |
//! | in place, one by one | `read_at`, `write_at` | a call a request, straight into registered memory |
//! | in place, many | `submit`, `collect` | many requests in flight, from one thread |
//!
//! Memory is registered once and then named by its number. The device itself reads
//! and writes it, so what it holds while a request is under way is not defined.

use super::*;
use crate::{objects::MemoryClient, wire::ErrorCode as _, wire::Text};

/// Bytes of a sector, the unit of all addresses, whatever the device's own blocks are.
pub const SECTOR: usize = 512;

/// Most bytes that `read` and `write` copy in one call.
pub const MAX_COPY: usize = 64 << 10;

/// Why a request for storage failed. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum BlockError {
    /// Sectors past the end of the device.
    OutOfRange = 1,
    /// The device cannot be written.
    ReadOnly = 2,
    /// The device failed. What a write was to change holds its old or its new bytes,
    /// each sector by itself; after a flush nothing is known of writes before it.
    Io = 3,
    /// No memory of this client has this number: it never had, it was removed, or
    /// the server was restarted and has forgotten it. Registering it again helps.
    NoSuchMemory = 4,
    /// As many requests are under way as the server keeps for this client: collect
    /// some first.
    QueueFull = 5,
    /// A range outside the registered memory, or that does not begin at a multiple of
    /// four bytes; or a lease that is no whole number of sectors.
    BadRange = 6,
    /// The lease is memory that cannot be read, or written.
    BadMemory = 7,
    /// No sectors, or more than [`Geometry::max_sectors`], or than [`MAX_COPY`].
    BadLength = 8,
    /// The client has registered as many memories as it may.
    TooManyMemories = 9,
    /// The server could not take the memory, or ran out of something.
    NoResources = 10,
    /// `submit` before `notify`: nobody would be told.
    NotNotified = 11,
    /// There is no such partition: what the page or an earlier capability names is not
    /// on the disk (any more), or the number asked for is past the last.
    NoSuchPartition = 12,
    /// The disk's partition table is damaged.
    DamagedTable = 13,
    /// Somebody else has these sectors to themselves: see [`BlockAccess::Exclusive`].
    InUse = 14,
}

describe!(BlockError {
    OutOfRange => "sectors past the end of the device",
    ReadOnly => "the device cannot be written",
    Io => "the device failed",
    NoSuchMemory => "no such memory is registered",
    QueueFull => "too many requests are under way",
    BadRange => "not a range of the memory, or not aligned",
    BadMemory => "the memory lent cannot be used",
    BadLength => "no sectors, or too many for one request",
    TooManyMemories => "too much memory is registered",
    NoResources => "the driver has no resources left",
    NotNotified => "nobody is named to be told of completions",
    NoSuchPartition => "there is no such partition",
    DamagedTable => "the partition table is damaged",
    InUse => "somebody else has it in use",
});

/// What a device is like. Clients may keep it: it does not change while the device
/// is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Geometry {
    /// Sectors of [`SECTOR`] bytes.
    pub sectors: u64,
    /// Bytes of the device's own blocks, a multiple of [`SECTOR`]: what is smaller is
    /// slow, and not written as a whole or not at all.
    pub block: u64,
    /// It cannot be written.
    pub read_only: bool,
    /// Nobody else can write it while this capability is there.
    pub exclusive: bool,
    /// It keeps writes in a cache that loses them with the power, until a flush.
    pub volatile_cache: bool,
    /// Most sectors of a request in place.
    pub max_sectors: u64,
    /// Most requests that one client has under way by `submit`.
    pub max_requests: u64,
    /// Most memories that one client may register.
    pub max_memories: u64,
}

/// What a capability for a partition allows. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum BlockAccess {
    /// Reading.
    Read = 0,
    /// Reading, and writing what nobody has to himself.
    ReadWrite = 1,
    /// The same, and while the capability is there nobody else can write: who keeps a
    /// file system there.
    Exclusive = 2,
}

/// What a partition's table says that it is for. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum PartitionKind {
    /// No partition, but all that the client sees.
    #[default]
    Whole = 0,
    /// Something that has no number here.
    Other = 1,
    /// A file system of Linux.
    Linux = 2,
    /// A file system for exchange: FAT, exFAT or NTFS.
    Exchange = 3,
    /// What firmware boots from: FAT.
    System = 4,
    /// Memory that was swapped out.
    Swap = 5,
}

/// A partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Partition {
    /// Its place in the table, from 1 on; 0 is all that the client sees.
    pub number: u64,
    /// Its first sector.
    pub first: u64,
    /// Its sectors.
    pub sectors: u64,
    /// What it is for.
    pub kind: PartitionKind,
    /// Nobody can write it: the device does not let anybody.
    pub read_only: bool,
    /// Its name, which only a GPT has.
    pub name: Text<108>,
    /// The task of the page that has some of it to itself, directly or for a program
    /// that it started; empty if there is none.
    pub user: Text<32>,
}

/// What a request does. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum BlockAction {
    /// Fills memory from sectors.
    Read = 0,
    /// Writes memory to sectors.
    Write = 1,
    /// As [`Block::flush`]; its range and memory do not count.
    Flush = 2,
}

/// A request that is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct BlockRequest {
    /// What the client knows it by; it may be used again once it is collected.
    pub tag: u32,
    /// What it does.
    pub action: BlockAction,
    /// Its first sector.
    pub sector: u64,
    /// How many sectors.
    pub count: u64,
    /// Number of the registered memory.
    pub memory: u64,
    /// Where in the memory its bytes begin.
    pub offset: u64,
    /// Another request follows at once, so this one may wait to begin together with
    /// that one.
    pub more: bool,
}

/// What `collect` hands out: up to [`Completions::MOST`] requests that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Completions {
    count: u64,
    /// Tag in the low half, the error's number or 0 in the high one.
    packed: [u64; Completions::MOST],
}

impl Completions {
    /// As many as registers carry.
    pub const MOST: usize = 7;

    /// Adds one; `false` if there is no room.
    pub fn push(&mut self, tag: u32, result: Result<(), BlockError>) -> bool {
        let error = result.map_or_else(|error| error as u64, |()| 0);
        match self.packed.get_mut(self.count as usize) {
            Some(place) => {
                *place = error << 32 | u64::from(tag);
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Whether there is room for no more: then others may wait.
    pub fn is_full(&self) -> bool {
        self.count >= Self::MOST as u64
    }

    /// Tag and result of each, in the order in which they ended.
    ///
    /// ```
    /// use libipc::interfaces::block::{BlockError, Completions};
    /// let mut completions = Completions::default();
    /// completions.push(7, Ok(()));
    /// completions.push(u32::MAX, Err(BlockError::Io));
    /// let all = [(7, Ok(())), (u32::MAX, Err(BlockError::Io))];
    /// assert!(completions.iter().eq(all));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (u32, Result<(), BlockError>)> {
        let count = Self::MOST.min(self.count as usize);
        self.packed[..count].iter().map(|packed| {
            let result = match packed >> 32 {
                0 => Ok(()),
                // What has no meaning here is no success.
                code => Err(BlockError::from_code(code).unwrap_or(BlockError::Io)),
            };
            (*packed as u32, result)
        })
    }
}

/// Storage that is addressed by sectors.
///
/// A client may have been given a partition of the device, and then it is all that
/// there is for it: sectors count from where it begins to where it ends. Any call may
/// fail with `NoSuchPartition` if it is not there. Writing fails with `InUse` where
/// somebody else is [`BlockAccess::Exclusive`].
///
/// Requests of one client and of several run at the same time and end in any order;
/// only a flush orders them. What is written is durable when a flush that was asked
/// for after the write had ended has ended well. A write that ends with a transport
/// error, or with `Io`, has changed its sectors or not, each by itself, and does so
/// no more once a later flush, or `unregister` of its memory, has ended.
///
/// When the server is restarted, registered memory and submitted requests are
/// forgotten. Calls that wait end as `Died`; then, or at `NoSuchMemory`, a client
/// registers again, names its endpoint again, and repeats what has not ended: only
/// who owns the sectors knows that writing the same again does no harm. The server
/// keeps the endpoint that `notify` names, so a client that waits for signals alone
/// gives one with a badge of its own: `Closed` of that badge is the server's end.
#[interface]
pub trait Block {
    /// What the device is like. `NoSuchPartition`.
    #[op(0, idempotent)]
    fn geometry(&mut self) -> Result<Geometry, BlockError>;

    /// Fills `into` from `sector` on. `OutOfRange`, `BadRange` (no whole sectors),
    /// `BadLength`, `QueueFull`, `BadMemory`, `Io`.
    #[op(1, idempotent)]
    #[deferred]
    fn read(&mut self, sector: u64, into: LeaseMut) -> Result<(), BlockError>;

    /// Writes `from` to `sector` and on. Errors as of `read`; `ReadOnly`.
    #[op(2)]
    #[deferred]
    fn write(&mut self, sector: u64, from: Lease) -> Result<(), BlockError>;

    /// A barrier: what was asked for before it, by anybody, ends before it; what is
    /// asked for after it begins after it. When it ends well all writes that had ended
    /// are durable. `Io`; `QueueFull`.
    #[op(3, idempotent)]
    #[deferred]
    fn flush(&mut self) -> Result<(), BlockError>;

    /// Lets the device reach this memory, all of it, for requests in place; returns
    /// its number. Its pages are all there from then on, charged to whoever made it,
    /// and stay so until it is removed, whatever happens to the client: the device
    /// may be writing. The capability needs `READ` and `WRITE`. `TooManyMemories`,
    /// `NoResources`.
    #[op(4)]
    fn register(&mut self, memory: MemoryClient) -> Result<u64, BlockError>;

    /// Ends that: when it is answered the device no longer reaches the memory.
    /// Requests that use it end first; no new ones begin. `NoSuchMemory`.
    #[op(5)]
    #[deferred]
    fn unregister(&mut self, memory: u64) -> Result<(), BlockError>;

    /// Fills `count` sectors of registered memory at `offset`, from `sector` on.
    /// `NoSuchMemory`, `BadRange`, `BadLength`, `OutOfRange`, `QueueFull`, `Io`.
    #[op(6, idempotent)]
    #[deferred]
    fn read_at(
        &mut self,
        sector: u64,
        count: u64,
        memory: u64,
        offset: u64,
    ) -> Result<(), BlockError>;

    /// Writes `count` sectors of registered memory at `offset` to `sector` and on.
    /// Errors as of `read_at`; `ReadOnly`.
    #[op(7)]
    #[deferred]
    fn write_at(
        &mut self,
        sector: u64,
        count: u64,
        memory: u64,
        offset: u64,
    ) -> Result<(), BlockError>;

    /// Names the endpoint whose signal bits `signals` are set when a submitted
    /// request has ended.
    #[op(8, idempotent)]
    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), BlockError>;

    /// Begins a request and returns at once. What is wrong with it is this call's
    /// error, and then it has not begun and is not collected: as of `read_at`,
    /// `write_at` and `flush`, `QueueFull`, `NotNotified`.
    #[op(9)]
    fn submit(&mut self, request: BlockRequest) -> Result<(), BlockError>;

    /// Takes submitted requests that have ended: none if there are none, and perhaps
    /// not all if the answer is full. `NotNotified`.
    #[op(10)]
    fn collect(&mut self) -> Result<Completions, BlockError>;

    /// The partition with this number or, if there is none, with the next one; 0 is all
    /// that the client sees. `NoSuchPartition` past the last; `DamagedTable`. The table
    /// is that which the disk had when its server started.
    #[op(11, idempotent)]
    fn partition(&mut self, number: u64) -> Result<Partition, BlockError>;

    /// A capability for a partition, or for all that this one sees if the number is 0,
    /// with no more access than this one has. It outlives the server: one that was
    /// restarted knows it. `NoSuchPartition`, `DamagedTable`, `ReadOnly`, `NoResources`;
    /// `InUse` if it would be written and somebody has some of it to himself.
    #[op(12)]
    fn open(&mut self, number: u64, access: BlockAccess) -> Result<BlockClient, BlockError>;
}
