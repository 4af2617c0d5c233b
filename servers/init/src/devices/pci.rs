//! Functions of a PCI bus: which there are, where their registers lie, and what they
//! may do (PCI Local Bus Specification 3.0, 6; PCI Express Base Specification, 7.2.2).
//!
//! Who can write the configuration of a function can put its registers over another's
//! and have it write to memory, so nobody but the supervisor does. Until a function is
//! given to somebody it answers at no address, reads and writes no memory, and
//! interrupts nobody.

use super::{
    capabilities,
    host::{Host, Window},
};
use alloc::{rc::Rc, vec::Vec};
use libipc::{
    PAGE, handle::Rights, interfaces::clients::VirtioPci, memory::Mapping, objects::SystemClient,
};

/// Functions of a bus, and bytes of the configuration of each.
const FUNCTIONS: u16 = 256;
const CONFIGURATION: usize = 4096;

/// Places in the configuration of a function, each of four bytes.
pub(super) mod register {
    /// Vendor, device.
    pub(crate) const ID: u16 = 0x00;
    /// Command, status.
    pub(crate) const COMMAND: u16 = 0x04;
    /// Type of what follows, in the third byte.
    pub(crate) const HEADER: u16 = 0x0c;
    /// Six base addresses.
    pub(crate) const BARS: u16 = 0x10;
    /// Vendor and device of who made the card.
    pub(crate) const SUBSYSTEM: u16 = 0x2c;
    /// Where the list of capabilities begins.
    pub(crate) const CAPABILITIES: u16 = 0x34;
    /// Pin of the interrupt, in the second byte.
    pub(crate) const INTERRUPT: u16 = 0x3c;
}

/// Bits of the command.
mod command {
    pub(super) const MEMORY: u32 = 1 << 1;
    pub(super) const BUS_MASTER: u32 = 1 << 2;
    pub(super) const NO_INTERRUPT: u32 = 1 << 10;
}

/// Nobody is there.
const NO_VENDOR: u32 = 0xffff;
/// More functions than the first.
const MANY: u32 = 0x80;
/// The type of a function that is no bridge.
const ENDPOINT: u32 = 0;
/// Base addresses: in the space of ports; with the next one's bits above.
const PORTS: u32 = 1;
const WIDE: u32 = 2 << 1;
const FLAGS: u32 = 0xf;

/// The configuration of the functions of a bus.
pub(super) trait Space {
    /// Reads four bytes.
    fn read(&self, function: u16, register: u16) -> u32;
    /// Writes them.
    fn write(&self, function: u16, register: u16, value: u32);
}

/// It lies in memory: function after function.
#[derive(Debug)]
pub(super) struct Ecam(Mapping);

impl Ecam {
    fn place(function: u16, register: u16) -> usize {
        usize::from(function) * CONFIGURATION + usize::from(register)
    }
}

impl Space for Ecam {
    fn read(&self, function: u16, register: u16) -> u32 {
        let read = self.0.read(Self::place(function, register));
        // What nobody answers.
        read.unwrap_or(u32::MAX)
    }

    fn write(&self, function: u16, register: u16, value: u32) {
        let written = self.0.write(Self::place(function, register), value);
        debug_assert!(written.is_some(), "a whole bus is mapped");
    }
}

/// Memory in which a function has registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// As the processor knows it.
    pub(super) address: u64,
    /// Bytes, a power of two.
    pub(super) length: u64,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Device and function on the bus.
    pub(super) number: u16,
    /// Its memory, by number of the base address.
    pub(super) bars: [Option<Bar>; 6],
    /// Where it interrupts.
    pub(super) line: Option<u64>,
    /// What it is of a virtio device.
    pub(super) virtio: Option<(u8, VirtioPci)>,
}

/// The functions of the first bus.
#[derive(Debug)]
pub(super) struct Bus {
    space: Rc<Ecam>,
    pub(super) functions: Vec<Function>,
}

impl Bus {
    /// Walks the bus behind this bridge, and gives each function addresses.
    pub(super) fn new(system: &SystemClient, host: &Host<'_>) -> Option<Bus> {
        let length = u64::from(FUNCTIONS) * CONFIGURATION as u64;
        let (address, there) = host.configuration;
        let pages = length.min(there) / PAGE as u64;
        let memory = system.device_memory(address, pages).ok()?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE).ok()?;
        let space = Rc::new(Ecam(mapping));
        let functions = walk(&*space, host);
        Some(Bus { space, functions })
    }

    /// The power over one function.
    pub(super) fn switch(&self, number: u16) -> Switch {
        Switch {
            space: self.space.clone(),
            number,
        }
    }
}

/// Turns a function on and off.
#[derive(Debug)]
pub(super) struct Switch {
    space: Rc<Ecam>,
    number: u16,
}

impl Switch {
    /// It answers at its addresses, reads and writes memory, and interrupts.
    pub(super) fn on(&self) {
        let on = command::MEMORY | command::BUS_MASTER;
        self.space.write(self.number, register::COMMAND, on);
    }

    /// Nothing of that.
    pub(super) fn off(&self) {
        off(&*self.space, self.number);
    }
}

fn off(space: &impl Space, function: u16) {
    space.write(function, register::COMMAND, command::NO_INTERRUPT);
}

/// Each function that is no bridge, turned off, with addresses.
fn walk(space: &impl Space, host: &Host<'_>) -> Vec<Function> {
    let mut room = Room::new(&host.windows);
    let mut functions = Vec::new();
    for device in (0..FUNCTIONS).step_by(8) {
        let header = |function| space.read(function, register::HEADER) >> 16;
        let is_there = |function| space.read(function, register::ID) & 0xffff != NO_VENDOR;
        if !is_there(device) {
            continue;
        }
        let count = if header(device) & MANY != 0 { 8 } else { 1 };
        for number in device..device + count {
            if is_there(number) && header(number) & (MANY - 1) == ENDPOINT {
                off(space, number);
                let bars = bars(space, number, &mut room);
                let pin = (space.read(number, register::INTERRUPT) >> 8) as u8;
                functions.push(Function {
                    number,
                    bars,
                    line: host.line(number, pin),
                    virtio: capabilities::virtio(space, number, &bars),
                });
            }
        }
    }
    functions
}

/// Gives a function its addresses. What has no room has none.
fn bars(space: &impl Space, function: u16, room: &mut Room<'_>) -> [Option<Bar>; 6] {
    let mut bars = [None; 6];
    let mut number = 0;
    while number < bars.len() {
        let register = register::BARS + 4 * number as u16;
        // All bits that can be set are those above its size.
        let sized = |register| {
            space.write(function, register, u32::MAX);
            space.read(function, register)
        };
        let low = sized(register);
        let wide = low & (PORTS | FLAGS & !8) == WIDE;
        let mask = match low & PORTS {
            0 if wide && number + 1 < bars.len() => {
                u64::from(sized(register + 4)) << 32 | u64::from(low & !FLAGS)
            }
            0 if !wide && low & !FLAGS != 0 => !0 << 32 | u64::from(low & !FLAGS),
            _ => 0,
        };
        let length = (!mask).wrapping_add(1);
        let taken = room.take(length, wide);
        let (bar, bus) = taken.unwrap_or_default();
        space.write(function, register, bus as u32);
        if wide && number + 1 < bars.len() {
            space.write(function, register + 4, (bus >> 32) as u32);
        }
        bars[number] = taken.map(|_| bar);
        number += 1 + usize::from(wide);
    }
    bars
}

/// Addresses that no function has yet: how much of each window is taken.
struct Room<'w>(Vec<(&'w Window, u64)>);

impl<'w> Room<'w> {
    fn new(windows: &'w [Window]) -> Room<'w> {
        Room(windows.iter().map(|window| (window, 0)).collect())
    }

    /// So many bytes, a power of two, on pages of their own: where they are, for the
    /// processor and on the bus.
    fn take(&mut self, length: u64, wide: bool) -> Option<(Bar, u64)> {
        if !length.is_power_of_two() {
            return None;
        }
        let align = length.max(PAGE as u64);
        self.0.iter_mut().find_map(|(window, taken)| {
            let first = window.bus.checked_add(*taken)?;
            // An address of 0 means none, to some.
            let bus = first.max(1).checked_next_multiple_of(align)?;
            let offset = bus - window.bus;
            let end = offset.checked_add(align)?;
            let address = window.address.checked_add(offset)?;
            let reached = wide || window.bus.checked_add(end)? <= 1 << 32;
            let fits = end <= window.length && reached && address.is_multiple_of(PAGE as u64);
            fits.then(|| {
                *taken = end;
                (Bar { address, length }, bus)
            })
        })
    }
}

impl Default for Bar {
    /// None.
    fn default() -> Bar {
        Bar {
            address: 0,
            length: 0,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;
    use super::*;
    use core::cell::RefCell;
    use std::{collections::BTreeMap, vec};

    /// A bus with these words, and which bits of them can be written.
    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) words: RefCell<BTreeMap<(u16, u16), u32>>,
        pub(crate) writable: BTreeMap<(u16, u16), u32>,
    }

    impl Fake {
        pub(crate) fn set(&mut self, function: u16, register: u16, value: u32) {
            self.words.get_mut().insert((function, register), value);
        }
        /// A base address with these flags that takes so many bytes.
        fn bar(&mut self, function: u16, number: u16, flags: u32, length: u64) {
            let mask = length.wrapping_neg();
            let register = register::BARS + 4 * number;
            self.set(function, register, flags);
            self.writable.insert((function, register), mask as u32);
            if flags & WIDE != 0 {
                self.set(function, register + 4, 0);
                let high = (mask >> 32) as u32;
                self.writable.insert((function, register + 4), high);
            }
        }
        fn function(&mut self, function: u16, header: u32) {
            self.set(function, register::ID, 0x1042_1af4);
            self.set(function, register::HEADER, header << 16);
            self.set(function, register::INTERRUPT, 1 << 8);
            self.set(function, register::COMMAND, 7);
            self.writable.insert((function, register::COMMAND), 0xffff);
        }
    }

    impl Space for Fake {
        fn read(&self, function: u16, register: u16) -> u32 {
            let words = self.words.borrow();
            let absent = match words.contains_key(&(function, register::ID)) {
                true => 0,
                false => u32::MAX,
            };
            words.get(&(function, register)).copied().unwrap_or(absent)
        }
        fn write(&self, function: u16, register: u16, value: u32) {
            let mask = self.writable.get(&(function, register)).copied();
            let mask = mask.unwrap_or(0);
            if let Some(word) = self.words.borrow_mut().get_mut(&(function, register)) {
                *word = *word & !mask | value & mask;
            }
        }
    }

    fn windows() -> Vec<Window> {
        vec![
            Window {
                bus: 0x1000_0000,
                address: 0x5000_0000,
                length: 0x10_0000,
            },
            Window {
                bus: 0x80_0000_0000,
                address: 0x80_0000_0000,
                length: 1 << 40,
            },
        ]
    }

    #[test]
    fn every_function_has_pages_of_its_own_and_is_off() {
        let mut fake = Fake::default();
        fake.function(0, 0);
        fake.function(8, MANY);
        fake.bar(8, 1, 0, 0x1000);
        fake.bar(8, 4, WIDE | 8, 0x4000);
        fake.function(11, 0);
        fake.bar(11, 0, 0, 64);
        fake.bar(11, 1, PORTS, 128);
        fake.bar(11, 2, 0, 64);
        // No more functions count where only the first is said to be.
        fake.function(16, 0);
        fake.function(17, 0);
        // A bridge.
        fake.function(24, 1);
        let windows = windows();
        let mut room = Room::new(&windows);
        let bar = |address, length| Some(Bar { address, length });
        assert_eq!(
            bars(&fake, 8, &mut room),
            [
                None,
                bar(0x5000_0000, 0x1000),
                None,
                None,
                bar(0x5000_4000, 0x4000),
                None
            ]
        );
        assert_eq!(fake.read(8, 0x14), 0x1000_0000);
        assert_eq!((fake.read(8, 0x20), fake.read(8, 0x24)), (0x1000_400c, 0));
        // What is small has a page nevertheless; ports have no address.
        let small = bars(&fake, 11, &mut room);
        let third = bar(0x5000_9000, 64);
        assert_eq!(small[..3], [bar(0x5000_8000, 64), None, third]);
        assert_eq!(fake.read(11, 0x14), PORTS);

        let host = Host::without_lines(windows);
        let functions = walk(&fake, &host);
        let numbers: Vec<_> = functions.iter().map(|one| one.number).collect();
        assert_eq!(numbers, [0, 8, 11, 16]);
        for number in numbers {
            let command = fake.read(number, register::COMMAND);
            assert_eq!(command, command::NO_INTERRUPT);
        }
        assert_eq!(fake.read(24, register::COMMAND), 7);
    }

    #[test]
    fn what_has_no_room_has_no_address() {
        let mut fake = Fake::default();
        fake.function(8, 0);
        fake.bar(8, 0, 0, 0x20_0000);
        fake.bar(8, 1, WIDE, 1 << 33);
        fake.bar(8, 3, WIDE, 1 << 63);
        // The last one has nowhere to keep its other half.
        fake.bar(8, 5, WIDE, 0x1000);
        let windows = windows();
        let found = bars(&fake, 8, &mut Room::new(&windows));
        let wide = Bar {
            address: 0x80_0000_0000,
            length: 1 << 33,
        };
        assert_eq!(found, [None, Some(wide), None, None, None, None]);
        assert_eq!(fake.read(8, 0x10), 0);
        assert_eq!((fake.read(8, 0x14), fake.read(8, 0x18)), (WIDE, 0x80));
        // Zeros and ones alone are no size.
        for stuck in [0, u32::MAX] {
            let mut fake = Fake::default();
            fake.function(8, 0);
            (0..6).for_each(|number| fake.set(8, 0x10 + 4 * number, stuck));
            assert_eq!(bars(&fake, 8, &mut Room::new(&windows)), [None; 6]);
        }
    }
}
