//! `Bus`: other devices and what they lend.
//!
//! A device is known by a number that this device gives it: of one that is trusted it is
//! the same after each start. What is opened at a device is an ordinary capability: its
//! calls go there, and end there or with a transport error.
//!
//! ```text
//! let device = bus.find("kitchen")?;                 // a name, or a number
//! let sensor: SensorClient = bus.open_as(device, "sensor")?;
//! sensor.read()?;                                    // as if it were here
//! ```

use super::*;
use crate::{
    CallError, Capability,
    operation::{Class, Interface},
    server::Dispatch,
};
use alloc::{string::String, vec::Vec};
use libipc_abi::wire::Text;

/// Name of a device or of a service.
pub type BusName = Text<32>;

/// Why the bus refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum BusError {
    /// There is no such device.
    NoDevice = 1,
    /// There is no such service, there or here.
    NoService = 2,
    /// The capability does not allow it: see [`Bus::restrict`].
    NotPermitted = 3,
    /// Something of that name is published already.
    Exists = 4,
    /// A name that is empty, too long, or not plain text.
    BadName = 5,
    /// The other device cannot be reached.
    Unreachable = 6,
    /// The PIN was wrong, or somebody is in between.
    WrongPin = 7,
    /// Pairing is not open there, or is no longer.
    NotOpen = 8,
    /// The other side did not do what it must.
    Broken = 9,
    /// It took too long.
    TimedOut = 10,
    /// One pairing at a time; or too many calls wait.
    Busy = 11,
    /// A table is full.
    TooMany = 12,
    /// It cannot be made durable, so it was not done.
    NotDurable = 13,
    /// The bus could not make the capability.
    NoResources = 14,
    /// The capability may not leave this device: it lacks the right `EXPORT`.
    NotExported = 15,
    /// The lease is memory that cannot be used.
    BadMemory = 16,
}

describe!(BusError {
    NoDevice => "no such device",
    NoService => "no such service",
    NotPermitted => "the capability does not allow it",
    Exists => "it is published already",
    BadName => "not a possible name",
    Unreachable => "the device cannot be reached",
    WrongPin => "the PIN is wrong",
    NotOpen => "pairing is not open there",
    Broken => "the other device does not keep to the protocol",
    TimedOut => "it took too long",
    Busy => "the bus is busy",
    TooMany => "too many",
    NotDurable => "it cannot be made durable",
    NoResources => "the bus has no resources left",
    NotExported => "the capability may not leave this device",
    BadMemory => "the memory lent cannot be used",
});

/// How this device stands to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Standing {
    /// It was heard, and says nothing of itself.
    #[default]
    Stranger = 0,
    /// It was heard, and pairing is open there.
    Open = 1,
    /// The two trust each other.
    Trusted = 2,
    /// It is this device, and another one on the network has the same key: one disk is a
    /// copy of the other's, and both are to be paired anew with new keys.
    Doubled = 3,
}

/// A device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Device {
    /// Its number here.
    pub id: u64,
    /// How it stands to this one.
    pub standing: Standing,
    /// It is on the network.
    pub present: bool,
    /// There is a session with it.
    pub connected: bool,
    /// Its name, as it gave it; empty of a stranger, and if it is none: two trusted devices
    /// have it, or it is written as a number.
    pub name: BusName,
}

/// What was counted of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct BusStats {
    /// Calls that were made of it.
    pub calls_out: u64,
    /// Calls that it made here.
    pub calls_in: u64,
    /// Calls that ended with a transport error.
    pub failed: u64,
    /// Bytes that it makes this device hold.
    pub held: u64,
    /// How often it was lost while there was a session.
    pub losses: u64,
    /// For how many milliseconds nothing had come from it when that was noticed the last
    /// time; with that, calls to it ended.
    pub silence: u64,
}

/// That a device used a service of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Used {
    /// The device's number, and its name then.
    pub device: u64,
    /// See `device`.
    pub name: BusName,
    /// The service.
    pub service: BusName,
    /// When, in seconds since 1970 in UTC; 0 if the device did not know.
    pub time: u64,
    /// Calls, as long as one came soon after the other.
    pub calls: u64,
}

/// That the owner lets a device use a private service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Agreed {
    /// The device's number, and its name.
    pub device: u64,
    /// See `device`.
    pub name: BusName,
    /// The service, and its interface.
    pub service: BusName,
    /// See `service`.
    pub interface: BusName,
}

bitflags::bitflags! {
    /// What a capability for the bus is good for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BusAllowed: u64 {
        /// List devices and services, and open services.
        const USE = 1 << 0;
        /// Publish and take back.
        const PUBLISH = 1 << 1;
        /// Pair and trust no longer.
        const MANAGE = 1 << 2;
    }
}

/// Other devices.
#[interface]
pub trait Bus {
    /// This device.
    #[op(0, idempotent)]
    fn myself(&mut self) -> Result<Device, BusError>;

    /// One of the devices that are trusted or were heard; those that are trusted come
    /// first. `NoDevice` past the last.
    #[op(1, idempotent)]
    fn device(&mut self, index: u64) -> Result<Device, BusError>;

    /// What a device publishes: fills `into` with entries, see [`services`], and returns
    /// the number of bytes; those that do not fit are left out. `NoDevice`,
    /// `Unreachable`, `BadMemory`.
    #[op(2, idempotent)]
    #[deferred]
    fn browse(&mut self, device: u64, into: LeaseMut) -> Result<u64, BusError>;

    /// Opens a service of a device. `table` says what a repeat of each operation does,
    /// two bytes for each: its number, and 0, 1 or 2 for once, idempotent or recorded;
    /// of interfaces that the bus knows it may be empty. `NoDevice`, `NoService`,
    /// `Unreachable`, `Refused`.
    #[op(3)]
    #[deferred]
    fn open(
        &mut self,
        device: u64,
        service: BusName,
        hash: u32,
        table: Lease,
    ) -> Result<Capability, BusError>;

    /// Publishes what is behind a capability, which needs the right `EXPORT` unless it
    /// comes from another device. Only calls of the interface with this name and hash
    /// reach it; for interfaces that the bus knows the hash may be 0. If `private`, the
    /// owner is asked when a device uses it first. His consent is for the device, the name
    /// and the interface: it outlives the bus, so that whoever publishes the same after a
    /// restart finds it, and ends with [`withdraw`](Self::withdraw),
    /// [`revoke`](Self::revoke), [`distrust`](Self::distrust) and
    /// [`forget_consent`](Self::forget_consent). `Exists`, `BadName`, `NotExported`,
    /// `TooMany`.
    #[op(4)]
    fn publish(
        &mut self,
        service: BusName,
        interface: BusName,
        hash: u32,
        private: bool,
        server: Capability,
    ) -> Result<(), BusError>;

    /// Publishes it no longer, and what is published under this name later is another
    /// thing: the owner is asked anew. Who has it open keeps it. `NoService`;
    /// `NotDurable` if what the owner had said may hold again after a restart.
    #[op(5)]
    fn withdraw(&mut self, service: BusName) -> Result<(), BusError>;

    /// Publishes it no longer, and takes it back from all devices, with all that was
    /// opened through it: when this returns, nothing runs through it any more, and their
    /// calls end as `Revoked`. What the owner had said of it ends too. `NoService`;
    /// `NotDurable` as for `withdraw`.
    #[op(6)]
    #[deferred]
    fn revoke(&mut self, service: BusName) -> Result<(), BusError>;

    /// What is published here: as `browse`.
    #[op(7, idempotent)]
    fn published(&mut self, into: LeaseMut) -> Result<u64, BusError>;

    /// Opens pairing for a minute and returns the PIN, six digits, to be shown to a
    /// person.
    #[op(8)]
    fn open_pairing(&mut self) -> Result<u32, BusError>;

    /// Closes it.
    #[op(9, idempotent)]
    fn close_pairing(&mut self) -> Result<(), BusError>;

    /// Pairs with a device that shows this PIN; its number from then on. `NoDevice`,
    /// `WrongPin`, `NotOpen`, `Broken`, `TimedOut`, `Busy`, `TooMany`, `NotDurable`.
    #[op(10)]
    #[deferred]
    fn pair(&mut self, device: u64, pin: u32) -> Result<u64, BusError>;

    /// Trusts a device no longer; returns when that is durable. What the owner had said
    /// of it ends; who used what is still told. `NoDevice`, `NotDurable`.
    #[op(11)]
    #[deferred]
    fn distrust(&mut self, device: u64) -> Result<(), BusError>;

    /// Keeps a session with a device, so that its loss is noticed soon, or no longer: as
    /// long as anybody's capability for the bus wants it. `NoDevice`.
    #[op(12, idempotent)]
    fn watch(&mut self, device: u64, watch: bool) -> Result<(), BusError>;

    /// Names the endpoint whose signal bits `signals` are set when devices come, go, are
    /// lost, or change how they stand to this one. Each capability for the bus names one.
    /// `NoResources`.
    #[op(13, idempotent)]
    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), BusError>;

    /// What was counted of a device. `NoDevice`.
    #[op(14, idempotent)]
    fn stats(&mut self, device: u64) -> Result<BusStats, BusError>;

    /// A capability that is good for no more than this one and `allowed`, bits of
    /// [`BusAllowed`], for `device` alone unless that is 0, and for services of this
    /// interface alone unless that is empty. `NoResources`, `TooMany`.
    #[op(15)]
    fn restrict(
        &mut self,
        allowed: u64,
        device: u64,
        interface: BusName,
    ) -> Result<BusClient, BusError>;

    /// Who has used what of this device, the latest first. It outlives the bus, but for
    /// what the last seconds before a crash brought. Needs `MANAGE`. `NoService` past what
    /// is remembered.
    #[op(16, idempotent)]
    fn used(&mut self, index: u64) -> Result<Used, BusError>;

    /// One of the owner's consents, in no particular order. Needs `MANAGE`. `NoService`
    /// past the last.
    #[op(17, idempotent)]
    fn consent(&mut self, index: u64) -> Result<Agreed, BusError>;

    /// The owner's consent that a device uses a service holds no longer: he is asked when
    /// it does so next. Calls that run go on, and what it has opened there it keeps, see
    /// [`revoke`](Self::revoke). Needs `MANAGE`. `NoDevice`, `NoService` if there is none;
    /// `NotDurable` if it may hold again after a restart.
    #[op(18)]
    fn forget_consent(&mut self, device: u64, service: BusName) -> Result<(), BusError>;
}

/// A service in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By which it is opened.
    pub name: String,
    /// The name of its interface.
    pub interface: String,
}

impl Listed {
    /// Appends the entry to a list, unless a name is longer than 255 bytes.
    ///
    /// ```
    /// use libipc::interfaces::bus::{Listed, services};
    /// let entry = Listed { name: "sensor".into(), interface: "Sensor".into() };
    /// let mut list = Vec::new();
    /// entry.emit(&mut list);
    /// assert_eq!(services(&list), [entry]);
    /// ```
    pub fn emit(&self, list: &mut Vec<u8>) {
        let lengths = [self.name.len(), self.interface.len()].map(u8::try_from);
        if let [Ok(name), Ok(interface)] = lengths {
            list.extend([name, interface]);
            list.extend(self.name.bytes().chain(self.interface.bytes()));
        }
    }
}

/// The services in the bytes that [`Bus::browse`] filled. Ends early at anything that is
/// no entry.
pub fn services(mut list: &[u8]) -> Vec<Listed> {
    let mut next = || {
        let ([name, interface], rest) = list.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked((*name).into())?;
        let (interface, rest) = rest.split_at_checked((*interface).into())?;
        list = rest;
        let text = |bytes| core::str::from_utf8(bytes).ok().map(String::from);
        Some(Listed {
            name: text(name)?,
            interface: text(interface)?,
        })
    };
    core::iter::from_fn(&mut next).collect()
}

/// What a repeat of each operation does, as [`Bus::open`] takes it.
pub fn classes(interface: &Interface) -> Vec<u8> {
    let operations = interface.operations.iter();
    let class = |class| match class {
        Class::Once => 0,
        Class::Idempotent => 1,
        Class::Recorded => 2,
    };
    operations
        .flat_map(|operation| [operation.number, class(operation.class)])
        .collect()
}

impl BusClient {
    /// Opens a service of a device as a client of the interface `D`.
    pub fn open_as<D: Dispatch + ?Sized, C: From<Capability>>(
        &self,
        device: u64,
        service: BusName,
    ) -> Result<C, CallError<BusError>> {
        let table = classes(&D::INTERFACE);
        let opened = self.open(device, service, D::INTERFACE.hash, &table)?;
        Ok(opened.into())
    }

    /// The devices that are trusted or were heard.
    pub fn devices(&self) -> Result<Vec<Device>, CallError<BusError>> {
        let mut all = Vec::new();
        loop {
            match self.device(all.len() as u64) {
                Ok(device) => all.push(device),
                Err(CallError::Server(BusError::NoDevice)) => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    /// The device of this name or number (in hexadecimal, as it is shown).
    pub fn find(&self, text: &str) -> Result<Device, CallError<BusError>> {
        // A device may call itself what another one's number is.
        let number = u64::from_str_radix(text, 16).ok();
        let all = self.devices()?;
        let numbered = all.iter().find(|device| Some(device.id) == number);
        let found = numbered.or_else(|| all.iter().find(|device| device.name.as_str() == text));
        let missing = CallError::Server(BusError::NoDevice);
        found.copied().ok_or(missing)
    }
}
