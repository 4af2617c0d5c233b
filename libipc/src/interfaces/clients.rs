//! How the supervisor tells a server who its clients are, and a driver which
//! device it got.
//!
//! The supervisor mints one badge, below [`SERVER_BADGES`], for each capability
//! that it hands out, and names them to the server by arguments of the form
//! `client:BADGE=NAME`. A restarted server gets the same arguments, so it knows
//! its clients before any of them calls. Badges from [`SERVER_BADGES`] on are
//! the server's own: open files, pipe ends, seats at the terminal.

use crate::objects::{EndpointClient, SessionInfo};

/// First badge that a server mints itself.
pub const SERVER_BADGES: u64 = 1 << 32;

/// A client that the system page gave a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientArgument<'a> {
    /// The badge of its calls.
    pub badge: u64,
    /// Its task's name in the page.
    pub name: &'a str,
}

impl<'a> ClientArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::ClientArgument;
    /// let client = ClientArgument::parse("client:3=shell").unwrap();
    /// assert_eq!((client.badge, client.name), (3, "shell"));
    /// assert_eq!(client.to_string(), "client:3=shell");
    /// assert_eq!(ClientArgument::parse("client:x=shell"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let (badge, name) = argument.strip_prefix("client:")?.split_once('=')?;
        let badge = badge.parse().ok().filter(|&badge| badge < SERVER_BADGES)?;
        Some(ClientArgument { badge, name })
    }
}

impl core::fmt::Display for ClientArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "client:{}={}", self.badge, self.name)
    }
}

/// A client whose capability may leave the device, and with it what the server gives it:
/// an argument of the form `export:BADGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportArgument {
    /// The badge of its calls.
    pub badge: u64,
}

impl ExportArgument {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::ExportArgument;
    /// let client = ExportArgument::parse("export:3").unwrap();
    /// assert_eq!(client.badge, 3);
    /// assert_eq!(client.to_string(), "export:3");
    /// assert_eq!(ExportArgument::parse("export:x"), None);
    /// ```
    pub fn parse(argument: &str) -> Option<Self> {
        let badge = argument.strip_prefix("export:")?.parse();
        let badge = badge.ok().filter(|&badge| badge < SERVER_BADGES)?;
        Some(ExportArgument { badge })
    }
}

impl core::fmt::Display for ExportArgument {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "export:{}", self.badge)
    }
}

/// Who pays for what a server of files keeps on a disk: an argument of the form
/// `account:ID=CLIENT,BYTES,FILES`, where `-` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountArgument<'a> {
    /// The owner that its files have on the disk.
    pub id: u32,
    /// The client's task in the page; after that of a server and `/`, a client that this
    /// server speaks for.
    pub client: &'a str,
    /// Bytes that its files may take there.
    pub bytes: Option<u64>,
    /// Files and directories that it may have there.
    pub files: Option<u64>,
}

impl<'a> AccountArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::AccountArgument;
    /// let text = "account:1000=files/shell,1048576,-";
    /// let account = AccountArgument::parse(text).unwrap();
    /// assert_eq!((account.id, account.client), (1000, "files/shell"));
    /// assert_eq!((account.bytes, account.files), (Some(1 << 20), None));
    /// assert_eq!(account.to_string(), text);
    /// assert_eq!(AccountArgument::parse("account:1000=shell,1"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let (id, rest) = argument.strip_prefix("account:")?.split_once('=')?;
        let (client, limits) = rest.split_once(',')?;
        let (bytes, files) = limits.split_once(',')?;
        let limit = |text: &str| match text {
            "-" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(AccountArgument {
            id: id.parse().ok()?,
            client,
            bytes: limit(bytes)?,
            files: limit(files)?,
        })
    }
}

impl core::fmt::Display for AccountArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "account:{}={}", self.id, self.client)?;
        for limit in [self.bytes, self.files] {
            match limit {
                Some(limit) => write!(f, ",{limit}")?,
                None => f.write_str(",-")?,
            }
        }
        Ok(())
    }
}

/// A part of a device that is all that a client may see of it: an argument of the form
/// `partition:BADGE=NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionArgument<'a> {
    /// The badge of the client's calls.
    pub badge: u64,
    /// Name or number of the partition.
    pub partition: &'a str,
}

impl<'a> PartitionArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::PartitionArgument;
    /// let client = PartitionArgument::parse("partition:3=data=1").unwrap();
    /// assert_eq!((client.badge, client.partition), (3, "data=1"));
    /// assert_eq!(client.to_string(), "partition:3=data=1");
    /// assert_eq!(PartitionArgument::parse("client:3=data"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let (badge, partition) = argument.strip_prefix("partition:")?.split_once('=')?;
        let badge = badge.parse().ok().filter(|&badge| badge < SERVER_BADGES)?;
        Some(PartitionArgument { badge, partition })
    }
}

impl core::fmt::Display for PartitionArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "partition:{}={}", self.badge, self.partition)
    }
}

/// Where a shell shows what a server serves: an argument of the form `mounted:PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountArgument<'a> {
    /// The directory in whose place it is seen.
    pub path: &'a str,
}

impl<'a> MountArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::MountArgument;
    /// let mounted = MountArgument::parse("mounted:/tmp/usb").unwrap();
    /// assert_eq!(mounted.path, "/tmp/usb");
    /// assert_eq!(mounted.to_string(), "mounted:/tmp/usb");
    /// assert_eq!(MountArgument::parse("client:3=data"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let path = argument.strip_prefix("mounted:")?;
        Some(MountArgument { path })
    }
}

impl core::fmt::Display for MountArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "mounted:{}", self.path)
    }
}

/// A device that the system page gave a driver, as it was found in the device
/// tree: an argument of the form `device:NAME=COMPATIBLE@OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceArgument<'a> {
    /// The name of the memory with its registers in start information; the name of
    /// its interrupt is that with `-irq` at the end.
    pub name: &'a str,
    /// Which of the page's `compatible` strings it has.
    pub compatible: &'a str,
    /// Where in the memory its registers begin.
    pub offset: u64,
}

impl<'a> DeviceArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::DeviceArgument;
    /// let device = DeviceArgument::parse("device:uart=arm,pl011@0").unwrap();
    /// assert_eq!((device.name, device.compatible, device.offset), ("uart", "arm,pl011", 0));
    /// assert_eq!(device.to_string(), "device:uart=arm,pl011@0");
    /// assert_eq!(DeviceArgument::parse("device:uart"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let (name, device) = argument.strip_prefix("device:")?.split_once('=')?;
        let (compatible, offset) = device.rsplit_once('@')?;
        let offset = offset.parse().ok()?;
        Some(DeviceArgument {
            name,
            compatible,
            offset,
        })
    }
}

impl core::fmt::Display for DeviceArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            name,
            compatible,
            offset,
        } = self;
        write!(f, "device:{name}={compatible}@{offset}")
    }
}

/// Where the registers of a virtio device on PCI are (Virtio 1.2, 4.1.4), each part
/// counted from where the device's memory begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioPci {
    /// The device's type (5).
    pub device: u32,
    /// What all devices have.
    pub common: u32,
    /// Where something is announced, and how many bytes that is.
    pub notify: (u32, u32),
    /// Bytes there from one address to the next.
    pub multiplier: u32,
    /// Why it interrupts.
    pub interrupt: u32,
    /// The configuration of its type, and its bytes.
    pub config: (u32, u32),
}

impl VirtioPci {
    /// What such a device is called in a [`DeviceArgument`].
    pub const COMPATIBLE: &str = "virtio,pci";
}

/// More of a device that is [`VirtioPci`]: an argument of the form `virtio-pci:NAME=`
/// and its eight numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioPciArgument<'a> {
    /// The device's name.
    pub name: &'a str,
    /// Where it has its registers.
    pub parts: VirtioPci,
}

impl<'a> VirtioPciArgument<'a> {
    /// Reads an argument; `None` if it is none of this form.
    ///
    /// ```
    /// use libipc::interfaces::clients::VirtioPciArgument;
    /// let text = "virtio-pci:disk=2,0,12288,4096,4,4096,8192,60";
    /// let device = VirtioPciArgument::parse(text).unwrap();
    /// assert_eq!((device.name, device.parts.notify), ("disk", (12288, 4096)));
    /// assert_eq!(device.to_string(), text);
    /// assert_eq!(VirtioPciArgument::parse("virtio-pci:disk=2,0,1,2,3,4,5"), None);
    /// ```
    pub fn parse(argument: &'a str) -> Option<Self> {
        let (name, numbers) = argument.strip_prefix("virtio-pci:")?.split_once('=')?;
        let mut numbers = numbers.split(',').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let parts = VirtioPci {
            device: next()?,
            common: next()?,
            notify: (next()?, next()?),
            multiplier: next()?,
            interrupt: next()?,
            config: (next()?, next()?),
        };
        Some(VirtioPciArgument { name, parts })
    }
}

impl core::fmt::Display for VirtioPciArgument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let VirtioPci {
            device,
            common,
            notify,
            multiplier,
            interrupt,
            config,
        } = self.parts;
        write!(f, "virtio-pci:{}={device},{common},", self.name)?;
        write!(f, "{},{},{multiplier},", notify.0, notify.1)?;
        write!(f, "{interrupt},{},{}", config.0, config.1)
    }
}

/// The sessions at a server's endpoint. A restarted server meets those of its
/// predecessor. None ends while nobody receives its end, so all are met.
pub fn sessions(endpoint: &EndpointClient) -> impl Iterator<Item = SessionInfo> {
    let mut cursor = Some(0);
    core::iter::from_fn(move || {
        let session = endpoint.session(cursor?).ok()?;
        cursor = (session.next != 0).then_some(session.next);
        Some(session)
    })
}

/// The server's own badges that clients still hold: a restarted server must not
/// use those of its predecessor for something else.
pub fn live_badges(endpoint: &EndpointClient) -> impl Iterator<Item = u64> {
    let badges = sessions(endpoint).map(|session| session.badge);
    badges.filter(|&badge| badge >= SERVER_BADGES)
}

/// Whether somebody served this endpoint before: clients have called.
pub fn is_successor(endpoint: &EndpointClient) -> bool {
    sessions(endpoint).any(|session| session.calls > 0)
}
