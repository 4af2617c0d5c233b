//! Registers of PL011 and NS16550: the only unsafe code of the server.
#![allow(unsafe_code, reason = "device registers")]

use core::ptr::NonNull;
use libipc::{
    PAGE, Start,
    handle::Rights,
    interfaces::clients::DeviceArgument,
    memory::Mapping,
    objects::{InterruptClient, MemoryClient},
    start::AnyError,
};

/// A serial line.
pub trait Uart {
    /// Sets it up: 8 bits, FIFOs on, an interrupt for each received byte.
    fn start(&mut self);
    /// The next received byte.
    fn receive(&mut self) -> Option<u8>;
    /// Sends as much of `bytes` as the FIFO takes now; returns how many.
    fn send(&mut self, bytes: &[u8]) -> usize;
    /// Whether an interrupt is to come when more can be sent.
    fn announce_room(&mut self, on: bool);
    /// Clears what the device holds of an interrupt that was served.
    fn clear_interrupt(&mut self);
}

/// A driver for the device that the task was given, and its interrupt.
pub fn find(start: &mut Start) -> Result<(Driver, InterruptClient), AnyError> {
    let mut arguments = start.arguments().iter();
    let device = arguments.find_map(|argument| DeviceArgument::parse(argument));
    let device = device.ok_or_else(|| AnyError::new("no device was found for the console"))?;
    let registers: MemoryClient = start.take(device.name)?;
    let interrupt = start.take(&alloc::format!("{}-irq", device.name))?;
    let mapping = Mapping::new(&registers, Rights::READ | Rights::WRITE)?;
    let driver = driver(device.compatible, mapping, device.offset)
        .ok_or_else(|| AnyError::new("the console has no driver for its device"))?;
    Ok((driver, interrupt))
}

/// A driver for the device with this `compatible` string, whose registers begin
/// at `offset` in the mapping. `None` if there is no driver for it or the
/// registers do not lie in the mapping.
fn driver(compatible: &str, mapping: Mapping, offset: u64) -> Option<Driver> {
    let registers = Registers::new(mapping, offset)?;
    match compatible {
        "arm,pl011" => Some(Driver::Pl011(Pl011 { registers })),
        "ns16550a" | "ns16550" => Some(Driver::Ns16550(Ns16550 { registers })),
        _ => None,
    }
}

/// Either driver.
#[derive(Debug)]
pub enum Driver {
    /// ARM's PrimeCell.
    Pl011(Pl011),
    /// The PC's.
    Ns16550(Ns16550),
}

impl Driver {
    fn uart(&mut self) -> &mut dyn Uart {
        match self {
            Driver::Pl011(uart) => uart,
            Driver::Ns16550(uart) => uart,
        }
    }
}

impl Uart for Driver {
    fn start(&mut self) {
        self.uart().start();
    }
    fn receive(&mut self) -> Option<u8> {
        self.uart().receive()
    }
    fn send(&mut self, bytes: &[u8]) -> usize {
        self.uart().send(bytes)
    }
    fn announce_room(&mut self, on: bool) {
        self.uart().announce_room(on);
    }
    fn clear_interrupt(&mut self) {
        self.uart().clear_interrupt();
    }
}

/// The mapped registers of one device.
#[derive(Debug)]
struct Registers {
    base: NonNull<u8>,
    /// Keeps the registers mapped.
    _mapping: Mapping,
}

/// Bytes of registers that either driver uses.
const USED: usize = 0x48;

impl Registers {
    fn new(mapping: Mapping, offset: u64) -> Option<Self> {
        let offset = usize::try_from(offset).ok()?;
        let fits = offset.is_multiple_of(4) && offset <= PAGE - USED && mapping.len() >= PAGE;
        let base = NonNull::new((mapping.address() + offset) as *mut u8)?;
        fits.then_some(Registers {
            base,
            _mapping: mapping,
        })
    }

    fn read32(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= USED && offset.is_multiple_of(4));
        // SAFETY: `offset` is within the registers, as just checked.
        let register = unsafe { self.base.add(offset) }.cast::<u32>();
        // SAFETY: `new` made sure that the registers lie in the mapping, which
        // lives as long as `self`, and are aligned; reading one has no effect on
        // memory.
        unsafe { register.read_volatile() }
    }

    fn write32(&mut self, offset: usize, value: u32) {
        assert!(offset + 4 <= USED && offset.is_multiple_of(4));
        // SAFETY: `offset` is within the registers, as just checked.
        let register = unsafe { self.base.add(offset) }.cast::<u32>();
        // SAFETY: as in `read32`; neither device reads or writes memory.
        unsafe { register.write_volatile(value) };
    }

    fn read8(&self, offset: usize) -> u8 {
        assert!(offset < USED);
        // SAFETY: `offset` is within the registers, as just checked.
        let register = unsafe { self.base.add(offset) };
        // SAFETY: as in `read32`.
        unsafe { register.read_volatile() }
    }

    fn write8(&mut self, offset: usize, value: u8) {
        assert!(offset < USED);
        // SAFETY: `offset` is within the registers, as just checked.
        let register = unsafe { self.base.add(offset) };
        // SAFETY: as in `write32`.
        unsafe { register.write_volatile(value) };
    }
}

/// ARM's PrimeCell UART (ARM DDI 0183).
#[derive(Debug)]
pub struct Pl011 {
    registers: Registers,
}

mod pl011 {
    /// Data, with errors above the low byte.
    pub(super) const DATA: usize = 0x00;
    pub(super) const FLAGS: usize = 0x18;
    pub(super) const LINE_CONTROL: usize = 0x2c;
    pub(super) const CONTROL: usize = 0x30;
    /// FIFO levels at which interrupts come.
    pub(super) const LEVELS: usize = 0x34;
    /// Enabled interrupts.
    pub(super) const MASK: usize = 0x38;
    pub(super) const CLEAR: usize = 0x44;

    pub(super) const RECEIVE_EMPTY: u32 = 1 << 4;
    pub(super) const SEND_FULL: u32 = 1 << 5;
    pub(super) const EIGHT_BITS: u32 = 3 << 5;
    pub(super) const FIFO: u32 = 1 << 4;
    pub(super) const ENABLE: u32 = 1 << 0 | 1 << 8 | 1 << 9;
    /// Bytes are there; bytes have been there for a while.
    pub(super) const RECEIVED: u32 = 1 << 4 | 1 << 6;
    pub(super) const SENT: u32 = 1 << 5;
    pub(super) const ALL: u32 = 0x7ff;
}

impl Uart for Pl011 {
    fn start(&mut self) {
        use pl011::*;
        self.registers.write32(MASK, 0);
        self.registers.write32(CLEAR, ALL);
        self.registers.write32(LINE_CONTROL, EIGHT_BITS | FIFO);
        // Interrupts at an eighth of the receive and send FIFO.
        self.registers.write32(LEVELS, 0);
        self.registers.write32(CONTROL, ENABLE);
        self.registers.write32(MASK, RECEIVED);
    }

    fn receive(&mut self) -> Option<u8> {
        let empty = self.registers.read32(pl011::FLAGS) & pl011::RECEIVE_EMPTY != 0;
        (!empty).then(|| self.registers.read32(pl011::DATA) as u8)
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.registers.read32(pl011::FLAGS) & pl011::SEND_FULL != 0 {
                return index;
            }
            self.registers.write32(pl011::DATA, byte.into());
        }
        bytes.len()
    }

    fn announce_room(&mut self, on: bool) {
        let sent = if on { pl011::SENT } else { 0 };
        self.registers.write32(pl011::MASK, pl011::RECEIVED | sent);
    }

    fn clear_interrupt(&mut self) {
        self.registers.write32(pl011::CLEAR, pl011::ALL);
    }
}

/// The PC's UART with FIFOs, registers a byte apart.
#[derive(Debug)]
pub struct Ns16550 {
    registers: Registers,
}

mod ns16550 {
    pub(super) const DATA: usize = 0;
    pub(super) const INTERRUPTS: usize = 1;
    /// Read: why it interrupts. Written: FIFO control.
    pub(super) const FIFO: usize = 2;
    pub(super) const LINE_CONTROL: usize = 3;
    pub(super) const MODEM_CONTROL: usize = 4;
    pub(super) const LINE_STATUS: usize = 5;

    pub(super) const RECEIVED: u8 = 1 << 0;
    pub(super) const SENT: u8 = 1 << 1;
    pub(super) const EIGHT_BITS: u8 = 3;
    pub(super) const FIFO_ON_AND_EMPTY: u8 = 7;
    /// Terminal ready, request to send, interrupts out.
    pub(super) const READY: u8 = 1 << 0 | 1 << 1 | 1 << 3;
    pub(super) const DATA_READY: u8 = 1 << 0;
    pub(super) const SEND_EMPTY: u8 = 1 << 5;
    /// Bytes that the send FIFO holds.
    pub(super) const DEPTH: usize = 16;
}

impl Uart for Ns16550 {
    fn start(&mut self) {
        use ns16550::*;
        self.registers.write8(INTERRUPTS, 0);
        self.registers.write8(LINE_CONTROL, EIGHT_BITS);
        self.registers.write8(FIFO, FIFO_ON_AND_EMPTY);
        self.registers.write8(MODEM_CONTROL, READY);
        self.registers.write8(INTERRUPTS, RECEIVED);
    }

    fn receive(&mut self) -> Option<u8> {
        let ready = self.registers.read8(ns16550::LINE_STATUS) & ns16550::DATA_READY != 0;
        ready.then(|| self.registers.read8(ns16550::DATA))
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        // The status only tells when the FIFO is empty, and then it is whole.
        if self.registers.read8(ns16550::LINE_STATUS) & ns16550::SEND_EMPTY == 0 {
            return 0;
        }
        let count = bytes.len().min(ns16550::DEPTH);
        for &byte in &bytes[..count] {
            self.registers.write8(ns16550::DATA, byte);
        }
        count
    }

    fn announce_room(&mut self, on: bool) {
        let sent = if on { ns16550::SENT } else { 0 };
        self.registers
            .write8(ns16550::INTERRUPTS, ns16550::RECEIVED | sent);
    }

    fn clear_interrupt(&mut self) {
        // Reading why it interrupts clears what reading or writing data does not.
        self.registers.read8(ns16550::FIFO);
    }
}
