//! Numbers and tables for people.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use unicode_width::UnicodeWidthStr;

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days of 400 years, after which the calendar is the same again.
const ERA: u64 = 146_097;

/// A number of bytes: `512`, `1.5K`, `64M`.
pub fn bytes(count: u64) -> String {
    let units = ['K', 'M', 'G', 'T', 'P'];
    let mut value = count;
    let mut rest = 0;
    let mut unit = None;
    for next in units {
        if value < 1024 {
            break;
        }
        (value, rest, unit) = (value / 1024, value % 1024, Some(next));
    }
    match unit {
        None => format!("{value}"),
        Some(unit) if value < 10 && rest >= 103 => format!("{value}.{}{unit}", rest * 10 / 1024),
        Some(unit) => format!("{value}{unit}"),
    }
}

/// A time in microseconds: `1.234s`, `2m03s`, `1d02h`.
pub fn duration(microseconds: u64) -> String {
    let seconds = microseconds / 1_000_000;
    match seconds {
        0..60 => format!("{seconds}.{:03}s", microseconds / 1000 % 1000),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A time in nanoseconds since 1970: `2023-11-14 22:13:20 UTC`.
pub fn date(nanoseconds: u64) -> String {
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

/// Lays out rows in columns: those named in `right` right-aligned, the last one
/// as it comes.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            rows.iter()
                .filter_map(|r| r.get(c))
                .map(|t| t.width())
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column].saturating_sub(cell.width()));
            if right.contains(&column) {
                line += &padding;
                line += cell;
            } else {
                line += cell;
                line += &padding;
            }
            line += "  ";
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Lays out names in columns, down and then across, in lines of `width`.
pub fn columns(names: &[String], width: usize) -> String {
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0) + 2;
    let across = (width / widest).max(1);
    let down = names.len().div_ceil(across);
    let mut text = String::new();
    for row in 0..down {
        let mut line = String::new();
        for name in names.iter().skip(row).step_by(down) {
            line += name;
            line += &" ".repeat(widest - name.width());
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 1023, 1024, 1536, 10 << 10, 64 << 20, u64::MAX];
        let texts = sizes.map(bytes);
        assert_eq!(texts, ["0", "1023", "1K", "1.5K", "10K", "64M", "16383P"]);
        let times = [0, 1_234_567, 123_000_000, 3_600_000_000, 93_600_000_000];
        let texts = times.map(duration);
        assert_eq!(texts, ["0.000s", "1.234s", "2m03s", "1h00m", "1d02h"]);
    }

    #[test]
    fn tables_align() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let text = table(
            &[row(["ID", "NAME", "X"]), row(["10", "é", "long x"])],
            &[0],
        );
        assert_eq!(text, "ID  NAME  X\n10  é     long x\n");
        let names = vec!["a".into(), "bb".into(), "c".into()];
        assert_eq!(columns(&names, 8), "a   c\nbb\n");
        assert_eq!(columns(&names, 1), "a\nbb\nc\n");
        assert_eq!(columns(&[], 80), "");
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
