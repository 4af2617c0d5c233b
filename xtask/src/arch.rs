//! What differs between the two architectures for the host.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;

/// An architecture that Tessera runs on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Aarch64, Self::Riscv64];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Rust's name of the target that the kernel is built for.
    pub const fn kernel_target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-none-softfloat",
            Self::Riscv64 => "riscv64imac-unknown-none-elf",
        }
    }

    /// Rust's name of the target that programs are built for.
    pub const fn user_target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-none",
            Self::Riscv64 => "riscv64gc-unknown-none-elf",
        }
    }

    /// The bus of a virtio device with so many before it: each has a page of registers
    /// of its own. `None` if there are no more.
    pub fn virtio_bus(self, index: usize) -> Option<usize> {
        match self {
            // Eight buses share a page.
            Self::Aarch64 => (index < 4).then_some(8 * index),
            Self::Riscv64 => (index < 8).then_some(index),
        }
    }

    /// The emulator.
    pub const fn qemu(self) -> &'static str {
        match self {
            Self::Aarch64 => "qemu-system-aarch64",
            Self::Riscv64 => "qemu-system-riscv64",
        }
    }

    /// The CPU model unless another is asked for: always a 64-bit one.
    pub const fn default_cpu(self) -> &'static str {
        match self {
            Self::Aarch64 => "cortex-a72",
            Self::Riscv64 => "rv64",
        }
    }

    /// What QEMU calls the model that people know by this name. `max`, a CPU with
    /// all that the emulator has, is no model of riscv64 before QEMU 8.2.
    pub fn cpu(self, name: &str) -> &str {
        match (self, name) {
            (Self::Riscv64, "max") => {
                "rv64,v=true,svinval=true,svnapot=true,svpbmt=true,sscofpmf=true,Zfh=true,zk=true"
            }
            _ => name,
        }
    }

    /// Where RAM begins on QEMU's `virt` machine.
    pub const fn ram_base(self) -> u64 {
        match self {
            Self::Aarch64 => 0x4000_0000,
            Self::Riscv64 => 0x8000_0000,
        }
    }

    /// Where the image is loaded.
    pub const fn load_address(self) -> u64 {
        self.ram_base() + 0x20_0000
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
