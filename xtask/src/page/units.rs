//! Sizes and times as people write them: `64K`, `2M`, `100ms`, `5s`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milliseconds(pub u32);

/// A short time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microseconds(pub u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match &text[digits.len()..] {
            "" => 1,
            "K" | "k" => 1 << 10,
            "M" | "m" => 1 << 20,
            "G" | "g" => 1 << 30,
            _ => return Err(format!("`{text}` is no size: write bytes, or 64K, 2M, 1G")),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or(format!("`{text}` is no size: write bytes, or 64K, 2M, 1G"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        if bytes == 0 || !bytes.is_multiple_of(1 << 10) {
            write!(f, "{bytes}")
        } else if bytes.is_multiple_of(1 << 20) {
            write!(f, "{}M", bytes >> 20)
        } else {
            write!(f, "{}K", bytes >> 10)
        }
    }
}

impl FromStr for Milliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = time(text, &[("ms", 1), ("s", 1000)]);
        let number = number.map(Self);
        number.ok_or(format!("`{text}` is no time: write 100ms or 5s"))
    }
}

impl FromStr for Microseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = time(text, &[("us", 1), ("ms", 1000), ("s", 1_000_000)]);
        let number = number.map(Self);
        number.ok_or(format!("`{text}` is no time: write 500us, 10ms or 1s"))
    }
}

/// Digits and one of these units, in the smallest of them.
fn time(text: &str, units: &[(&str, u32)]) -> Option<u32> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let mut units = units.iter();
    let (_, unit) = units.find(|(name, _)| *name == &text[digits.len()..])?;
    digits.parse::<u32>().ok()?.checked_mul(*unit)
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl Visitor<'_> for Sizes {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64K\"")
            }
            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Sizes)
    }
}

macro_rules! deserialize_time {
    ($($time:ty),*) => {$(
        impl<'de> Deserialize<'de> for $time {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    )*};
}

deserialize_time!(Milliseconds, Microseconds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64K", 65536), ("6M", 6 << 20)] {
            assert_eq!(text.parse(), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!("1G".parse(), Ok(Size(1 << 30)));
        for bad in ["", "K", "-1K", "1T", "1.5M", "99999999999G"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read() {
        assert_eq!("100ms".parse(), Ok(Milliseconds(100)));
        assert_eq!("5s".parse(), Ok(Milliseconds(5000)));
        for bad in ["", "5", "s", "5m", "-1s", "9999999s"] {
            assert!(bad.parse::<Milliseconds>().is_err(), "{bad}");
        }
        for (text, time) in [("500us", 500), ("10ms", 10_000), ("1s", 1_000_000)] {
            assert_eq!(text.parse(), Ok(Microseconds(time)));
        }
        for bad in ["", "5", "us", "5m", "-1us", "99999s", "1.5ms"] {
            assert!(bad.parse::<Microseconds>().is_err(), "{bad}");
        }
    }
}
