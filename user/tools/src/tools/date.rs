//! `date`: what time it is.

use alloc::format;
use alloc::string::String;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["clock"],
    ..About::new("date", "date", "show the time in UTC")
};

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days of 400 years, after which the calendar is the same again.
const ERA: u64 = 146_097;

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let now = in_words(io.system().wall_time()?);
    io.print(format_args!("{now}\n"))?;
    Ok(0)
}

/// A time in nanoseconds since 1970.
pub(crate) fn in_words(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (year, month, day) = calendar(seconds / DAY);
    let time = seconds % DAY;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day counted from 1970 on, in the calendar of today. Years
/// are counted from March on, so that the day that not all have is their last.
fn calendar(days: u64) -> (u64, u64, u64) {
    // From the first of March of the year 0.
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    // Every fourth year has a day more, but every hundredth, but every 400th.
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months have 153 days, from March and from August on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 400 * era + year;
    match month {
        0..10 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn the_time_in_words() {
        let mut fake = Fake::new();
        assert_ne!(fake.run(&["date"]), 0);
        fake.grant("clock");
        assert_eq!(fake.run(&["date"]), 0);
        assert_eq!(fake.output(), "2023-11-14 22:13:20 UTC\n");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        assert_eq!(calendar(0), (1970, 1, 1));
        assert_eq!(calendar(11_016), (2000, 2, 29));
        assert_eq!(calendar(47_541), (2100, 3, 1));
        let every = |years: u64, year: u64| year.is_multiple_of(years);
        let leap = |year| every(4, year) && (!every(100, year) || every(400, year));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(calendar(days), (year, month, day));
            let length = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
