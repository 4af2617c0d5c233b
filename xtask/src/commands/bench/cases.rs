//! What is measured, and what the peers take for the same.

use crate::arch::Arch;

/// A figure for each architecture.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// For aarch64.
    pub aarch64: u64,
    /// For riscv64.
    pub riscv64: u64,
}

impl Figures {
    /// That of an architecture.
    pub fn of(self, arch: Arch) -> u64 {
        match arch {
            Arch::Aarch64 => self.aarch64,
            Arch::Riscv64 => self.riscv64,
        }
    }
}

const fn both(aarch64: u64, riscv64: u64) -> Option<Figures> {
    Some(Figures { aarch64, riscv64 })
}

/// What measures a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A program of `tests/bench`, in a loop.
    Guest,
    /// The same, of what waits for a disk.
    Disk,
    /// The same, of files.
    Files,
    /// The same, of what goes to the host and back.
    Net,
    /// The same, of what goes to another device, both in one machine.
    Bus,
    /// The default system, from reset on.
    Boot,
    /// The smallest system, on smaller and smaller machines.
    Memory,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Guest,
        Self::Disk,
        Self::Files,
        Self::Net,
        Self::Bus,
        Self::Boot,
        Self::Memory,
    ];

    /// How: the machine's flags, and what is in a figure.
    pub fn how(self) -> &'static str {
        match self {
            Self::Guest => {
                "guest instructions for one operation, the loop's own included; tests/systems/\
                 bench.toml, -icount shift=0,sleep=off -rtc clock=vm -seed 1"
            }
            Self::Disk => {
                "busy guest instructions: elapsed less idle, all tasks between the client \
                 and the device included; tests/systems/bench-disk.toml, -icount shift=0,\
                 sleep=on -rtc clock=vm -seed 1; the moment at which the device answers is the \
                 host's, and makes about 5 %"
            }
            Self::Files => {
                "the same, from the client to the device; tests/systems/bench-files.toml, with \
                 the same clock"
            }
            Self::Net => {
                "the same, from the client to the host behind QEMU's own network; \
                 tests/systems/bench-net.toml, with the same clock"
            }
            Self::Bus => {
                "the same, of two devices in one machine, from the client on one to the server \
                 on the other and back; tests/systems/bench-bus.toml, with the same clock"
            }
            Self::Boot => {
                "busy guest instructions: elapsed less idle, firmware included; system \
                 standard, -m 128M -icount shift=0,sleep=off -rtc clock=vm -seed 1"
            }
            Self::Memory => "smallest -m in MiB; system tiny, the machine's own clock",
        }
    }
}

/// A case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, here and in the guest.
    pub name: &'static str,
    /// What measures it.
    pub by: By,
    /// What is done once, and what of it is counted.
    pub what: &'static str,
    /// The best peer's name and figures, 0 where there is none; `docs/performance.md`
    /// says how they were measured.
    pub peer: Option<(&'static str, Figures)>,
    /// The most that it may take.
    pub bar: Figures,
}

const fn case(
    name: &'static str,
    what: &'static str,
    peer: Option<(&'static str, Figures)>,
    bar: Option<Figures>,
) -> Case {
    let Some(bar) = bar else {
        panic!("each case has a bar")
    };
    Case {
        name,
        by: By::Guest,
        what,
        peer,
        bar,
    }
}

const fn peer(name: &'static str, aarch64: u64, riscv64: u64) -> Option<(&'static str, Figures)> {
    Some((name, Figures { aarch64, riscv64 }))
}

/// All of them, in the order in which they are shown.
pub const CASES: &[Case] = &[
    case(
        "call_2w",
        "call and reply, two words there and one back, another address space",
        peer("seL4", 475, 636),
        both(340, 390),
    ),
    case(
        "call_2w_fp",
        "the same, both sides compute with floating point each time",
        None,
        both(490, 650),
    ),
    case(
        "call_8w",
        "eight words there, one back",
        peer("seL4", 1379, 1868),
        both(360, 410),
    ),
    case(
        "call_32w",
        "32 words there, two back",
        peer("seL4", 1619, 2156),
        both(520, 650),
    ),
    case(
        "lease_4k",
        "4 KiB by lease into the server's own buffer",
        peer("Linux pipe", 16_218, 17_996),
        both(1800, 2400),
    ),
    case(
        "signal_wait",
        "a signal to a thread of higher priority, until it waits again",
        peer("seL4", 892, 1199),
        both(380, 450),
    ),
    case(
        "refused",
        "a signal through a handle that nobody gave",
        peer("seL4", 270, 401),
        both(100, 110),
    ),
    case(
        "call_cap",
        "a call with one capability moved, there or back",
        None,
        both(700, 800),
    ),
    case(
        "call_kept",
        "a call that another thread of the server answers, woken by a signal",
        None,
        both(1200, 1500),
    ),
    case(
        "call_timeout",
        "a call to nobody, until its deadline has passed; without the idle time",
        None,
        both(1500, 1800),
    ),
    case(
        "interrupt",
        "from a device's interrupt to its driver, a task that waits and outranks who runs",
        None,
        both(500, 600),
    ),
    case(
        "fault",
        "a page that is not there, to the task that handles faults and back to try again",
        peer("seL4", 1129, 0),
        both(600, 700),
    ),
    case(
        "thread",
        "a thread is made, runs, ends and is joined",
        peer("Linux", 37_340, 42_724),
        both(4000, 4500),
    ),
    case(
        "spawn",
        "the smallest program is loaded by the supervisor, run and waited for",
        peer("Linux", 110_876, 150_418),
        both(40_000, 40_000),
    ),
    case(
        "zero_page",
        "the first touch of a page",
        peer("Linux", 3983, 4288),
        both(900, 1300),
    ),
    case(
        "map_page",
        "a page is mapped, touched and unmapped",
        peer("Linux", 24_198, 20_050),
        both(2000, 2500),
    ),
    Case {
        by: By::Disk,
        ..case(
            "block_read_64k",
            "64 KiB of a disk into registered memory, by one call that waits",
            peer("Linux", 23_164, 32_738),
            both(6000, 7000),
        )
    },
    Case {
        by: By::Disk,
        ..case(
            "block_read_4k",
            "4 KiB of a disk into registered memory, by one call that waits",
            peer("Linux", 11_553, 15_898),
            both(5000, 6000),
        )
    },
    Case {
        by: By::Disk,
        ..case(
            "block_write_flush",
            "4 KiB of registered memory to a disk, and a flush: two calls that wait",
            peer("Linux", 33_035, 43_913),
            both(15_000, 18_000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "file_open_read_warm",
            "a file on a disk is opened and read: 4 KiB that the page cache has",
            peer("Linux", 9900, 11_489),
            both(6000, 7000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "ram_open_read",
            "the same of a file in memory",
            peer("Linux", 8244, 9654),
            both(4500, 5500),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "ram_open_part",
            "the same of a longer file, which is open then and closed",
            None,
            both(5500, 7000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "file_seq_read_64k",
            "the next 64 KiB of a file of 16 MiB, of which nothing is cached",
            peer("Linux", 76_361, 94_665),
            both(40_000, 50_000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "file_seq_write_64k",
            "the next 64 KiB of a file that grows to 16 MiB and then is made durable",
            peer("Linux", 158_870, 196_107),
            both(100_000, 120_000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "file_create",
            "a file is made, 4 KiB are written, it is closed; after 256 of them everything is \
             made durable",
            peer("Linux", 144_386, 178_890),
            both(100_000, 120_000),
        )
    },
    Case {
        by: By::Files,
        ..case(
            "file_overwrite_fsync",
            "4 KiB are written over others of a file and made durable",
            peer("Linux", 59_433, 74_376),
            both(45_000, 55_000),
        )
    },
    Case {
        by: By::Net,
        ..case(
            "net_udp_64",
            "a datagram of 64 bytes to the host, and its echo: two calls, one waits",
            peer("Linux", 16_626, 24_818),
            both(34_000, 44_000),
        )
    },
    Case {
        by: By::Net,
        ..case(
            "net_tcp_send_64k",
            "64 KiB of a connection to the host, until it has confirmed them",
            None,
            both(420_000, 750_000),
        )
    },
    Case {
        by: By::Net,
        ..case(
            "net_tcp_receive_64k",
            "64 KiB of a connection from the host, asked for by a byte",
            None,
            both(300_000, 600_000),
        )
    },
    Case {
        by: By::Bus,
        ..case(
            "net_tcp_ping",
            "64 bytes of a connection to another device, and their echo",
            None,
            both(100_000, 125_000),
        )
    },
    Case {
        by: By::Bus,
        ..case(
            "bus_ping",
            "a call of two words to a server on another device, and its answer of one",
            None,
            both(230_000, 310_000),
        )
    },
    Case {
        by: By::Bus,
        ..case(
            "net_tcp_read_1m",
            "1 MiB of a connection from another device, asked for by 64 bytes",
            None,
            both(12_000_000, 24_000_000),
        )
    },
    Case {
        by: By::Bus,
        ..case(
            "bus_read_1m",
            "1 MiB of a file on another device, by reads of 64 KiB",
            None,
            both(80_000_000, 190_000_000),
        )
    },
    Case {
        by: By::Boot,
        ..case(
            "boot",
            "from reset until `ls /`, by a script in the archive, has answered over console, \
             shell and files",
            peer("Linux", 776_000_000, 898_000_000),
            both(25_000_000, 40_000_000),
        )
    },
    Case {
        by: By::Memory,
        ..case(
            "memory",
            "the smallest machine on which the shell of `tiny` comes up and answers",
            peer("Linux", 48, 80),
            both(8, 8),
        )
    },
];

/// The case with this name.
pub fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}
