//! The clock server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use libipc::{
    Start,
    handle::Rights,
    interfaces::{clients::DeviceArgument, clock::Clock},
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
    start::AnyError,
};
use tessera_rtc::device::Rtc;

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("clock")?;
    let mut arguments = start.arguments().iter();
    let device = arguments.find_map(|argument| DeviceArgument::parse(argument));
    let device = device.ok_or_else(|| AnyError::new("no device was given to this task"))?;
    let registers: MemoryClient = start.take(device.name)?;
    let mapping = Mapping::new(&registers, Rights::READ | Rights::WRITE)?;
    let rtc = Rtc::new(device.compatible, mapping, device.offset);
    let mut rtc = rtc.ok_or_else(|| AnyError::new("there is no driver for this clock"))?;
    Err(libipc::serve::<dyn Clock>(&endpoint, &mut rtc).into())
}
