//! The sensor server: see the library for how it works.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libipc::{Start, interfaces::Sensor, objects::EndpointClient, start::AnyError};
use tessera_sensor::Thermometer;

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take("sensor")?;
    let mut thermometer = Thermometer::new(start.take("files")?);
    let ended = libipc::serve::<dyn Sensor>(&endpoint, &mut thermometer);
    Err(AnyError::new(ended))
}
