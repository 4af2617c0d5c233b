//! What a task can hold. Each name here is the name that a page uses and under
//! which the program finds the capability.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Makes an enum whose members have names in pages.
macro_rules! named {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$inner])* $member,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$member),+];

            /// Its name in a page.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

named! {
    /// A right on an endpoint that a page can give. The right to receive comes
    /// with `provides`, the others belong to the supervisor.
    Right {
        /// May call.
        Call = "call",
        /// May send signals.
        Signal = "signal",
        /// May pass the capability on, also to the programs that it starts.
        Grant = "grant",
        /// May let the capability leave the device.
        Export = "export",
        /// Demands that the server stands alone in its address space.
        FarOnly = "far-only",
    }
}

named! {
    /// A kernel object, or part of one, that a page can give.
    SystemObject {
        /// Power off and reboot.
        Shutdown = "shutdown",
        /// Read the kernel's log.
        KernelLog = "kernel-log",
        /// Read the kernel's counters and what each task uses.
        Counters = "counters",
        /// Read the boot archive's memory.
        Archive = "archive",
        /// Make reservations of processor time.
        Time = "time",
        /// Make memory of any device's registers, and any interrupt line.
        Devices = "devices",
    }
}

named! {
    /// Something that the supervisor does for holders of its capability only.
    Power {
        /// Start programs, and look after and kill what one has started.
        Start = "start",
        /// Ask what runs and who waits for whom.
        Inspect = "inspect",
        /// Ask what authority each task holds.
        Caps = "caps",
        /// Kill any task.
        KillAny = "kill-any",
        /// Move servers between address spaces.
        Place = "place",
        /// Replace a server by another program.
        Upgrade = "upgrade",
    }
}

/// An endpoint that a task may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The name under which the program finds it.
    pub name: String,
    /// The endpoint.
    pub endpoint: String,
    /// What the task may do with it.
    pub rights: Vec<Right>,
    /// Name or number of the partition that is all that the task sees there.
    pub partition: Option<String>,
    /// The task starts without it where whoever serves it stays down.
    pub optional: bool,
}

named! {
    /// A type of virtio device.
    Virtio {
        /// Sectors.
        Block = "block",
        /// Random bytes.
        Entropy = "entropy",
        /// Frames of Ethernet.
        Net = "net",
        /// Bytes from the host, and to it.
        Console = "console",
    }
}

/// A device, found in the device tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The name under which the program finds its registers; its interrupt is
    /// found under that name followed by `-irq`.
    pub name: String,
    /// `compatible` strings, any of which will do. The first device found is it.
    pub compatible: Vec<String>,
    /// Or a virtio device of this type. The task also gets what the device may reach
    /// by itself, under the name followed by `-dma`.
    pub virtio: Option<Virtio>,
    /// How many virtio devices of the type come before it.
    pub index: u8,
    /// Whether the task gets the interrupt too.
    pub interrupt: bool,
}

/// Something that a shell may hand to a program that it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// A kernel object.
    System(SystemObject),
    /// A power of the supervisor.
    Power(Power),
    /// An endpoint, with the right to call it.
    Endpoint(String),
    /// The same under another name, which comes first.
    Named(String, String),
}

impl Grant {
    /// Its name in a page and after `--grant`.
    pub fn name(&self) -> &str {
        match self {
            Self::System(object) => object.name(),
            Self::Power(power) => power.name(),
            Self::Endpoint(name) | Self::Named(name, _) => name,
        }
    }
}
