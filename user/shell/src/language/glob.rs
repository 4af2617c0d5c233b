//! Patterns that match names of files: `*`, `?` and `[...]`.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Field;

/// Where names come from.
pub trait Names {
    /// Names in a directory, and whether each is a directory; none if it cannot
    /// be read. The path is as written in the pattern, empty for the working
    /// directory.
    fn names(&mut self, directory: &str) -> Vec<(String, bool)>;
}

/// A character of a pattern, and whether it stands for itself.
type Marked = (char, bool);

/// The paths that a field matches; the field itself, if it is no pattern or
/// nothing matches.
pub fn expand_paths(field: &Field, names: &mut dyn Names) -> Vec<String> {
    let special = |(character, quoted): &Marked| !quoted && "*?[".contains(*character);
    if !field.characters.iter().any(special) {
        return vec![field.text()];
    }
    let components: Vec<&[Marked]> = field.characters.split(|(c, _)| *c == '/').collect();
    let mut found = vec![String::new()];
    for (number, component) in components.iter().enumerate() {
        let last = number + 1 == components.len();
        let end = if last { "" } else { "/" };
        if !component.iter().any(special) {
            let text: String = component.iter().map(|(c, _)| *c).collect();
            // A name without a pattern must be there too, if one before it was
            // matched; the last one is checked here, others by being listed.
            found.retain(|path| {
                number == 0 || !last || text.is_empty() || {
                    names.names(path).iter().any(|(name, _)| *name == text)
                }
            });
            found
                .iter_mut()
                .for_each(|path| *path += &(text.clone() + end));
            continue;
        }
        let mut next = vec![];
        for path in &found {
            let mut matching: Vec<String> = names
                .names(path)
                .into_iter()
                .filter(|(name, directory)| (last || *directory) && matches(component, name))
                .map(|(name, _)| path.clone() + &name + end)
                .collect();
            matching.sort();
            next.append(&mut matching);
        }
        found = next;
    }
    if found.is_empty() {
        return vec![field.text()];
    }
    found
}

/// Whether `name` matches `pattern`. Names that begin with a dot are hidden
/// from patterns that do not.
pub fn matches(pattern: &[Marked], name: &str) -> bool {
    let hidden = name.starts_with('.');
    if hidden
        && pattern
            .first()
            .is_none_or(|(character, _)| *character != '.')
    {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and up to where it reaches: only the last one
    // needs to be tried again, so this takes no more than the product of lengths.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(at) {
            Some(('*', false)) => {
                star = Some((at + 1, place));
                at += 1;
                continue;
            }
            None if place == name.len() => return true,
            None => None,
            Some(_) => name.get(place).and_then(|c| one(&pattern[at..], *c)),
        };
        if let Some(length) = step {
            (at, place) = (at + length, place + 1);
            continue;
        }
        match &mut star {
            Some((after, reach)) if *reach < name.len() => {
                *reach += 1;
                (at, place) = (*after, *reach);
            }
            _ => return false,
        }
    }
}

/// How much of `pattern` matches this one character, if it does.
fn one(pattern: &[Marked], character: char) -> Option<usize> {
    match *pattern.first()? {
        ('?', false) => Some(1),
        ('[', false) => match set(pattern, character) {
            Some((true, length)) => Some(length),
            Some((false, _)) => None,
            // Without an end it stands for itself.
            None => (character == '[').then_some(1),
        },
        (expected, _) => (expected == character).then_some(1),
    }
}

/// Whether the set at the begin of `pattern` holds `character`, and the set's
/// length; `None` if it has no end.
fn set(pattern: &[Marked], character: char) -> Option<(bool, usize)> {
    let inverted = matches!(pattern.get(1), Some(('!' | '^', false)));
    let first = if inverted { 2 } else { 1 };
    // A `]` right at the begin is a member.
    let end = pattern
        .iter()
        .skip(first + 1)
        .position(|marked| *marked == (']', false))?;
    let members = &pattern[first..first + 1 + end];
    let mut found = false;
    let mut rest = members;
    while let [(low, _), after @ ..] = rest {
        rest = after;
        let mut high = low;
        if let [('-', false), (other, _), more @ ..] = after {
            (high, rest) = (other, more);
        }
        found |= (*low..=*high).contains(&character);
    }
    Some((found != inverted, first + 1 + end + 1))
}
