//! A virtual thermometer: what there is of a sensor on a machine that has none.
//!
//! The host writes readings to a device of the machine, each a line. Before it has written
//! one, or without the device, the reading stands in a file.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod lines;
pub mod virtio;

use libipc::{
    CallError, Text,
    interfaces::{
        DirectoryClient, FileAccess::Read, FileError, Reading, Sensor, SensorError,
        sensor::Quantity,
    },
};
use lines::thousandths;

/// Most bytes of a reading in a file.
const MOST: usize = 64;

/// The sensor.
#[derive(Debug)]
pub struct Thermometer {
    root: DirectoryClient,
    /// What the host wrote last.
    set: Option<i64>,
    count: u64,
}

impl Thermometer {
    /// One whose readings are in `/data/temperature` below this root, until the host has
    /// set one.
    pub fn new(root: DirectoryClient) -> Self {
        Thermometer {
            root,
            set: None,
            count: 0,
        }
    }

    /// The host has set it to so many thousandths of a degree.
    pub fn set(&mut self, thousandths: i64) {
        self.set = Some(thousandths);
    }

    fn text(&self, bytes: &mut [u8; MOST]) -> Result<usize, CallError<FileError>> {
        let name = |text| Text::new(text).unwrap_or_default();
        let data = self.root.open_directory(name("data"), Read)?;
        let (length, _) = data.open_read(name("temperature"), &mut bytes[..])?;
        Ok(length as usize)
    }

    fn of_file(&self) -> Result<i64, SensorError> {
        let mut bytes = [0; MOST];
        let length = self.text(&mut bytes).map_err(|_| SensorError::NoReading)?;
        let text = bytes
            .get(..length)
            .and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.and_then(thousandths).ok_or(SensorError::Device)
    }
}

impl Sensor for Thermometer {
    fn read(&mut self) -> Result<Reading, SensorError> {
        let value = match self.set {
            Some(value) => value,
            None => self.of_file()?,
        };
        self.count += 1;
        Ok(Reading {
            quantity: Quantity::Temperature,
            value,
            count: self.count,
        })
    }
}
