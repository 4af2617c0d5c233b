//! What the file server does for a badge, without any system call.
//!
//! Badges below [`SERVER_BADGES`] are clients' own and stand for the root
//! directory; all others are in [`Sessions`]. Operations that open something
//! return the badge for which a capability is then to be made.

use crate::{
    namespace::{Namespace, Place},
    pipe::{CAPACITY, Pipe},
    quota::{Account, Accounts},
    session::{Opened, Session, Sessions},
    volume::{Change, Inlet, Outlet, Share},
};
use alloc::collections::BTreeMap;
use libipc::interfaces::{
    FileAccess, FileError, FileKind, Listing, Stat, StreamMode, Usage,
    clients::{ClientArgument, SERVER_BADGES},
    file::MAX_TRANSFER,
};
use tessera_stream::{WaitingRead, WaitingWrite};

/// Everything that the file server knows, over the calls that wait at pipes.
#[derive(Debug)]
pub struct Service<'a, R, W> {
    pub(crate) accounts: Accounts,
    clients: BTreeMap<u64, Account>,
    pub(crate) namespace: Namespace<'a>,
    pub(crate) sessions: Sessions,
    pub(crate) pipes: BTreeMap<u64, Pipe<R, W>>,
    pub(crate) next_pipe: u64,
}

impl<'a, R: WaitingRead, W: WaitingWrite> Service<'a, R, W> {
    /// Serves a tree to `clients`, who have accounts, and guests. `first_badge` is the
    /// first that no client can hold.
    pub fn new(
        namespace: Namespace<'a>,
        accounts: Accounts,
        clients: &[ClientArgument<'_>],
        first_badge: u64,
    ) -> Self {
        let clients = clients
            .iter()
            .filter_map(|client| Some((client.badge, accounts.find(client.name)?)))
            .collect();
        Service {
            accounts,
            clients,
            namespace,
            sessions: Sessions::new(first_badge),
            pipes: BTreeMap::new(),
            next_pipe: 0,
        }
    }

    /// Lets what is opened through these clients' badges leave the device.
    #[must_use]
    pub fn with_exports(mut self, badges: impl IntoIterator<Item = u64>) -> Self {
        for badge in badges {
            if let Some(account) = self.clients.get_mut(&badge) {
                *account = account.leaving(true);
            }
        }
        self
    }

    /// Whether what a badge stands for may leave the device.
    pub fn may_leave(&self, badge: u64) -> bool {
        self.session(badge)
            .is_ok_and(|session| session.payer.may_leave())
    }

    /// What a badge stands for, and who pays.
    pub(crate) fn session(&self, badge: u64) -> Result<Session, FileError> {
        if badge >= SERVER_BADGES {
            return self.sessions.get(badge).copied().ok_or(FileError::Stale);
        }
        let payer = self.clients.get(&badge).copied();
        Ok(Session {
            payer: payer.unwrap_or(Accounts::GUEST),
            opened: Opened::Directory(self.namespace.root(), FileAccess::ReadWrite),
        })
    }

    fn directory(&self, badge: u64) -> Result<(Place, FileAccess, Account), FileError> {
        let session = self.session(badge)?;
        match session.opened {
            Opened::Directory(place, access) => Ok((place, access, session.payer)),
            _ => Err(FileError::Stale),
        }
    }

    /// A directory that the badge may change.
    fn writable(&self, badge: u64) -> Result<(Place, Account), FileError> {
        match self.directory(badge)? {
            (place, FileAccess::ReadWrite, payer) => Ok((place, payer)),
            (_, FileAccess::Read, _) => Err(FileError::NotPermitted),
        }
    }

    fn file(&self, badge: u64) -> Result<(Place, FileAccess, Account), FileError> {
        let session = self.session(badge)?;
        match session.opened {
            Opened::File(place, access) => Ok((place, access, session.payer)),
            _ => Err(FileError::Stale),
        }
    }

    fn writable_file(&self, badge: u64) -> Result<(Place, Account), FileError> {
        match self.file(badge)? {
            (place, FileAccess::ReadWrite, payer) => Ok((place, payer)),
            (_, FileAccess::Read, _) => Err(FileError::NotPermitted),
        }
    }

    /// Begins a session for something in the tree.
    pub(crate) fn begin(&mut self, payer: Account, opened: Opened) -> Result<u64, FileError> {
        self.accounts.charge_open(payer)?;
        if let Some(place) = place(opened) {
            self.namespace.open(place);
        }
        Ok(self.sessions.begin(Session { payer, opened }))
    }

    /// The last capability with this badge is gone, or none could be made.
    pub fn closed(&mut self, badge: u64) {
        let Some(session) = self.sessions.end(badge) else {
            return;
        };
        self.accounts.refund_open(session.payer);
        if let Some(place) = place(session.opened) {
            self.namespace.close(place, &mut self.accounts);
        }
        let (Opened::PipeReader(number) | Opened::PipeWriter(number)) = session.opened else {
            return;
        };
        let Some(pipe) = self.pipes.get_mut(&number) else {
            return;
        };
        match session.opened {
            Opened::PipeReader(_) => pipe.close_reader(),
            _ => pipe.close_writer(),
        }
        if pipe.is_dead() {
            self.pipes.remove(&number);
            self.accounts.refund_bytes(session.payer, CAPACITY as u64);
        }
    }

    // Directory.

    /// What is known of the directory or file itself.
    pub fn stat(&self, badge: u64) -> Result<Stat, FileError> {
        match self.session(badge)?.opened {
            Opened::Directory(place, _) | Opened::File(place, _) => self.namespace.stat(place),
            _ => Err(FileError::Stale),
        }
    }

    /// What is known of a name.
    pub fn stat_name(&self, badge: u64, name: &str) -> Result<Stat, FileError> {
        let (directory, ..) = self.directory(badge)?;
        self.namespace.stat(self.namespace.lookup(directory, name)?)
    }

    /// Reads up to `length` bytes from the front of a file, and opens it to read unless
    /// that was all of it.
    pub fn open_read(
        &mut self,
        badge: u64,
        name: &str,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<(u64, Option<u64>), FileError> {
        let (directory, _, payer) = self.directory(badge)?;
        let file = self.namespace.lookup(directory, name)?;
        let volume = self.namespace.volume(file.volume);
        let Stat { kind, size, .. } = volume.stat(file.node)?;
        if kind == FileKind::Directory {
            return Err(FileError::IsDirectory);
        }
        let bytes = volume.read(file.node, 0, length.min(MAX_TRANSFER), outlet)?;
        if bytes == size {
            return Ok((bytes, None));
        }
        let opened = self.begin(payer, Opened::File(file, FileAccess::Read))?;
        Ok((bytes, Some(opened)))
    }

    /// Opens a file or a directory, whichever `kind` says.
    pub fn open(
        &mut self,
        badge: u64,
        name: &str,
        kind: FileKind,
        access: FileAccess,
    ) -> Result<u64, FileError> {
        let (directory, held, payer) = self.directory(badge)?;
        let place = self.namespace.lookup(directory, name)?;
        if access == FileAccess::ReadWrite && held == FileAccess::Read {
            return Err(FileError::NotPermitted);
        }
        match (kind, self.namespace.stat(place)?.kind) {
            (FileKind::File, FileKind::Directory) => return Err(FileError::IsDirectory),
            (FileKind::Directory, FileKind::File) => return Err(FileError::NotDirectory),
            (FileKind::Directory, FileKind::Directory) => {
                return self.begin(payer, Opened::Directory(place, access));
            }
            (FileKind::File, FileKind::File) => {}
        }
        let is_writable = self.namespace.volume(place.volume).is_writable();
        if access == FileAccess::ReadWrite && !is_writable {
            return Err(FileError::ReadOnly);
        }
        self.begin(payer, Opened::File(place, access))
    }

    /// Makes and opens a file or a directory, whichever `kind` says.
    pub fn create(
        &mut self,
        badge: u64,
        name: &str,
        kind: FileKind,
        now: u64,
    ) -> Result<u64, FileError> {
        let (directory, payer) = self.writable(badge)?;
        let change = Change {
            accounts: &mut self.accounts,
            payer,
            now,
        };
        let volume = self.namespace.volume_mut(directory.volume);
        let node = match kind {
            FileKind::File => volume.create_file(directory.node, name, change)?,
            FileKind::Directory => volume.create_directory(directory.node, name, change)?,
        };
        let place = Place { node, ..directory };
        let opened = match kind {
            FileKind::File => Opened::File(place, FileAccess::ReadWrite),
            FileKind::Directory => Opened::Directory(place, FileAccess::ReadWrite),
        };
        let begun = self.begin(payer, opened);
        if begun.is_err() {
            // A call that fails changes nothing.
            self.remove(badge, name, now)?;
        }
        begun
    }

    /// Removes a name.
    pub fn remove(&mut self, badge: u64, name: &str, now: u64) -> Result<(), FileError> {
        let (directory, payer) = self.writable(badge)?;
        let change = Change {
            accounts: &mut self.accounts,
            payer,
            now,
        };
        self.namespace
            .volume_mut(directory.volume)
            .remove(directory.node, name, change)
    }

    /// Moves a name into the directory of another badge.
    pub fn rename(
        &mut self,
        badge: u64,
        from: &str,
        into: u64,
        to: &str,
        now: u64,
    ) -> Result<(), FileError> {
        let (source, payer) = self.writable(badge)?;
        let (target, _) = self.writable(into)?;
        let change = Change {
            accounts: &mut self.accounts,
            payer,
            now,
        };
        self.namespace.rename((source, from), (target, to), change)
    }

    /// Fills `page` with entries.
    pub fn list(&self, badge: u64, cursor: u64, page: &mut [u8]) -> Result<Listing, FileError> {
        let (directory, ..) = self.directory(badge)?;
        let mut bytes = 0;
        let volume = self.namespace.volume(directory.volume);
        let next = volume.list(directory.node, cursor, &mut |entry| {
            let length = entry.emit(&mut page[bytes..]);
            bytes += length.unwrap_or(0);
            length.is_some()
        })?;
        if bytes == 0 && next != 0 {
            return Err(FileError::OutOfRange);
        }
        Ok(Listing {
            bytes: bytes as u64,
            next,
        })
    }

    /// A second session for a directory, with no more access.
    pub fn attenuate(&mut self, badge: u64, access: FileAccess) -> Result<u64, FileError> {
        let (directory, held, payer) = self.directory(badge)?;
        if access == FileAccess::ReadWrite && held == FileAccess::Read {
            return Err(FileError::NotPermitted);
        }
        self.begin(payer, Opened::Directory(directory, access))
    }

    /// A session for a client that the caller speaks for.
    pub fn attenuate_for(
        &mut self,
        badge: u64,
        client: &str,
        access: FileAccess,
        export: bool,
    ) -> Result<u64, FileError> {
        if badge >= SERVER_BADGES {
            return Err(FileError::NotPermitted);
        }
        let (directory, _, speaker) = self.directory(badge)?;
        let payer = self.accounts.behind(speaker, client);
        let payer = payer.leaving(export && speaker.may_leave());
        self.begin(payer, Opened::Directory(directory, access))
    }

    /// What who holds a badge is called.
    pub fn client(&self, badge: u64) -> Result<&str, FileError> {
        Ok(self.accounts.name(self.session(badge)?.payer))
    }

    /// Limits and use.
    pub fn usage(&self, badge: u64) -> Result<Usage, FileError> {
        let (directory, _, payer) = self.directory(badge)?;
        let usage = self.accounts.usage(payer);
        let owner = self.accounts.owner(payer);
        let volume = self.namespace.volume(directory.volume);
        let Some(space) = volume.space()? else {
            return Ok(usage);
        };
        let share = volume.share(owner).unwrap_or(Share {
            bytes: space.used,
            files: usage.client_files,
            bytes_limit: None,
            files_limit: Some(usage.client_files_limit),
        });
        // Whatever it may have, there is no more than what is free.
        let left = space.total.saturating_sub(space.used);
        let most = share.bytes.saturating_add(left);
        Ok(Usage {
            bytes: space.used,
            bytes_limit: space.total,
            client_bytes: share.bytes,
            client_bytes_limit: share.bytes_limit.map_or(most, |limit| limit.min(most)),
            client_files: share.files,
            client_files_limit: share.files_limit.unwrap_or(u64::MAX),
            ..usage
        })
    }

    /// The directory of another server that a name leads to, if it does and may
    /// be opened so.
    pub fn elsewhere(
        &self,
        badge: u64,
        name: &str,
        access: FileAccess,
    ) -> Result<Option<usize>, FileError> {
        let (directory, held, _) = self.directory(badge)?;
        let found = self.namespace.elsewhere(directory, name);
        if found.is_some() && access == FileAccess::ReadWrite && held == FileAccess::Read {
            return Err(FileError::NotPermitted);
        }
        Ok(found)
    }

    /// Everything in the directory's file system is as durable as it can be, or
    /// if it is the root of the tree, everything in any; whether it is.
    pub fn sync_all(&mut self, badge: u64) -> Result<bool, FileError> {
        let (directory, ..) = self.directory(badge)?;
        if directory != self.namespace.root() {
            self.namespace.volume_mut(directory.volume).rest()?;
            return Ok(false);
        }
        for volume in self.namespace.volumes_mut() {
            volume.rest()?;
        }
        Ok(true)
    }

    /// Whether nothing would be lost if the power failed now.
    pub fn is_settled(&self) -> bool {
        self.namespace.is_settled()
    }

    /// Makes it so. What cannot be made durable now is told to who syncs it.
    pub fn settle(&mut self) {
        for volume in self.namespace.volumes_mut() {
            let _ = volume.settle();
        }
    }

    // File.

    /// Reads up to `length` bytes of a file.
    pub fn read_at(
        &self,
        badge: u64,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let (file, ..) = self.file(badge)?;
        self.namespace.volume(file.volume).read(
            file.node,
            position,
            length.min(MAX_TRANSFER),
            outlet,
        )
    }

    /// Writes up to `length` bytes of a file, at its end if there is no
    /// position.
    pub fn write_at(
        &mut self,
        badge: u64,
        position: Option<u64>,
        length: u64,
        inlet: &mut Inlet<'_>,
        now: u64,
    ) -> Result<u64, FileError> {
        let (file, payer) = self.writable_file(badge)?;
        let position = match position {
            Some(position) => position,
            None => self.namespace.stat(file)?.size,
        };
        self.write(file, payer, position, length, inlet, now)
    }

    /// Cuts or extends a file.
    pub fn set_size(&mut self, badge: u64, size: u64, now: u64) -> Result<(), FileError> {
        let (file, payer) = self.writable_file(badge)?;
        let change = Change {
            accounts: &mut self.accounts,
            payer,
            now,
        };
        self.namespace
            .volume_mut(file.volume)
            .set_size(file.node, size, change)
    }

    /// What was written to the file is as durable as it can be.
    pub fn sync(&mut self, badge: u64) -> Result<(), FileError> {
        let (file, ..) = self.file(badge)?;
        self.namespace.volume_mut(file.volume).sync(file.node)
    }

    /// Opens a stream over a file.
    pub fn stream(
        &mut self,
        badge: u64,
        mode: StreamMode,
        position: u64,
    ) -> Result<u64, FileError> {
        let (file, access, payer) = self.file(badge)?;
        if mode != StreamMode::Read && access == FileAccess::Read {
            return Err(FileError::NotPermitted);
        }
        self.begin(payer, Opened::Stream(file, mode, position))
    }

    pub(crate) fn write(
        &mut self,
        file: Place,
        payer: Account,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
        now: u64,
    ) -> Result<u64, FileError> {
        let change = Change {
            accounts: &mut self.accounts,
            payer,
            now,
        };
        self.namespace.volume_mut(file.volume).write(
            file.node,
            position,
            length.min(MAX_TRANSFER),
            inlet,
            change,
        )
    }
}

/// The node that a session keeps alive.
fn place(opened: Opened) -> Option<Place> {
    match opened {
        Opened::Directory(place, _) | Opened::File(place, _) | Opened::Stream(place, ..) => {
            Some(place)
        }
        Opened::PipeReader(_) | Opened::PipeWriter(_) => None,
    }
}
