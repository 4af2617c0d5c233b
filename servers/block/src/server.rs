//! The disk, its clients and their requests: what runs, and who is answered or told.

mod client;

use crate::{
    bounce::Bounce,
    clients::{Leaving, Memories, Submitters},
    disk::{Disk, Transfer},
    partitions::{self, Partition, TableError},
    queue::Queue,
    views::{View, Views},
};
use alloc::{boxed::Box, vec::Vec};
use client::Client;
use core::time::Duration;
use libipc::{
    interfaces::{
        block::{Block, BlockAccess, BlockAction, BlockError, Geometry, SECTOR},
        clients::{ClientArgument, ExportArgument, PartitionArgument, sessions},
    },
    objects::EndpointClient,
    server::{Event, LeaseId, Receiver, Reply},
    start::AnyError,
    time::{self, Instant},
};

/// How often a sector of the partition table is read before it counts as unreadable.
const ATTEMPTS: usize = 3;

/// How long a disk may take to read its own table, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_micros(100);

/// Who is to get the result of a request.
#[derive(Debug)]
enum Owner {
    /// Whoever waits for this answer.
    Caller(Reply<(), BlockError>),
    /// The same, and the bytes pass through the bounce memory.
    Lender(Box<Lender>),
    /// The client with this badge, who knows the request by this tag.
    Submitter(u64, u32),
}

/// Who lent memory for a request.
#[derive(Debug)]
struct Lender {
    reply: Reply<(), BlockError>,
    lease: LeaseId,
    /// Where in the bounce memory, once it has a place.
    place: Option<usize>,
}

/// A disk, its clients and their requests.
pub struct Server<D: Disk> {
    disk: D,
    geometry: Geometry,
    bounce: Bounce<D::Memory>,
    memories: Memories<D::Memory>,
    submitters: Submitters,
    views: Views,
    /// The partitions that the disk had in the beginning.
    table: Result<Vec<Partition>, TableError>,
    queue: Queue<Owner>,
    /// The disk has taken requests and not begun them.
    taken: bool,
    /// The last request announced another one.
    more: bool,
}

impl<D: Disk> Server<D> {
    /// Serves this disk.
    pub fn new(mut disk: D) -> Result<Self, BlockError> {
        Ok(Server {
            geometry: disk.geometry(),
            bounce: Bounce::new(&mut disk)?,
            disk,
            // No predecessor can have come so far.
            memories: Memories::new(Instant::now().ticks()),
            submitters: Submitters::default(),
            views: Views::default(),
            table: Err(TableError::None),
            queue: Queue::new(),
            taken: false,
            more: false,
        })
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Reads the partition table and learns who the clients are: names, and partitions
    /// of those that see no more, by name or number, and whose capabilities may leave the
    /// device. Nothing is under way yet. An error
    /// if the disk itself fails; if the table does, or has no such partition, these
    /// clients see nothing.
    pub fn prepare(
        &mut self,
        endpoint: &EndpointClient,
        clients: &[ClientArgument<'_>],
        restricted: &[PartitionArgument<'_>],
        leaving: &[ExportArgument],
    ) -> Result<&Result<Vec<Partition>, TableError>, AnyError> {
        let mut failed = None;
        let geometry = self.geometry;
        self.table = partitions::read(&geometry, |sector, into| {
            // A read that fails once is no reason to have no partitions from now on.
            let mut tried = (0..ATTEMPTS).map(|_| {
                self.read_first(sector, into).unwrap_or_else(|error| {
                    failed = Some(error);
                    Err(BlockError::Io)
                })
            });
            tried.find(Result::is_ok).unwrap_or(Err(BlockError::Io))
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let partitions = self.table.as_deref().unwrap_or_default();
        for client in clients {
            self.views.name(client.badge, client.name);
        }
        for one in leaving {
            self.views.let_leave(one.badge);
        }
        for one in restricted {
            let found = partitions::find(partitions, one.partition);
            self.views.restrict(one.badge, found.map(View::of));
        }
        let badges = sessions(endpoint).map(|session| session.badge);
        let whole = View::whole(geometry.sectors);
        self.views.recover(badges, |number| match number {
            0 => Some(whole),
            number => partitions
                .iter()
                .find(|one| u64::from(one.number) == number)
                .map(View::of),
        });
        Ok(&self.table)
    }

    /// Reads sectors before anybody is served, and so waits for nothing but the disk.
    fn read_first(
        &mut self,
        sector: u64,
        into: &mut [u8],
    ) -> Result<Result<(), BlockError>, AnyError> {
        let transfer = Transfer {
            action: BlockAction::Read,
            sector,
            count: (into.len() / SECTOR) as u64,
            offset: 0,
        };
        let none = || AnyError::new("the disk does not read its own table");
        if !self.disk.take(0, transfer, Some(&self.bounce.memory)) {
            return Err(none());
        }
        self.disk.begin()?;
        let deadline = Instant::after(PATIENCE);
        let (_, result) = loop {
            // Its signal stays where it is until somebody receives.
            match self.disk.ended() {
                Some(ended) => break ended,
                None if deadline.passed() => return Err(none()),
                None => time::sleep(PAUSE),
            }
        };
        if result.is_ok() {
            self.bounce.mapping.copy_out(0, into).ok_or_else(none)?;
        }
        Ok(result)
    }

    /// Serves until the endpoint ends or the disk fails, and returns why. Signals mean
    /// that the disk has something to say, and the end of the session with the badge
    /// `device` that whoever signals is gone.
    pub fn run(&mut self, endpoint: &EndpointClient, device: Option<u64>) -> AnyError {
        let mut receiver = Receiver::new(endpoint);
        loop {
            let event = receiver.next();
            self.more = false;
            let mut signalled = false;
            match event {
                Ok(Event::Message(message)) => {
                    let badge = message.badge();
                    let mut client = Client {
                        server: self,
                        badge,
                        endpoint,
                    };
                    message.dispatch::<dyn Block>(&mut client);
                }
                Ok(Event::Signals(_)) => signalled = true,
                Ok(Event::Closed(badge)) if Some(badge) == device => {
                    return AnyError::new("the device's proxy is gone");
                }
                Ok(Event::Closed(badge)) => self.closed(badge),
                Err(error) => return error.into(),
            }
            let went_on = if signalled {
                self.ended()
            } else {
                self.begin()
            };
            if let Err(error) = went_on {
                return error;
            }
        }
    }

    /// Answers what has ended, and begins what waited for that.
    fn ended(&mut self) -> Result<(), AnyError> {
        let mut any = false;
        while let Some((number, result)) = self.disk.ended() {
            self.end(number, result);
            any = true;
        }
        self.submitters.tell();
        // A disk that signals for nothing may not be able to go on, and says so here.
        self.taken |= !any;
        self.begin()
    }

    /// Begins what can begin.
    fn begin(&mut self) -> Result<(), AnyError> {
        while self.take_next() {
            self.taken = true;
        }
        if self.taken && !self.more {
            self.taken = false;
            if self.disk.begin()? {
                return self.ended();
            }
        }
        Ok(())
    }

    /// Gives the disk the next request. Whether there was one that it took.
    fn take_next(&mut self) -> bool {
        let (disk, bounce, memories) = (&mut self.disk, &mut self.bounce, &self.memories);
        let mut fault = None;
        let taken = self.queue.begin(|number, request| {
            let Owner::Lender(lender) = &mut request.owner else {
                let memory = request.memory.and_then(|place| memories.at(place));
                return disk.take(number, request.transfer, memory);
            };
            let Some(own) = lender.place.or_else(|| bounce.take()) else {
                return false;
            };
            lender.place = Some(own);
            let lease = lender.reply.lease(lender.lease);
            request.transfer.offset = own as u64;
            if request.transfer.action == BlockAction::Write
                && lease.read_into(&bounce.mapping, own).is_err()
            {
                fault = Some(number);
                return true;
            }
            disk.take(number, request.transfer, Some(&bounce.memory))
        });
        if let Some(number) = fault {
            self.end(number, Err(BlockError::BadMemory));
        }
        taken
    }

    /// A request has ended.
    fn end(&mut self, number: usize, result: Result<(), BlockError>) {
        let Some(request) = self.queue.end(number) else {
            return;
        };
        if let Some(place) = request.memory {
            let gone = self.memories.end_use(place);
            self.forget(gone);
        }
        match request.owner {
            // Who no longer waits need not be told.
            Owner::Caller(reply) => drop(reply.answer(result)),
            Owner::Submitter(badge, tag) => self.submitters.end(badge, tag, result),
            Owner::Lender(lender) => {
                let mut result = result;
                if let Some(place) = lender.place {
                    if result.is_ok() && request.transfer.action == BlockAction::Read {
                        let into = lender.reply.lease_mut(lender.lease);
                        let copied = into.and_then(|l| l.write_from(&self.bounce.mapping, place));
                        result = copied.map_err(|_| BlockError::BadMemory);
                    }
                    self.bounce.give(place);
                }
                lender.reply.answer(result);
            }
        }
    }

    /// Memory that nobody uses any more.
    fn forget(&mut self, gone: Option<(D::Memory, Option<Leaving>)>) {
        if let Some((memory, told)) = gone {
            self.disk.unregister(memory);
            told.map(|reply| reply.answer(Ok(())));
        }
    }

    /// A client is gone. What it began goes on to its end.
    fn closed(&mut self, badge: u64) {
        self.submitters.closed(badge);
        self.views.closed(badge);
        for place in self.memories.of(badge) {
            let gone = self.memories.leave(place, None);
            self.forget(gone);
        }
    }

    /// Whether a request of this client is possible at all, and the sector of the disk
    /// that it begins with.
    fn check(
        &self,
        badge: u64,
        action: BlockAction,
        sector: u64,
        count: u64,
    ) -> Result<u64, BlockError> {
        let view = self.view(badge)?;
        if !self.queue.has_room() {
            return Err(BlockError::QueueFull);
        }
        if action == BlockAction::Flush {
            return Ok(0);
        }
        let is_written = action == BlockAction::Write;
        if is_written && (self.geometry.read_only || view.access == BlockAccess::Read) {
            return Err(BlockError::ReadOnly);
        }
        let end = sector.checked_add(count);
        if end.is_none_or(|end| end > view.sectors) {
            return Err(BlockError::OutOfRange);
        }
        let first = view.first + sector;
        if is_written && !self.views.may_write(badge, first, count) {
            return Err(BlockError::InUse);
        }
        match count {
            0 => Err(BlockError::BadLength),
            _ => Ok(first),
        }
    }

    /// What a client sees of the disk.
    fn view(&self, badge: u64) -> Result<View, BlockError> {
        self.views.of(badge, View::whole(self.geometry.sectors))
    }
}
