//! File systems of disks that the shell holds: each served by a program of its own, which
//! gets that disk and nothing else, and seen in the place of a directory.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use libipc::handle::Rights;
use libipc::interfaces::block::{BlockAccess, BlockClient};
use libipc::interfaces::bus::BusName;
use libipc::interfaces::clients::{ClientArgument, ExportArgument, MountArgument};
use libipc::interfaces::supervisor::{CapabilityName, Limits, ProgramClient, ProgramName};
use libipc::interfaces::{BusClient, DirectoryClient, FileAccess, FileError};
use libipc::wire::ErrorCode;
use libipc::{CallError, Capability, start, task, time};
use tessera_tools::IoError;
use tessera_tools::disk::content;
use tessera_tools::native::{NativeDisk, file_error};

use super::World;
use super::events::failed;
use crate::execute::bus::in_words;
use crate::execute::{Host, Mount, Mounted};

/// The shell's badge there: it is the only client.
const OWN: u64 = 1;

/// What a server of a file system may use.
const LIMITS: Limits = Limits {
    quota: 12 << 20,
    heap: 4 << 20,
    stack: 64 << 10,
};

/// Calls of the shell that may be under way there.
const IN_FLIGHT: u64 = 16;

/// What a server may do with the endpoint that it serves.
const SERVER: Rights = Rights::RECEIVE
    .union(Rights::CALL)
    .union(Rights::SIGNAL)
    .union(Rights::GRANT)
    .union(Rights::EXPORT);

/// How long a server may take to begin, with a journal to replay, and to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(10);

/// Opens a service of another device.
pub(super) fn open_remote(
    bus: &BusClient,
    device: &str,
    service: BusName,
) -> Result<Capability, IoError> {
    let device = bus.find(device).map_err(in_words)?;
    bus.open(device.id, service, 0, &[]).map_err(in_words)
}

/// A file system that is mounted.
pub(super) struct Volume {
    about: Mounted,
    pub(super) root: DirectoryClient,
    /// Who serves it, if that was started for it.
    server: Option<ProgramClient>,
}

impl Volume {
    /// What it is.
    pub(super) fn about(&self) -> Mounted {
        let ended = self.root.stat().is_err_and(|error| is_gone(&error));
        Mounted {
            ended,
            ..self.about.clone()
        }
    }

    /// The directory in whose place it is seen.
    pub(super) fn directory(&self) -> &str {
        &self.about.directory
    }
}

impl World {
    pub(super) fn mount_disk(&mut self, asked: &Mount) -> Result<(), IoError> {
        let directory = asked.directory.as_str();
        let may_mount = self.files()?.may_mount(directory);
        may_mount.map_err(|error| IoError::Failed(format!("{directory}: {error}")))?;
        let access = match asked.read_only {
            true => BlockAccess::Read,
            false => BlockAccess::Exclusive,
        };
        if !self.is_here(&asked.disk) && self.open_disk(&asked.disk, BlockAccess::Read).is_ok() {
            let text = "what is on another device's disk is mounted there, and lent as files";
            return Err(IoError::Failed(text.into()));
        }
        let mut disk = NativeDisk(self.open_disk(&asked.disk, access)?);
        let kind = match &asked.kind {
            Some(kind) => kind.clone(),
            None => {
                let found = content(&mut disk, 0)?.ok_or_else(unknown_content)?;
                found.program().to_string()
            }
        };
        let (root, server) = self.serve_disk(&kind, disk.0, directory)?;
        let about = Mounted {
            disk: asked.disk.clone(),
            directory: directory.into(),
            kind,
            read_only: asked.read_only,
            ended: false,
        };
        self.files()?.mounts.push(Volume {
            about,
            root,
            server: Some(server),
        });
        Ok(())
    }

    /// Shows what another device lends in the place of a directory.
    pub(super) fn mount_remote(
        &mut self,
        asked: &Mount,
        device: &str,
        service: BusName,
    ) -> Result<(), IoError> {
        let directory = asked.directory.as_str();
        let may_mount = self.files()?.may_mount(directory);
        may_mount.map_err(|error| IoError::Failed(format!("{directory}: {error}")))?;
        let (device, read_only) = (device.to_string(), asked.read_only);
        let root = self.ask_bus(move |bus| {
            let root: DirectoryClient = open_remote(bus, &device, service)?.into();
            let root = root.with_timeout(PATIENCE);
            let root = match read_only {
                true => root.attenuate(FileAccess::Read).map_err(file_error)?,
                false => root,
            };
            // Its owner may be asked now.
            root.stat().map_err(file_error)?;
            Ok(root)
        })?;
        let about = Mounted {
            disk: asked.disk.clone(),
            directory: directory.into(),
            kind: "remote".into(),
            read_only: asked.read_only,
            ended: false,
        };
        self.files()?.mounts.push(Volume {
            about,
            root,
            server: None,
        });
        Ok(())
    }

    /// Starts the server of a disk, and waits until it serves.
    fn serve_disk(
        &mut self,
        kind: &str,
        disk: BlockClient,
        directory: &str,
    ) -> Result<(DirectoryClient, ProgramClient), IoError> {
        let power = self.start.as_ref().ok_or(IoError::Missing("start"))?;
        let no_server = || IoError::Failed(format!("there is no program `{kind}` to serve it"));
        let name = ProgramName::new(kind).ok_or_else(no_server)?;
        let server = power.load(name, LIMITS).map_err(failed)?;
        let (root, served) = endpoint()?;
        for (name, capability) in [(start::SERVED, served), (start::DISK, disk.into())] {
            let name = CapabilityName::new(name).unwrap_or_default();
            server.give(name, capability).map_err(failed)?;
        }
        for useful in ["clock", "log"] {
            let name = CapabilityName::new(useful).unwrap_or_default();
            // Without a clock it dates from boot on; without a log it is silent.
            let _ = server.grant(name);
        }
        let client = ClientArgument {
            badge: OWN,
            name: "shell",
        };
        let place = MountArgument { path: directory };
        // What is mounted may be lent to other devices.
        let export = ExportArgument { badge: OWN };
        let arguments = format!("{client}\0{place}\0{export}\0");
        server.arguments(arguments.as_bytes()).map_err(failed)?;
        server.run().map_err(failed)?;
        let root = root.with_timeout(PATIENCE);
        match root.stat() {
            Ok(_) => Ok((root, server)),
            Err(error) if is_gone(&error) => Err(why(&server)),
            Err(error) => {
                // What does not begin is not to go on.
                let _ = server.kill();
                Err(file_error(error))
            }
        }
    }

    /// Makes what is mounted at a directory durable, and ends its server.
    pub(super) fn unmount_disk(&mut self, directory: &str, force: bool) -> Result<(), IoError> {
        let files = self.files.as_mut().ok_or(IoError::NoFiles)?;
        let mounts = &mut files.mounts;
        let found = mounts.iter().rposition(|one| one.directory() == directory);
        let place = found.ok_or(IoError::NotFound)?;
        let volume = &mounts[place];
        let Some(server) = &volume.server else {
            // What is lent needs no rest: its owner has it.
            mounts.remove(place);
            return Ok(());
        };
        match rest(&volume.root, force) {
            Err(_) if force => {}
            Err(CallError::Transport(error)) if error.is_closed() => {}
            other => other.map_err(file_error)?.map_err(IoError::Failed)?,
        }
        // One that has ended needs no end.
        let _ = server.kill();
        let about = mounts.remove(place).about;
        self.wait_until_free(&about);
        Ok(())
    }

    /// Ends all that is mounted, the last first.
    pub(super) fn unmount_all(&mut self) {
        while let Some(last) = self.files.as_ref().and_then(|files| files.mounts.last()) {
            let directory = last.directory().to_string();
            let _ = self.unmount_disk(&directory, true);
        }
    }

    /// Waits until the disk knows that its server is gone.
    fn wait_until_free(&mut self, about: &Mounted) {
        let deadline = time::Instant::after(PATIENCE);
        let is_free = |world: &mut World| {
            let opened = world.open_disk(&about.disk, BlockAccess::ReadWrite);
            !matches!(opened, Err(error) if error == super::disks::in_use())
        };
        while !about.read_only && !is_free(self) && !deadline.passed() {
            time::sleep(PAUSE);
        }
    }
}

/// A directory, and what its server is given. When that ends nobody else can receive, so
/// that calls end as well.
fn endpoint() -> Result<(DirectoryClient, Capability), IoError> {
    let endpoint = task().create_endpoint().map_err(failed)?;
    let rights = Rights::CALL | Rights::GRANT | Rights::EXPORT;
    let root = endpoint.mint(OWN, rights.bits().into(), IN_FLIGHT);
    let root = Capability::from(root.map_err(failed)?).into();
    let endpoint: &Capability = endpoint.as_ref();
    Ok((root, endpoint.derive(SERVER).map_err(failed)?))
}

/// Makes everything durable and the file system clean; says if something is still open.
fn rest(root: &DirectoryClient, force: bool) -> Result<Result<(), String>, CallError<FileError>> {
    let open = root.usage()?.client_open;
    if open > 0 && !force {
        let text = format!("{open} files or directories are open there; -f ends it nevertheless");
        return Ok(Err(text));
    }
    root.sync().map(Ok)
}

fn is_gone(error: &CallError<FileError>) -> bool {
    matches!(error, CallError::Transport(error) if error.is_closed())
}

/// Why a server did not begin.
fn why(server: &ProgramClient) -> IoError {
    let code = server.wait().map(|outcome| outcome.code);
    let error = code.ok().and_then(FileError::from_code);
    match error {
        Some(error) => file_error(CallError::Server(error)),
        None => IoError::Failed("its server has ended".into()),
    }
}

fn unknown_content() -> IoError {
    IoError::Failed("holds no file system that is known here; a third operand says its type".into())
}
