//! Paths as people write them.

use alloc::string::String;
use alloc::vec::Vec;

/// `path`, as seen from `directory`, from the root on and without `.` and `..`.
/// A slash at its end, which says that it must be a directory, is dropped.
pub fn absolute(directory: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { directory };
    let mut names: Vec<&str> = Vec::new();
    for name in start.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    if names.is_empty() {
        return "/".into();
    }
    names.iter().flat_map(|name| ["/", name]).collect()
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn dots_and_slashes() {
        for (directory, path, expected) in [
            ("/", "", "/"),
            ("/tmp", "", "/tmp"),
            ("/tmp", "a/b/", "/tmp/a/b"),
            ("/tmp", "/boot//motd", "/boot/motd"),
            ("/tmp/a", "../b/./c", "/tmp/b/c"),
            ("/", "../..", "/"),
        ] {
            assert_eq!(absolute(directory, path), expected);
        }
    }
}
