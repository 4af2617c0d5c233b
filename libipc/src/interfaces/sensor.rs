//! `Sensor`: something that is measured.

use super::*;

/// Why there is no reading. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum SensorError {
    /// Nothing has been measured yet.
    NoReading = 1,
    /// The device says what no reading can be.
    Device = 2,
}

describe!(SensorError {
    NoReading => "nothing has been measured yet",
    Device => "the device does not work",
});

/// What is measured. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Quantity {
    /// Temperature, in thousandths of a degree Celsius.
    #[default]
    Temperature = 0,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Reading {
    /// What it is.
    pub quantity: Quantity,
    /// How much, in the unit of the quantity.
    pub value: i64,
    /// How many readings there were, this one included.
    pub count: u64,
}

/// A sensor.
#[interface]
pub trait Sensor {
    /// The last reading. `NoReading`, `Device`.
    #[op(0, idempotent)]
    fn read(&mut self) -> Result<Reading, SensorError>;
}
