//! Drives the serial line, as far as being woken by it is concerned.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use libipc::{
    Start,
    interfaces::clients::DeviceArgument,
    objects::{EndpointClient, InterruptClient, MemoryClient},
    server::{Event, Receiver},
    start::AnyError,
    time::Instant,
};
use tessera_bench::{
    driver::{Driver, DriverError},
    mark,
    uart::Uart,
};

libipc::program!(run);

struct Server {
    woken: Option<Instant>,
}

impl Driver for Server {
    fn woken(&mut self) -> Result<u64, DriverError> {
        let woken = self.woken.take().ok_or(DriverError::Nothing)?;
        Ok(woken.ticks())
    }
}

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("driver")?;
    let mut arguments = start.arguments().iter();
    let device = arguments.find_map(|argument| DeviceArgument::parse(argument));
    let device = device.ok_or_else(|| AnyError::new("no device was found"))?;
    let registers: MemoryClient = start.take(device.name)?;
    let interrupt: InterruptClient = start.take(&format!("{}-irq", device.name))?;
    let mut uart = Uart::new(&registers, device.compatible, device.offset)?;
    uart.announce_room(false);
    interrupt.bind(&endpoint, 1)?;

    let mut server = Server { woken: None };
    let mut receiver = Receiver::new(&endpoint);
    loop {
        match receiver.next()? {
            Event::Signals(_) => {
                mark::close();
                server.woken = Some(Instant::now());
                uart.announce_room(false);
                interrupt.acknowledge()?;
            }
            Event::Message(message) => message.dispatch::<dyn Driver>(&mut server),
            Event::Closed(_) => {}
        }
    }
}
