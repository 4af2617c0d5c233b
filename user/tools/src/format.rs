//! Numbers and tables for people.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use unicode_width::UnicodeWidthStr;

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
}
