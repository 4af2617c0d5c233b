//! A thermometer whose readings stand in a file: what there is of a sensor on a machine
//! that has none.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

use libipc::{
    CallError, Text,
    interfaces::{
        DirectoryClient, FileAccess::Read, FileError, Reading, Sensor, SensorError,
        sensor::Quantity,
    },
};

/// Most bytes of a reading.
const MOST: usize = 64;

/// The sensor.
#[derive(Debug)]
pub struct Thermometer {
    root: DirectoryClient,
    count: u64,
}

impl Thermometer {
    /// One whose readings are in `/data/temperature` below this root.
    pub fn new(root: DirectoryClient) -> Self {
        Thermometer { root, count: 0 }
    }

    fn text(&self, bytes: &mut [u8; MOST]) -> Result<usize, CallError<FileError>> {
        let name = |text| Text::new(text).unwrap_or_default();
        let data = self.root.open_directory(name("data"), Read)?;
        let (length, _) = data.open_read(name("temperature"), &mut bytes[..])?;
        Ok(length as usize)
    }
}

impl Sensor for Thermometer {
    fn read(&mut self) -> Result<Reading, SensorError> {
        let mut bytes = [0; MOST];
        let length = self.text(&mut bytes).map_err(|_| SensorError::NoReading)?;
        let text = bytes
            .get(..length)
            .and_then(|bytes| core::str::from_utf8(bytes).ok());
        let value = text.and_then(thousandths).ok_or(SensorError::Device)?;
        self.count += 1;
        Ok(Reading {
            quantity: Quantity::Temperature,
            value,
            count: self.count,
        })
    }
}

/// A number with at most three digits behind the point, in thousandths.
///
/// ```
/// use tessera_sensor::thousandths;
/// assert_eq!(thousandths(" -21.5\n"), Some(-21_500));
/// assert_eq!(thousandths("7"), Some(7_000));
/// assert_eq!(thousandths("0.0001"), None);
/// assert_eq!(thousandths("warm"), None);
/// ```
pub fn thousandths(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 || whole.len() > 9 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let scale = [1000, 100, 10, 1][part.len()];
    let part: i64 = match part {
        "" => 0,
        part => part.parse().ok()?,
    };
    Some(sign * (whole * 1000 + part * scale))
}
