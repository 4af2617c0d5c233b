//! The interfaces: capabilities in and out, leases, the clock.

use crate::service::Service;
use alloc::{vec, vec::Vec};
use core::time::Duration;
use libipc::{
    CallError, Capability, Lease, LeaseFault, LeaseMut, Text,
    handle::Rights,
    interfaces::{
        ClockClient, Directory, DirectoryClient, File, FileAccess, FileClient, FileError, FileKind,
        Listing, Name, Pipes, Stat, Stream, StreamClient, StreamError, StreamKind, StreamMode,
        Usage, clock::WallTime,
    },
    objects::EndpointClient,
    server::{Event, LeaseId, Message, Receiver, Reply},
    status::{Cause, TransportError},
    task,
    time::{self, Instant},
};
use tessera_stream::{StreamRead, StreamWrite};

/// How long what was written may wait until it is made durable.
const LATEST: Duration = Duration::from_secs(5);

/// How long the clock may hold up the server, once.
const PATIENCE: Duration = Duration::from_secs(1);

/// What may be done with a capability for something that is open.
const CLIENT: Rights = Rights::CALL.union(Rights::GRANT);

/// Calls through it at one time.
const IN_FLIGHT: u64 = 16;

/// Bytes of entries in one page of a listing.
const PAGE: usize = 4096;

/// The service behind its endpoint.
pub struct Server<'e> {
    endpoint: &'e EndpointClient,
    service: Service<'static, StreamRead, StreamWrite>,
    /// Directories of other servers, by their numbers in the tree.
    elsewhere: Vec<DirectoryClient>,
    clock: Clock,
}

/// What time it is outside.
enum Clock {
    /// To be asked when it is first needed.
    Unasked(ClockClient),
    /// What is to be added to the time since boot.
    Known(Duration),
}

impl Clock {
    /// Nanoseconds since 1970, or since boot if nobody knows more.
    fn now(&mut self) -> u64 {
        if let Clock::Unasked(client) = self {
            let told = client.now();
            let since = |wall: WallTime| {
                Duration::from_nanos(wall.nanoseconds).checked_sub(time::from_ticks(wall.ticks))
            };
            *self = Clock::Known(told.ok().and_then(since).unwrap_or_default());
        }
        let Clock::Known(start) = self else { return 0 };
        let now = *start + time::from_ticks(Instant::now().ticks());
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<'e> Server<'e> {
    /// Serves `service` at `endpoint`, which must have `RECEIVE`.
    pub fn new(
        endpoint: &'e EndpointClient,
        service: Service<'static, StreamRead, StreamWrite>,
        elsewhere: Vec<DirectoryClient>,
    ) -> Self {
        Server {
            endpoint,
            service,
            elsewhere,
            clock: Clock::Known(Duration::ZERO),
        }
    }

    /// Lets it date files by this clock.
    pub fn with_clock(mut self, clock: Option<ClockClient>) -> Self {
        if let Some(clock) = clock {
            self.clock = Clock::Unasked(clock.with_timeout(PATIENCE));
        }
        self
    }

    fn now(&mut self) -> u64 {
        self.clock.now()
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self) -> TransportError {
        let mut receiver = Receiver::new(self.endpoint);
        // When what was written first and is not durable yet is to be so.
        let mut due = None;
        loop {
            match receiver.wait(due.unwrap_or(Instant::FOREVER)) {
                Ok(Event::Message(message)) => self.message(message),
                Ok(Event::Closed(badge)) => self.service.closed(badge),
                Ok(Event::Signals(_)) => {}
                Err(error) if error.cause == Cause::TimedOut => {}
                Err(error) => return error,
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                self.service.settle();
                due = None;
            }
            due = match self.service.is_settled() {
                true => None,
                false => due.or_else(|| Some(Instant::now() + LATEST)),
            };
        }
    }

    fn message(&mut self, message: Message<'_, '_>) {
        let badge = message.badge();
        let mut session = Session {
            server: self,
            badge,
        };
        if message.is::<dyn File>() {
            message.dispatch::<dyn File>(&mut session);
        } else if message.is::<dyn Stream>() {
            message.dispatch::<dyn Stream>(&mut session);
        } else if message.is::<dyn Directory>() {
            message.dispatch::<dyn Directory>(&mut session);
        } else if message.is::<dyn Pipes>() {
            message.dispatch::<dyn Pipes>(&mut session);
        } else {
            message.refuse();
        }
    }

    /// A capability for a badge that the service has just begun.
    fn mint<C: From<Capability>>(&mut self, badge: u64) -> Result<C, FileError> {
        let rights = match self.service.may_leave(badge) {
            true => CLIENT | Rights::EXPORT,
            false => CLIENT,
        };
        let minted = self.endpoint.mint(badge, rights.bits().into(), IN_FLIGHT);
        match minted {
            Ok(minted) => Ok(Capability::from(minted).into()),
            Err(_) => {
                self.service.closed(badge);
                Err(FileError::NoResources)
            }
        }
    }

    /// The badge of a capability for this very endpoint.
    fn badge_of(&self, client: &impl AsRef<Capability>) -> Result<u64, FileError> {
        let index = client.as_ref().handle().index();
        let held = task().capability(index.into());
        let own = self.endpoint.info();
        match (held, own) {
            (Ok(held), Ok(own)) if held.object == own.id => Ok(held.badge),
            _ => Err(FileError::OtherFileSystem),
        }
    }
}

/// One call's view of the server: who calls.
struct Session<'s, 'e> {
    server: &'s mut Server<'e>,
    badge: u64,
}

impl Directory for Session<'_, '_> {
    fn stat(&mut self) -> Result<Stat, FileError> {
        self.server.service.stat(self.badge)
    }

    fn stat_name(&mut self, name: Name) -> Result<Stat, FileError> {
        let name = name.as_str();
        if let Some(other) = self.elsewhere(name, FileAccess::Read)? {
            return other.stat().map_err(told);
        }
        self.server.service.stat_name(self.badge, name)
    }

    fn open(&mut self, name: Name, access: FileAccess) -> Result<FileClient, FileError> {
        let name = name.as_str();
        let service = &mut self.server.service;
        let opened = service.open(self.badge, name, FileKind::File, access);
        self.server.mint(opened.map_err(directory_elsewhere)?)
    }

    fn open_read(
        &mut self,
        name: Name,
        into: LeaseMut,
    ) -> Result<(u64, Option<FileClient>), FileError> {
        let length = into.len() as u64;
        let service = &mut self.server.service;
        let read = service.open_read(self.badge, name.as_str(), length, &mut outlet(&into));
        match read.map_err(directory_elsewhere)? {
            (bytes, None) => Ok((bytes, None)),
            (bytes, Some(opened)) => Ok((bytes, Some(self.server.mint(opened)?))),
        }
    }

    fn open_directory(
        &mut self,
        name: Name,
        access: FileAccess,
    ) -> Result<DirectoryClient, FileError> {
        let name = name.as_str();
        if let Some(other) = self.elsewhere(name, access)? {
            let client = Text::new(self.server.service.client(self.badge)?);
            let client = client.ok_or(FileError::BadName)?;
            let export = self.server.service.may_leave(self.badge);
            return other.attenuate_for(client, access, export).map_err(told);
        }
        let service = &mut self.server.service;
        let opened = service.open(self.badge, name, FileKind::Directory, access)?;
        self.server.mint(opened)
    }

    fn create(&mut self, name: Name) -> Result<FileClient, FileError> {
        let now = self.server.now();
        let service = &mut self.server.service;
        let opened = service.create(self.badge, name.as_str(), FileKind::File, now)?;
        self.server.mint(opened)
    }

    fn create_directory(&mut self, name: Name) -> Result<DirectoryClient, FileError> {
        let now = self.server.now();
        let service = &mut self.server.service;
        let opened = service.create(self.badge, name.as_str(), FileKind::Directory, now)?;
        self.server.mint(opened)
    }

    fn remove(&mut self, name: Name) -> Result<(), FileError> {
        let now = self.server.now();
        let service = &mut self.server.service;
        service.remove(self.badge, name.as_str(), now)
    }

    fn rename(&mut self, from: Name, into: &DirectoryClient, to: Name) -> Result<(), FileError> {
        let into = self.server.badge_of(into)?;
        let now = self.server.now();
        let service = &mut self.server.service;
        service.rename(self.badge, from.as_str(), into, to.as_str(), now)
    }

    fn list(&mut self, cursor: u64, into: LeaseMut) -> Result<Listing, FileError> {
        let mut page = vec![0; into.len().min(PAGE)];
        let listing = self.server.service.list(self.badge, cursor, &mut page)?;
        let bytes = &page[..listing.bytes as usize];
        into.write_at(0, bytes).map_err(bad_memory)?;
        Ok(listing)
    }

    fn attenuate(&mut self, access: FileAccess) -> Result<DirectoryClient, FileError> {
        let opened = self.server.service.attenuate(self.badge, access)?;
        self.server.mint(opened)
    }

    fn attenuate_for(
        &mut self,
        client: Name,
        access: FileAccess,
        export: bool,
    ) -> Result<DirectoryClient, FileError> {
        let service = &mut self.server.service;
        let opened = service.attenuate_for(self.badge, client.as_str(), access, export)?;
        self.server.mint(opened)
    }

    fn usage(&mut self) -> Result<Usage, FileError> {
        self.server.service.usage(self.badge)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        let is_all = self.server.service.sync_all(self.badge)?;
        let below = self.server.elsewhere.iter().filter(|_| is_all);
        // All are asked, whatever one of them says.
        let told = below.map(|other| match other.sync().map_err(told) {
            // Nothing is there that could be lost.
            Err(FileError::NoDevice) => Ok(()),
            synced => synced,
        });
        told.fold(Ok(()), Result::and)
    }
}

impl File for Session<'_, '_> {
    fn read_at(&mut self, position: u64, into: LeaseMut) -> Result<u64, FileError> {
        let length = into.len() as u64;
        let service = &self.server.service;
        service.read_at(self.badge, position, length, &mut outlet(&into))
    }

    fn write_at(&mut self, position: u64, from: Lease) -> Result<u64, FileError> {
        self.write(Some(position), &from)
    }

    fn append(&mut self, from: Lease) -> Result<u64, FileError> {
        self.write(None, &from)
    }

    fn size(&mut self) -> Result<u64, FileError> {
        File::stat(self).map(|stat| stat.size)
    }

    fn set_size(&mut self, size: u64) -> Result<(), FileError> {
        let now = self.server.now();
        self.server.service.set_size(self.badge, size, now)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.server.service.sync(self.badge)
    }

    fn stat(&mut self) -> Result<Stat, FileError> {
        self.server.service.stat(self.badge)
    }

    fn stream(&mut self, mode: StreamMode, position: u64) -> Result<StreamClient, FileError> {
        let opened = self.server.service.stream(self.badge, mode, position)?;
        self.server.mint(opened)
    }
}

impl Session<'_, '_> {
    /// The directory of another server that a name leads to, if it does.
    fn elsewhere(
        &self,
        name: &str,
        access: FileAccess,
    ) -> Result<Option<&DirectoryClient>, FileError> {
        let Server {
            service, elsewhere, ..
        } = &*self.server;
        let number = service.elsewhere(self.badge, name, access)?;
        Ok(number.and_then(|number| elsewhere.get(number)))
    }

    fn write(&mut self, position: Option<u64>, from: &Lease<'_>) -> Result<u64, FileError> {
        let length = from.len() as u64;
        let mut inlet = |offset: u64, into: &mut [u8]| {
            let copied = from.read_at(offset as usize, into);
            copied.map_err(bad_memory)
        };
        let now = self.server.now();
        let service = &mut self.server.service;
        service.write_at(self.badge, position, length, &mut inlet, now)
    }
}

impl Stream for Session<'_, '_> {
    fn read(&mut self, into: LeaseId, reply: Reply<u64, StreamError>) {
        let read = StreamRead::new(into, reply);
        self.server.service.stream_read(self.badge, read);
    }

    fn write(&mut self, from: LeaseId, reply: Reply<u64, StreamError>) {
        let write = StreamWrite::new(from, reply);
        let now = self.server.now();
        self.server.service.stream_write(self.badge, write, now);
    }

    fn kind(&mut self) -> Result<StreamKind, StreamError> {
        self.server.service.stream_kind(self.badge)
    }
}

impl Pipes for Session<'_, '_> {
    fn pipe(&mut self) -> Result<(StreamClient, StreamClient), FileError> {
        let (reader, writer) = self.server.service.pipe(self.badge)?;
        let reading = self.server.mint(reader);
        let writing = self.server.mint(writer);
        // An end that was made is closed when it is dropped here.
        Ok((reading?, writing?))
    }
}

/// What another server said, or why it did not.
fn told(error: CallError<FileError>) -> FileError {
    match error {
        CallError::Server(error) => error,
        CallError::Transport(error) if error.is_closed() => FileError::NoDevice,
        CallError::Transport(_) => FileError::DeviceFailed,
    }
}

/// What a name of another server is to who wants a file.
fn directory_elsewhere(error: FileError) -> FileError {
    match error {
        FileError::OtherFileSystem => FileError::IsDirectory,
        error => error,
    }
}

/// Where bytes go that are read.
fn outlet(into: &LeaseMut<'_>) -> impl FnMut(u64, &[u8]) -> Result<(), FileError> {
    |offset, bytes| {
        let copied = into.write_at(offset as usize, bytes);
        copied.map_err(bad_memory)
    }
}

fn bad_memory(_: LeaseFault) -> FileError {
    FileError::BadMemory
}
