//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::arch::Arch;
use crate::hub::{Percent, Range};
use crate::page::units::Size;

/// Builds, runs, tests and measures Tessera.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What xtask can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a system and boot it in QEMU, with its console here. Ctrl-A X leaves
    Run(Run),
    /// Build a system's image and print where it is and what each part costs
    Build(Build),
    /// Run the tests: those of the host, then those inside the guest
    Test(Test),
    /// Check format, lints, documentation and the commands that it mentions
    Lint,
    /// Count code lines and bytes of the kernel, and price the parts of a system
    Size(Sizes),
    /// Run the host tests of the kernel's logic under Miri
    Miri(Miri),
    /// Attack the kernel: random system calls, calls to bad servers, many boots
    Fuzz(Fuzz),
    /// Do to disks what must not lose a file: cut the power, damage what is on them
    Crash(Crash),
    /// Simulate devices on the soft bus, and check what must hold; `--help` tells its options
    #[command(name = "bus-lab", disable_help_flag = true)]
    BusLab(BusLab),
    /// Set the temperature that a machine measures, while it runs
    Sensor(SensorArgs),
    /// Make disk images, look into them, and put files there
    Disk(Disk),
    /// Measure what things cost in guest instructions, and compare with the figures
    /// that are kept
    Bench(Bench),
    /// Seed faults in the kernel and look which tests in the guest notice
    Faults(Faults),
    /// Start a new server or app from a template
    New(New),
    /// Print what the interface macro makes of an interface
    Expand(Expand),
}

/// Options of `crash`.
#[derive(Args, Debug)]
pub struct Crash {
    /// Only these parts [default: all]
    #[arg(value_enum)]
    pub parts: Vec<CrashPart>,
    /// Seed of the first workload, image or session; each further one has the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Distinct images to recover after cuts of a simulated disk
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub images: u64,
    /// Damaged images to try
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub damaged: u64,
    /// Cuts of guests' disks
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub cuts: u64,
    /// So many of the images that cuts leave are mounted by a guest as well
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub remounts: u64,
    /// Requests of guests' disks that fail
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub failures: u64,
    /// Servers to kill
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub kills: u64,
    /// Architecture of the guests
    #[arg(long, value_enum, default_value_t = Arch::Aarch64)]
    pub arch: Arch,
    /// Number of cores of the guest whose servers are killed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub smp: u32,
}

/// Options of `bus-lab`: those of `tests/bus-lab`.
#[derive(Args, Debug)]
pub struct BusLab {
    /// Passed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<String>,
}

/// Parts of `crash`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPart {
    /// On the host: the power of a simulated disk is cut at every write
    Simulated,
    /// On the host: structures of file systems are damaged
    Damage,
    /// A guest's disk is cut off at every write
    Cuts,
    /// A request of a guest's disk fails
    Failures,
    /// File server and block driver of a guest are killed
    Kills,
}

/// Options of `disk`.
#[derive(Args, Debug)]
pub struct Disk {
    /// What to do.
    #[command(subcommand)]
    pub action: DiskAction,
}

/// What `disk` can do. Paths in an image begin at its root.
#[derive(Debug, Subcommand)]
pub enum DiskAction {
    /// Make an image with an empty ext4 file system
    Create {
        /// The image, which must not be there
        image: PathBuf,
        /// Its size
        #[arg(long, value_name = "SIZE", default_value_t = Size(crate::disk::USUAL))]
        size: Size,
    },
    /// List a directory of an image
    Ls {
        /// The image
        image: PathBuf,
        /// The directory
        #[arg(default_value = "/")]
        path: String,
    },
    /// Put a file into an image
    Put {
        /// The image
        image: PathBuf,
        /// The file here
        file: PathBuf,
        /// The file there; directories that are missing are made
        path: String,
    },
    /// Get a file out of an image
    Get {
        /// The image
        image: PathBuf,
        /// The file there
        path: String,
        /// The file here [default: standard output]
        file: Option<PathBuf>,
    },
    /// Replay an image's journal, read all of it, and let e2fsck judge it
    Check {
        /// The image
        image: PathBuf,
    },
}

/// Options of `miri`.
#[derive(Args, Debug)]
pub struct Miri {
    /// Only tests whose name contains this, such as `tests::messages`
    pub filter: Option<String>,
}

/// Which machine.
#[derive(Args, Clone, Debug)]
pub struct MachineOptions {
    /// Architecture of the machine
    #[arg(long, value_enum, default_value_t = Arch::Aarch64)]
    pub arch: Arch,
    /// Number of cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub smp: u32,
    /// Memory, such as 8M [default: what the system is made for]
    #[arg(short, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// CPU model of QEMU, or max for one with all that it has [default: cortex-a72 or rv64]
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<String>,
    /// Put virtio devices on PCI, not on the memory bus
    #[arg(long)]
    pub pci: bool,
}

/// Which system.
#[derive(Args, Clone, Debug)]
pub struct SystemOption {
    /// System page: a name from boot/systems or the path of a TOML file
    #[arg(long, value_name = "NAME", default_value = "standard")]
    pub system: String,
}

/// Options of commands that may have to install something.
#[derive(Args, Clone, Copy, Debug)]
pub struct SetupOptions {
    /// Install what is missing without asking
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `sensor`.
#[derive(Args, Debug)]
pub struct SensorArgs {
    /// The socket that `run --sensor` made
    pub socket: PathBuf,
    /// Degrees Celsius, to a thousandth
    #[arg(allow_negative_numbers = true)]
    pub celsius: f64,
}

/// `run`
#[derive(Args, Debug)]
pub struct Run {
    /// Which machine.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Which system.
    #[command(flatten)]
    pub system: SystemOption,
    /// What may be installed.
    #[command(flatten)]
    pub setup: SetupOptions,
    /// Image of the data disk, made if it is not there [default: data.img at the root];
    /// a second one, for the shell to mount, must be there
    #[arg(long, value_name = "IMAGE")]
    pub disk: Vec<PathBuf>,
    /// No data disk
    #[arg(long, conflicts_with = "disk")]
    pub no_disk: bool,
    /// No network device; otherwise it is on a network of QEMU's own
    #[arg(long, conflicts_with = "nodes")]
    pub no_net: bool,
    /// Socket at which `cargo xtask sensor` sets the temperature that the machine measures
    #[arg(long, value_name = "SOCKET", conflicts_with = "nodes")]
    pub sensor: Option<PathBuf>,
    /// Several machines on one segment of Ethernet: their architectures, such as
    /// aarch64,riscv64, or how many there are. Each has a data disk of its own in
    /// target/tessera/nodes
    #[arg(long, value_name = "ARCHES", conflicts_with_all = ["disk", "arch"])]
    pub nodes: Option<String>,
    /// With --nodes: how many frames are lost, such as 5%
    #[arg(long, value_name = "P%", default_value = "0", requires = "nodes")]
    pub loss: Percent,
    /// With --nodes: how many frames come twice
    #[arg(long, value_name = "P%", default_value = "0", requires = "nodes")]
    pub duplicate: Percent,
    /// With --nodes: how many frames are overtaken by later ones
    #[arg(long, value_name = "P%", default_value = "0", requires = "nodes")]
    pub reorder: Percent,
    /// With --nodes: how many milliseconds each frame is on its way, such as 1..20
    #[arg(long, value_name = "MS", default_value = "0", requires = "nodes")]
    pub delay: Range,
    /// With --nodes: seed of such trouble
    #[arg(long, value_name = "N", default_value_t = 1, requires = "nodes")]
    pub seed: u64,
    /// Write all frames to this file, as pcap; with --nodes to one for each machine
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    pub qemu: Vec<String>,
}

/// `build`
#[derive(Args, Debug)]
pub struct Build {
    /// Architecture to build for
    #[arg(long, value_enum, default_value_t = Arch::Aarch64)]
    pub arch: Arch,
    /// Which system.
    #[command(flatten)]
    pub system: SystemOption,
}

/// `test`
#[derive(Args, Debug)]
pub struct Test {
    /// Run only tests whose names contain this; guest cases are ARCH/smpN/SUITE/CASE
    pub filter: Option<String>,
    /// Print the tests' names and run none
    #[arg(long)]
    pub list: bool,
    /// Guest tests of this architecture only [default: both]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Guest tests on this many cores only [default: 1 and 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub smp: Option<u32>,
    /// Print which outcomes of each operation the suite `conformance` saw
    #[arg(long, conflicts_with_all = ["host", "list"])]
    pub matrix: bool,
    /// CPU model of guest tests, as in `run`
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<String>,
    /// Guest tests without the kernel's fast path for messages
    #[arg(long)]
    pub slow_path: bool,
    /// Only the host's tests
    #[arg(long, conflicts_with = "guest")]
    pub host: bool,
    /// Only the tests inside the guest
    #[arg(long)]
    pub guest: bool,
    /// What may be installed.
    #[command(flatten)]
    pub setup: SetupOptions,
}

/// `size`
#[derive(Args, Debug)]
pub struct Sizes {
    /// Bytes on this architecture only [default: both]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Which system.
    #[command(flatten)]
    pub system: SystemOption,
}

/// `fuzz`
#[derive(Args, Debug)]
pub struct Fuzz {
    /// What to attack.
    #[command(subcommand)]
    pub target: FuzzTarget,
}

/// What can be fuzzed.
#[derive(Debug, Subcommand)]
pub enum FuzzTarget {
    /// System calls, from tasks that hold real capabilities of each type
    Syscalls(FuzzSyscalls),
    /// Calls to servers that answer, answer late or never, drop the request or die:
    /// each must have one outcome, in time
    Calls(FuzzOptions),
    /// The parsers of the soft bus, on the host, before decryption and after it
    Bus(FuzzBus),
    /// Starting: boots the smallest system many times, from reset to its end
    Boots(FuzzBoots),
}

/// `fuzz bus`
#[derive(Args, Debug)]
pub struct FuzzBus {
    /// Executions in all
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub executions: u64,
    /// Seed of the inputs; the same seed makes the same ones
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Only this target, such as messages [default: all]
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Count which lines of the protocol are reached, by a build for that and the
    /// toolchain's llvm-tools
    #[arg(long)]
    pub coverage: bool,
}

/// `fuzz boots`
#[derive(Args, Debug)]
pub struct FuzzBoots {
    /// Which machine.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Number of boots
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub count: u64,
    /// What may be installed.
    #[command(flatten)]
    pub setup: SetupOptions,
}

/// `fuzz syscalls`
#[derive(Args, Debug)]
pub struct FuzzSyscalls {
    /// The campaign.
    #[command(flatten)]
    pub campaign: FuzzOptions,
    /// Count which of the kernel's conditional branches are reached
    #[arg(long)]
    pub branches: bool,
    /// Fail if less than so many per cent of those in the syscall layer are
    #[arg(long, value_name = "PERCENT", requires = "branches")]
    pub at_least: Option<f64>,
    /// Write the branches that are not, or that go one way only, to a file, or - for here
    #[arg(long, value_name = "FILE", requires = "branches")]
    pub gaps: Option<PathBuf>,
}

/// Options of each campaign.
#[derive(Args, Debug)]
pub struct FuzzOptions {
    /// Which machine.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Number of calls, at least
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub count: u64,
    /// Seed of the random numbers; the same seed makes the same calls
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// What may be installed.
    #[command(flatten)]
    pub setup: SetupOptions,
}

/// `bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// Measure only this case; may be given several times [default: all]
    #[arg(long, value_name = "CASE")]
    pub case: Vec<String>,
    /// On this architecture only [default: both]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Write the figures to this file: an array of objects with `arch`, `case`,
    /// `instructions` and `unit`, which says what the number counts if no instructions
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keep the figures, to compare later ones with
    #[arg(long)]
    pub update: bool,
    /// Print where the instructions of this case go, by stage and by symbol
    #[arg(long, value_name = "CASE", conflicts_with_all = ["case", "json", "update"])]
    pub trace: Option<String>,
    /// List each instruction that was executed, with how often and where it comes from
    #[arg(long, requires = "trace")]
    pub instructions: bool,
    /// Measure calls to a server on another core, and of 1 to 4 pairs of client and
    /// server on cores of their own. Nothing of it is kept or compared, as the calls a
    /// second depend on the host
    #[arg(long, conflicts_with_all = ["case", "json", "update", "trace"])]
    pub cores: bool,
    /// What may be installed.
    #[command(flatten)]
    pub setup: SetupOptions,
}

/// `faults`
#[derive(Args, Debug)]
pub struct Faults {
    /// Only faults whose names contain this, of those in tests/faults.toml
    pub name: Option<String>,
    /// Faults of the soft bus's protocol, of those in tests/bus-lab/faults.toml, and
    /// whether the laboratory notices
    #[arg(long, conflicts_with = "arch")]
    pub bus: bool,
    /// Only faults of this architecture [default: both]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
}

/// `new`
#[derive(Args, Debug)]
pub struct New {
    /// What to start.
    #[command(subcommand)]
    pub kind: NewKind,
}

/// What can be started from a template.
#[derive(Debug, Subcommand)]
pub enum NewKind {
    /// A server: an interface, its implementation and a task
    Server(NewName),
    /// A program that is started from the shell
    App(NewApp),
}

/// `new app`
#[derive(Args, Debug)]
pub struct NewApp {
    /// Its name and place.
    #[command(flatten)]
    pub name: NewName,
    /// The server that it calls: a name in this workspace, or the server's folder
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
}

/// What `new server` and `new app` have in common.
#[derive(Args, Debug)]
pub struct NewName {
    /// Its name: lower case letters, digits and `-`
    pub name: String,
    /// Make it a package of its own in this folder, outside this workspace
    #[arg(long, value_name = "FOLDER")]
    pub path: Option<PathBuf>,
}

/// `expand`
#[derive(Args, Debug)]
pub struct Expand {
    /// Name of the interface's trait, such as Directory
    pub interface: String,
}
