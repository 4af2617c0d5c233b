//! The QEMU machine that an image boots on, and whether the image fits there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tessera_page::Page;

use crate::arch::Arch;
use crate::cli::MachineOptions;
use crate::page::units::Size;

const MIB: u64 = 1 << 20;
/// QEMU pads the device tree to this size and aligns it to `TREE_ALIGN`.
const TREE: u64 = MIB;
const TREE_ALIGN: u64 = 2 * MIB;
/// What firmware, device tree and the kernel's tables of frames may need.
const OVERHEAD: u64 = 2 * MIB;

/// A machine to boot on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its architecture.
    pub arch: Arch,
    /// Number of cores.
    pub smp: u32,
    /// Bytes of RAM.
    pub memory: u64,
    /// CPU model.
    pub cpu: String,
    /// The kernel is to have no fast path for messages.
    pub slow_path: bool,
    /// Its virtio devices, in the order of their addresses.
    pub devices: Vec<Device>,
    /// They are on PCI, not on the memory bus.
    pub pci: bool,
}

/// A virtio device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A disk whose sectors are in this file.
    Disk {
        /// The file.
        image: PathBuf,
        /// It cannot be written.
        read_only: bool,
    },
    /// Random bytes.
    Entropy,
    /// A network.
    Net(Nic),
    /// A console whose other end is the one who connects to this socket.
    Console {
        /// Where the socket is.
        socket: PathBuf,
    },
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// What it is connected to.
    pub network: Network,
    /// The address that it has there, if that matters.
    pub mac: Option<Mac>,
    /// All frames are written to this file, as `pcap`.
    pub capture: Option<PathBuf>,
}

impl Nic {
    /// One on QEMU's own network.
    pub fn user() -> Nic {
        Nic::on(Network::User)
    }

    /// One on the network of those in the same machine.
    pub fn inside() -> Nic {
        Nic::on(Network::Inside)
    }

    fn on(network: Network) -> Nic {
        Nic {
            network,
            mac: None,
            capture: None,
        }
    }
}

/// An address on an emulated network.
pub type Mac = [u8; 6];

/// What a network device is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// A network of QEMU's own, with a way to the host's.
    User,
    /// One with the other devices of the same machine that are on it.
    Inside,
    /// Datagrams of frames, between two sockets.
    Segment {
        /// Where the machine receives.
        own: PathBuf,
        /// Where it sends.
        hub: PathBuf,
    },
}

impl Machine {
    /// The machine that the options ask for, with `memory` unless they say how much.
    pub fn new(options: &MachineOptions, memory: u64) -> Self {
        Self {
            arch: options.arch,
            smp: options.smp,
            memory: options.memory.map_or(memory, |size| size.0),
            cpu: cpu(options.arch, options.cpu.as_deref()),
            slow_path: false,
            devices: Vec::new(),
            pci: options.pci,
        }
    }

    /// A machine with what every machine of that kind has.
    pub fn plain(arch: Arch, smp: u32, memory: u64) -> Self {
        Self {
            arch,
            smp,
            memory,
            cpu: cpu(arch, None),
            slow_path: false,
            devices: Vec::new(),
            pci: false,
        }
    }

    /// The same with another CPU.
    pub fn with_cpu(mut self, name: Option<&str>) -> Self {
        self.cpu = cpu(self.arch, name);
        self
    }

    /// Refuses an image with that page that the machine has too little memory for, before
    /// a server on it fails for want of some.
    pub fn check(&self, image: &Path, page: &Page) -> Result<()> {
        let size = std::fs::metadata(image)?.len();
        self.check_fit(size)?;
        self.check_budget(size, page)
    }

    /// Refuses an image that would not fit below QEMU's device tree, or leave
    /// no room for it.
    fn check_fit(&self, image: u64) -> Result<()> {
        let room = self.room();
        ensure!(
            image <= room,
            "the image of {} KiB does not fit: with -m {} there are {} KiB for it on {}. \
             Give more memory or take programs out of the system page",
            image.div_ceil(1024),
            Size(self.memory),
            room / 1024,
            self.arch
        );
        Ok(())
    }

    /// Refuses a system whose quotas cannot all be used: what firmware, device
    /// tree, image and the kernel's own tables leave is less.
    fn check_budget(&self, image: u64, page: &Page) -> Result<()> {
        let quotas = page.tasks.iter().map(|task| task.quota).sum::<u64>() + page.supervisor_quota;
        let left = self.memory.saturating_sub(image + OVERHEAD);
        ensure!(
            quotas <= left,
            "the quotas of `{}` add up to {} KiB, but with -m {} the image of {} KiB leaves {} KiB. \
             Give more memory or less to the system page's tasks",
            page.name,
            quotas / 1024,
            Size(self.memory),
            image.div_ceil(1024),
            left / 1024
        );
        Ok(())
    }

    /// How large an image can be.
    fn room(&self) -> u64 {
        let end = self.arch.ram_base() + self.memory;
        let top = match self.arch {
            // The tree lies as high as it can, but below 3 GiB.
            Arch::Riscv64 => end.min(3 << 30),
            // The tree follows the image, but not in the first half of the RAM.
            Arch::Aarch64 => end,
        };
        let tree = top.saturating_sub(TREE) / TREE_ALIGN * TREE_ALIGN;
        tree.saturating_sub(self.arch.load_address())
    }

    /// Where the device with so many before it is: how its bus is called, and the place
    /// there.
    fn place(&self, index: usize) -> (&'static str, String) {
        // Those for which there is no page of registers left are on PCI too.
        match self.arch.virtio_bus(index).filter(|_| !self.pci) {
            Some(bus) => ("device", format!("bus=virtio-mmio-bus.{bus}")),
            // The first place is the bridge's own.
            None => ("pci", format!("addr={:#x}", index + 1)),
        }
    }

    /// QEMU with this machine and that image, its serial line on standard input
    /// and output. `program` is the emulator.
    pub fn qemu(&self, program: PathBuf, image: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-machine", "virt", "-cpu", &self.cpu])
            .args([
                "-m",
                &Size(self.memory).to_string(),
                "-smp",
                &self.smp.to_string(),
            ])
            .args(["-nodefaults", "-display", "none", "-serial", "mon:stdio"])
            .args(["-global", "virtio-mmio.force-legacy=false"]);
        if self.arch == Arch::Aarch64 {
            // How the kernel tells the exit code; riscv64 has a device for it.
            command.arg("-semihosting");
        }
        for (index, device) in self.devices.iter().enumerate() {
            attach(&mut command, index, self.place(index), device);
        }
        command.arg("-kernel").arg(image);
        if self.slow_path {
            command.args(["-append", "slow-path"]);
        }
        command
    }
}

/// Puts a device in a place. Each has a back end of its own.
fn attach(command: &mut Command, index: usize, (bus, place): (&str, String), device: &Device) {
    match device {
        Device::Disk { image, read_only } => {
            // QEMU takes two commas for one.
            let file = image.to_string_lossy().replace(',', ",,");
            let read_only = if *read_only { "on" } else { "off" };
            command.arg("-drive").arg(format!(
                "if=none,id=disk{index},format=raw,readonly={read_only},file={file}"
            ));
            let device = format!("virtio-blk-{bus},drive=disk{index},{place}");
            command.arg("-device").arg(device);
        }
        Device::Entropy => {
            let device = format!("virtio-rng-{bus},{place}");
            command.arg("-device").arg(device);
        }
        Device::Console { socket } => {
            let path = socket.to_string_lossy().replace(',', ",,");
            command.arg("-chardev").arg(format!(
                "socket,id=port{index},path={path},server=on,wait=off"
            ));
            let device = format!("virtio-serial-{bus},id=console{index},max_ports=1,{place}");
            command.arg("-device").arg(device);
            let port = format!("virtconsole,bus=console{index}.0,chardev=port{index}");
            command.arg("-device").arg(port);
        }
        Device::Net(nic) => {
            let path = |path: &Path| path.to_string_lossy().replace(',', ",,");
            let backend = match &nic.network {
                Network::User => format!("user,id=net{index}"),
                Network::Inside => format!("hubport,id=net{index},hubid=0"),
                Network::Segment { own, hub } => {
                    format!(
                        "dgram,id=net{index},local.type=unix,local.path={},\
                         remote.type=unix,remote.path={}",
                        path(own),
                        path(hub)
                    )
                }
            };
            command.arg("-netdev").arg(backend);
            if let Some(capture) = &nic.capture {
                let file = path(capture);
                command.arg("-object").arg(format!(
                    "filter-dump,id=capture{index},netdev=net{index},file={file}"
                ));
            }
            let mac = nic.mac.map_or(String::new(), |mac| {
                let bytes = mac.map(|byte| format!("{byte:02x}"));
                format!(",mac={}", bytes.join(":"))
            });
            // It boots from no network: on PCI there would have to be a file for that.
            let boot = if bus == "pci" { ",romfile=" } else { "" };
            let device = format!("virtio-net-{bus},netdev=net{index}{mac}{boot},{place}");
            command.arg("-device").arg(device);
        }
    }
}

/// QEMU's name of the CPU model that is asked for.
fn cpu(arch: Arch, name: Option<&str>) -> String {
    arch.cpu(name.unwrap_or(arch.default_cpu())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(arch: Arch, mib: u64) -> u64 {
        Machine::plain(arch, 1, mib * MIB).room() / MIB
    }

    #[test]
    fn the_device_tree_limits_the_image() {
        assert_eq!(room(Arch::Riscv64, 6), 2);
        assert_eq!(room(Arch::Riscv64, 8), 4);
        assert_eq!(room(Arch::Riscv64, 4096), 1024 - 2 - 2);
        assert_eq!(room(Arch::Aarch64, 6), 2);
        assert_eq!(room(Arch::Aarch64, 64), 60);
        assert_eq!(room(Arch::Aarch64, 1), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let machine = Machine::plain(Arch::Riscv64, 1, 6 * MIB);
        assert!(machine.check_fit(2 * MIB).is_ok());
        let error = machine.check_fit(2 * MIB + 1).unwrap_err().to_string();
        assert!(
            error.starts_with("the image of 2049 KiB does not fit: with -m 6M"),
            "{error}"
        );
    }

    #[test]
    fn quotas_that_cannot_all_be_used_are_refused() {
        let page = |supervisor_quota| Page {
            name: "x".into(),
            ram: 0,
            supervisor_quota,
            tasks: Vec::new(),
            programs: Vec::new(),
        };
        let machine = Machine::plain(Arch::Aarch64, 1, 8 * MIB);
        let path = std::env::temp_dir().join(format!("xtask-image-{}", std::process::id()));
        std::fs::write(&path, vec![0; MIB as usize]).unwrap();
        let fits = machine.check(&path, &page(5 * MIB));
        let does_not = machine.check(&path, &page(5 * MIB + 1));
        std::fs::remove_file(&path).unwrap();
        fits.unwrap();
        let error = does_not.unwrap_err().to_string();
        assert!(
            error.contains("the image of 1024 KiB leaves 5120 KiB. Give more memory"),
            "{error}"
        );
    }

    #[test]
    fn cpus_have_the_emulators_names() {
        let cpu = |arch, name| Machine::plain(arch, 1, MIB).with_cpu(name).cpu;
        assert_eq!(cpu(Arch::Riscv64, None), "rv64");
        assert_eq!(cpu(Arch::Aarch64, Some("max")), "max");
        assert!(cpu(Arch::Riscv64, Some("max")).starts_with("rv64,v=true"));
    }

    #[test]
    fn the_emulator_gets_a_64_bit_cpu_and_the_console() {
        let command = Machine::plain(Arch::Aarch64, 4, 64 * MIB).qemu("q".into(), Path::new("i"));
        let shown = crate::process::shown(&command);
        assert_eq!(
            shown,
            "q -machine virt -cpu cortex-a72 -m 64M -smp 4 -nodefaults -display none \
             -serial mon:stdio -global virtio-mmio.force-legacy=false -semihosting -kernel i"
        );
    }

    #[test]
    fn a_network_device_is_on_a_network() {
        let mut machine = Machine::plain(Arch::Riscv64, 1, MIB);
        let segment = Network::Segment {
            own: "/tmp/a,b".into(),
            hub: "/tmp/h".into(),
        };
        machine.devices = vec![
            Device::Net(Nic::user()),
            Device::Net(Nic {
                network: segment,
                mac: Some([2, 0, 0, 0, 0, 10]),
                capture: Some("c.pcap".into()),
            }),
        ];
        let shown = crate::process::shown(&machine.qemu("q".into(), Path::new("i")));
        let devices = "-netdev user,id=net0 \
                       -device virtio-net-device,netdev=net0,bus=virtio-mmio-bus.0 \
                       -netdev dgram,id=net1,local.type=unix,local.path=/tmp/a,,b,\
                       remote.type=unix,remote.path=/tmp/h \
                       -object filter-dump,id=capture1,netdev=net1,file=c.pcap \
                       -device virtio-net-device,netdev=net1,mac=02:00:00:00:00:0a,\
                       bus=virtio-mmio-bus.1";
        assert!(shown.contains(devices), "{shown}");
        machine.pci = true;
        let shown = crate::process::shown(&machine.qemu("q".into(), Path::new("i")));
        let device = "-device virtio-net-pci,netdev=net0,romfile=,addr=0x1";
        assert!(shown.contains(device), "{shown}");
    }

    #[test]
    fn devices_have_pages_of_their_own() {
        let disk = |image: &str| Device::Disk {
            image: image.into(),
            read_only: image == "b",
        };
        let shown = |arch| {
            let mut machine = Machine::plain(arch, 1, MIB);
            machine.devices = vec![disk("a,1"), Device::Entropy, disk("b")];
            crate::process::shown(&machine.qemu("q".into(), Path::new("i")))
        };
        let arm = "-drive if=none,id=disk0,format=raw,readonly=off,file=a,,1 \
                   -device virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0 \
                   -device virtio-rng-device,bus=virtio-mmio-bus.8 \
                   -drive if=none,id=disk2,format=raw,readonly=on,file=b \
                   -device virtio-blk-device,drive=disk2,bus=virtio-mmio-bus.16";
        assert!(
            shown(Arch::Aarch64).contains(arm),
            "{}",
            shown(Arch::Aarch64)
        );
        assert!(shown(Arch::Riscv64).contains("drive=disk2,bus=virtio-mmio-bus.2"));
        assert_eq!(Arch::Aarch64.virtio_bus(4), None);
        let mut machine = Machine::plain(Arch::Riscv64, 1, MIB);
        machine.devices = vec![Device::Entropy, disk("c")];
        machine.pci = true;
        let shown = crate::process::shown(&machine.qemu("q".into(), Path::new("i")));
        let pci = "-device virtio-rng-pci,addr=0x1 \
                   -drive if=none,id=disk1,format=raw,readonly=off,file=c \
                   -device virtio-blk-pci,drive=disk1,addr=0x2";
        assert!(shown.contains(pci), "{shown}");
    }
}
