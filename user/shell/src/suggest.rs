//! What may have been meant.

use alloc::string::String;
use alloc::vec::Vec;

/// The one of `known` that is nearest to `word`, if it is near enough to have
/// been meant.
pub fn suggestion<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let most = match word.chars().count() {
        0..=1 => return None,
        2..=4 => 1,
        _ => 2,
    };
    known
        .iter()
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min()
        .map(|(_, name)| name.as_str())
}

/// How many characters must be added, removed, changed or swapped with the next
/// one to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for row in 1..=one.len() {
        let mut line = Vec::with_capacity(other.len() + 1);
        line.push(row);
        for column in 1..=other.len() {
            let changed = usize::from(one[row - 1] != other[column - 1]);
            let mut least = (last[column - 1] + changed)
                .min(last[column] + 1)
                .min(line[column - 1] + 1);
            let swapped = row > 1
                && column > 1
                && one[row - 1] == other[column - 2]
                && one[row - 2] == other[column - 1];
            if swapped {
                least = least.min(before[column - 2] + 1);
            }
            line.push(least);
        }
        before = core::mem::replace(&mut last, line);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn near_names_are_found() {
        let known: Vec<String> = ["ls", "cat", "poweroff", "ps", "help"]
            .map(|n| n.to_string())
            .into();
        assert_eq!(suggestion("sl", &known), Some("ls"));
        assert_eq!(suggestion("powerof", &known), Some("poweroff"));
        assert_eq!(suggestion("hlep", &known), Some("help"));
        assert_eq!(suggestion("x", &known), None);
        assert_eq!(suggestion("firefox", &known), None);
    }

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected);
            assert_eq!(distance(other, one), expected);
        }
    }
}
