//! What the host writes: numbers, each a line.

/// Most bytes of a line that can be a number.
const MOST: usize = 32;

/// Lines out of bytes that come in any pieces.
///
/// ```
/// use tessera_sensor::lines::Lines;
/// let mut lines = Lines::default();
/// assert_eq!(lines.add(b"21.5\n1"), Some(21_500));
/// assert_eq!(lines.add(b"9\r\nwarm\n"), Some(19_000));
/// assert_eq!(lines.add(b"20"), None);
/// assert_eq!(lines.add(b"\n"), Some(20_000));
/// ```
#[derive(Debug, Default)]
pub struct Lines {
    begun: [u8; MOST],
    length: usize,
    /// The line is too long to be a number.
    too_long: bool,
}

impl Lines {
    /// More bytes; the last number of the lines that they end. Other lines count for
    /// nothing.
    pub fn add(&mut self, bytes: &[u8]) -> Option<i64> {
        let mut last = None;
        for byte in bytes {
            if *byte == b'\n' {
                last = self.number().or(last);
                (self.length, self.too_long) = (0, false);
            } else if let Some(place) = self.begun.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            } else {
                self.too_long = true;
            }
        }
        last
    }

    fn number(&self) -> Option<i64> {
        let line = self.begun.get(..self.length).filter(|_| !self.too_long)?;
        thousandths(core::str::from_utf8(line).ok()?)
    }
}

/// A number with at most three digits behind the point, in thousandths.
///
/// ```
/// use tessera_sensor::lines::thousandths;
/// assert_eq!(thousandths(" -21.5\n"), Some(-21_500));
/// assert_eq!(thousandths("7"), Some(7_000));
/// assert_eq!(thousandths("0.0001"), None);
/// assert_eq!(thousandths("warm"), None);
/// assert_eq!(thousandths("."), None);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_counts_for_nothing() {
        let mut lines = Lines::default();
        assert_eq!(lines.add(b""), None);
        assert_eq!(lines.add(b"\n\n \n"), None);
        assert_eq!(lines.add(b"\xff\xfe\n-3.25\nnone\n"), Some(-3_250));
        // What is too long is left out as a whole, and the next line counts.
        assert_eq!(lines.add(&[b'1'; 100]), None);
        assert_eq!(lines.add(b"\n8\n"), Some(8_000));
        assert_eq!(lines.add(&[b' '; MOST + 1]), None);
        assert_eq!(lines.add(b"9\n"), None);
        assert_eq!(lines.add(b"9\n"), Some(9_000));
    }
}
