//! The sensor server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{
    Start,
    handle::Rights,
    interfaces::{Sensor, clients::SERVER_BADGES, virtio::VirtioClient},
    objects::EndpointClient,
    server::{Event, Receiver},
    start::AnyError,
    time::Instant,
};
use tessera_sensor::{
    Thermometer,
    lines::Lines,
    virtio::{MOST, VirtioConsole},
};

libipc::program!(run);

/// Signal bit of the device.
const SIGNAL: u64 = 1;

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("sensor")?;
    let mut thermometer = Thermometer::new(start.take("files")?);
    // Without a device the host sets nothing.
    let proxy: Option<VirtioClient> = start.take("device").ok();
    // The session of whoever signals ends if that task does. It is not that of a
    // predecessor, which ends now.
    let session = SERVER_BADGES | Instant::now().ticks();
    let mut device = match proxy.filter(is_there) {
        Some(proxy) => {
            let rights = Rights::SIGNAL | Rights::GRANT;
            let told = endpoint.mint(session, rights.bits().into(), 1)?;
            Some((VirtioConsole::new(proxy, told, SIGNAL)?, Lines::default()))
        }
        None => None,
    };
    let mut receiver = Receiver::new(&endpoint);
    let mut bytes = [0; MOST];
    loop {
        match receiver.next() {
            Ok(Event::Message(message)) => message.dispatch::<dyn Sensor>(&mut thermometer),
            Ok(Event::Signals(_)) => {
                let Some((console, lines)) = &mut device else {
                    continue;
                };
                while let Some(count) = console.receive(&mut bytes)? {
                    let set = lines.add(&bytes[..count]);
                    set.into_iter().for_each(|value| thermometer.set(value));
                }
            }
            Ok(Event::Closed(badge)) if badge == session => {
                return Err(AnyError::new("the device's proxy is gone"));
            }
            Ok(Event::Closed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the machine has the device.
fn is_there(proxy: &VirtioClient) -> bool {
    use libipc::CallError::Transport;
    !matches!(proxy.config(0, 1), Err(Transport(error)) if error.is_closed())
}
