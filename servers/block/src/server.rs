//! The interface: who asks, and who is answered or told.

use crate::{
    bounce::Bounce,
    clients::{Leaving, Memories, Submitters},
    disk::{Disk, Transfer},
    queue::{Queue, Request},
};
use alloc::boxed::Box;
use libipc::{
    interfaces::block::{
        Block, BlockAction, BlockError, BlockRequest, Completions, Geometry, MAX_COPY, SECTOR,
    },
    objects::{EndpointClient, MemoryClient},
    server::{Event, LeaseId, Receiver, Reply},
    start::AnyError,
    time::Instant,
};

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
            queue: Queue::new(),
            taken: false,
            more: false,
        })
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
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
        for place in self.memories.of(badge) {
            let gone = self.memories.leave(place, None);
            self.forget(gone);
        }
    }

    /// Whether a request is possible at all.
    fn check(&self, action: BlockAction, sector: u64, count: u64) -> Result<(), BlockError> {
        if !self.queue.has_room() {
            return Err(BlockError::QueueFull);
        }
        if action == BlockAction::Flush {
            return Ok(());
        }
        if action == BlockAction::Write && self.geometry.read_only {
            return Err(BlockError::ReadOnly);
        }
        let end = sector.checked_add(count);
        if end.is_none_or(|end| end > self.geometry.sectors) {
            return Err(BlockError::OutOfRange);
        }
        match count {
            0 => Err(BlockError::BadLength),
            _ => Ok(()),
        }
    }
}

/// A request in place, as a client describes it.
struct InPlace {
    action: BlockAction,
    sector: u64,
    count: u64,
    memory: u64,
    offset: u64,
}

/// One call's view of the server: who calls.
struct Client<'s, D: Disk> {
    server: &'s mut Server<D>,
    badge: u64,
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
        self.server.check(action, sector, count)?;
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
            0 => self.server.check(action, sector, count as u64),
            _ => Err(BlockError::BadRange),
        };
        if let Err(error) = checked {
            reply.answer(Err(error));
            return;
        }
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
        Ok(self.server.geometry)
    }

    fn read(&mut self, sector: u64, into: LeaseId, reply: Reply<(), BlockError>) {
        self.lent(BlockAction::Read, sector, into, reply);
    }

    fn write(&mut self, sector: u64, from: LeaseId, reply: Reply<(), BlockError>) {
        self.lent(BlockAction::Write, sector, from, reply);
    }

    fn flush(&mut self, reply: Reply<(), BlockError>) {
        match self.server.check(BlockAction::Flush, 0, 0) {
            Ok(()) => self.add((flush(), None), Owner::Caller(reply)),
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
}
