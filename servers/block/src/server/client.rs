//! The interface: what a client asks, checked and put in line.

use super::{Lender, Owner, Server};
use crate::{
    disk::{Disk, Transfer},
    partitions::{self, TableError},
    queue::Request,
    views::View,
};
use alloc::boxed::Box;
use libipc::{
    Capability, Text,
    handle::Rights,
    interfaces::block::{
        Block, BlockAccess, BlockAction, BlockClient, BlockError, BlockRequest, Completions,
        Geometry, MAX_COPY, Partition, PartitionKind, SECTOR,
    },
    objects::{EndpointClient, MemoryClient},
    server::{LeaseId, Reply},
};

/// Calls of one capability that may be under way.
const IN_FLIGHT: u64 = 16;

/// A request in place, as a client describes it.
struct InPlace {
    action: BlockAction,
    sector: u64,
    count: u64,
    memory: u64,
    offset: u64,
}

/// One call's view of the server: who calls.
pub(super) struct Client<'s, D: Disk> {
    pub(super) server: &'s mut Server<D>,
    pub(super) badge: u64,
    pub(super) endpoint: &'s EndpointClient,
}

impl<D: Disk> Client<'_, D> {
    /// Checks a request in place; its transfer, and the place of its memory.
    fn in_place(&mut self, asked: InPlace) -> Result<(Transfer, Option<usize>), BlockError> {
        let InPlace {
            action,
            sector,
            count,
            memory,
            offset,
        } = asked;
        let sector = self.server.check(self.badge, action, sector, count)?;
        if action == BlockAction::Flush {
            return Ok((flush(), None));
        }
        if count > self.server.geometry.max_sectors {
            return Err(BlockError::BadLength);
        }
        let (place, found) = self.server.memories.find(self.badge, memory)?;
        let end = offset.checked_add(count * SECTOR as u64);
        if !offset.is_multiple_of(4) || end.is_none_or(|end| end > found.length) {
            return Err(BlockError::BadRange);
        }
        let transfer = Transfer {
            action,
            sector,
            count,
            offset,
        };
        Ok((transfer, Some(place)))
    }

    /// The partitions that a client with this view sees: all, if it sees the whole disk.
    fn partitions(&self, view: View) -> Result<&[partitions::Partition], BlockError> {
        match &self.server.table {
            _ if view.number != 0 => Ok(&[]),
            Ok(partitions) => Ok(partitions),
            Err(TableError::None) => Ok(&[]),
            Err(TableError::Damaged) => Err(BlockError::DamagedTable),
            Err(TableError::Disk(error)) => Err(*error),
        }
    }

    fn add(&mut self, (transfer, memory): (Transfer, Option<usize>), owner: Owner) {
        if let Some(place) = memory {
            self.server.memories.begin_use(place);
        }
        self.server.queue.add(Request {
            transfer,
            memory,
            owner,
        });
    }

    /// A request in place whose caller waits.
    fn call(&mut self, asked: InPlace, reply: Reply<(), BlockError>) {
        match self.in_place(asked) {
            Ok(checked) => self.add(checked, Owner::Caller(reply)),
            Err(error) => drop(reply.answer(Err(error))),
        }
    }

    /// A request by lease.
    fn lent(
        &mut self,
        action: BlockAction,
        sector: u64,
        lease: LeaseId,
        reply: Reply<(), BlockError>,
    ) {
        let (count, rest) = (lease.len() / SECTOR, lease.len() % SECTOR);
        let checked = match rest {
            _ if lease.len() > MAX_COPY => Err(BlockError::BadLength),
            0 => self.server.check(self.badge, action, sector, count as u64),
            _ => Err(BlockError::BadRange),
        };
        let sector = match checked {
            Ok(sector) => sector,
            Err(error) => {
                reply.answer(Err(error));
                return;
            }
        };
        let transfer = Transfer {
            action,
            sector,
            count: count as u64,
            offset: 0,
        };
        let lender = Lender {
            reply,
            lease,
            place: None,
        };
        self.add((transfer, None), Owner::Lender(Box::new(lender)));
    }
}

/// The transfer of a flush.
fn flush() -> Transfer {
    Transfer {
        action: BlockAction::Flush,
        sector: 0,
        count: 0,
        offset: 0,
    }
}

impl<D: Disk> Block for Client<'_, D> {
    fn geometry(&mut self) -> Result<Geometry, BlockError> {
        let view = self.server.view(self.badge)?;
        Ok(Geometry {
            sectors: view.sectors,
            read_only: self.server.geometry.read_only || view.access == BlockAccess::Read,
            exclusive: view.access == BlockAccess::Exclusive,
            ..self.server.geometry
        })
    }

    fn read(&mut self, sector: u64, into: LeaseId, reply: Reply<(), BlockError>) {
        self.lent(BlockAction::Read, sector, into, reply);
    }

    fn write(&mut self, sector: u64, from: LeaseId, reply: Reply<(), BlockError>) {
        self.lent(BlockAction::Write, sector, from, reply);
    }

    fn flush(&mut self, reply: Reply<(), BlockError>) {
        match self.server.check(self.badge, BlockAction::Flush, 0, 0) {
            Ok(_) => self.add((flush(), None), Owner::Caller(reply)),
            Err(error) => drop(reply.answer(Err(error))),
        }
    }

    fn register(&mut self, memory: MemoryClient) -> Result<u64, BlockError> {
        let server = &mut *self.server;
        let most = server.geometry.max_memories;
        server.memories.may_add(self.badge, most)?;
        let (memory, length) = server.disk.register(memory)?;
        Ok(server.memories.add(self.badge, memory, length))
    }

    fn unregister(&mut self, memory: u64, reply: Reply<(), BlockError>) {
        match self.server.memories.find(self.badge, memory) {
            Ok((place, _)) => {
                let gone = self.server.memories.leave(place, Some(reply));
                self.server.forget(gone);
            }
            Err(error) => drop(reply.answer(Err(error))),
        }
    }

    fn read_at(
        &mut self,
        sector: u64,
        count: u64,
        memory: u64,
        offset: u64,
        reply: Reply<(), BlockError>,
    ) {
        let asked = InPlace {
            action: BlockAction::Read,
            sector,
            count,
            memory,
            offset,
        };
        self.call(asked, reply);
    }

    fn write_at(
        &mut self,
        sector: u64,
        count: u64,
        memory: u64,
        offset: u64,
        reply: Reply<(), BlockError>,
    ) {
        let asked = InPlace {
            action: BlockAction::Write,
            sector,
            count,
            memory,
            offset,
        };
        self.call(asked, reply);
    }

    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), BlockError> {
        self.server.submitters.name(self.badge, endpoint, signals);
        self.server.submitters.tell();
        Ok(())
    }

    fn submit(&mut self, request: BlockRequest) -> Result<(), BlockError> {
        let most = self.server.geometry.max_requests;
        self.server.submitters.may_submit(self.badge, most)?;
        let checked = self.in_place(InPlace {
            action: request.action,
            sector: request.sector,
            count: request.count,
            memory: request.memory,
            offset: request.offset,
        })?;
        self.server.submitters.submit(self.badge);
        self.add(checked, Owner::Submitter(self.badge, request.tag));
        self.server.more = request.more;
        Ok(())
    }

    fn collect(&mut self) -> Result<Completions, BlockError> {
        self.server.submitters.collect(self.badge)
    }

    fn partition(&mut self, number: u64) -> Result<Partition, BlockError> {
        let view = self.server.view(self.badge)?;
        let (view, kind, name) = match number {
            0 => (view, PartitionKind::Whole, ""),
            _ => {
                let mut partitions = self.partitions(view)?.iter();
                let found = partitions.find(|one| u64::from(one.number) >= number);
                let found = found.ok_or(BlockError::NoSuchPartition)?;
                (View::of(found), found.kind, found.name.as_str())
            }
        };
        let user = self.server.views.user(view.first, view.sectors);
        let (number, first) = match kind {
            PartitionKind::Whole => (0, 0),
            _ => (view.number, view.first),
        };
        Ok(Partition {
            number,
            first,
            sectors: view.sectors,
            kind,
            read_only: self.server.geometry.read_only,
            // A name has 36 characters of at most three bytes.
            name: Text::new(name).unwrap_or_default(),
            user: Text::new(user.unwrap_or_default()).unwrap_or_default(),
        })
    }

    fn open(&mut self, number: u64, access: BlockAccess) -> Result<BlockClient, BlockError> {
        let own = self.server.view(self.badge)?;
        let view = match number {
            0 => own,
            _ => {
                let mut partitions = self.partitions(own)?.iter();
                let found = partitions.find(|one| u64::from(one.number) == number);
                found.map(View::of).ok_or(BlockError::NoSuchPartition)?
            }
        };
        let is_read_only = self.server.geometry.read_only || own.access == BlockAccess::Read;
        if access != BlockAccess::Read && is_read_only {
            return Err(BlockError::ReadOnly);
        }
        let views = &mut self.server.views;
        let badge = views.open(self.badge, View { access, ..view })?;
        let mut rights = Rights::CALL | Rights::GRANT;
        rights.set(Rights::EXPORT, views.may_leave(badge));
        let minted = self.endpoint.mint(badge, rights.bits().into(), IN_FLIGHT);
        minted
            .map(|made| Capability::from(made).into())
            .map_err(|_| {
                self.server.views.closed(badge);
                BlockError::NoResources
            })
    }
}
