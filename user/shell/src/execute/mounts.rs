//! `mount` and `umount`: file systems of disks, in the shell's paths.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use tessera_tools::IoError;
use tessera_tools::format::table;

use super::builtins::{fail, say};
use super::{Flow, Host, Shell, absolute, code};

/// A file system that is to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The disk or partition, such as `@disk/2`, or a service of another device.
    pub disk: String,
    /// The directory in whose place it is seen.
    pub directory: String,
    /// The program that serves it; if there is none, what the disk says.
    pub kind: Option<String>,
    /// Nothing there is to change.
    pub read_only: bool,
}

/// A file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The disk or partition.
    pub disk: String,
    /// The directory in whose place it is seen.
    pub directory: String,
    /// The program that serves it.
    pub kind: String,
    /// Nothing there can be changed.
    pub read_only: bool,
    /// Its server has ended.
    pub ended: bool,
}

const USAGE: &str = "mount [-r] [@DISK|DEVICE/SERVICE DIRECTORY [TYPE]]";

pub(super) fn mount<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let (options, operands): (Vec<&String>, Vec<&String>) =
        words[1..].iter().partition(|word| word.starts_with('-'));
    let read_only = !options.is_empty();
    let (disk, directory, kind) = match (operands.as_slice(), read_only) {
        ([], false) => return list(shell),
        ([disk, directory], _) => (disk, directory, None),
        ([disk, directory, kind], _) => (disk, directory, Some((*kind).clone())),
        _ => return usage(shell, USAGE),
    };
    if options.iter().any(|option| *option != "-r") {
        return usage(shell, USAGE);
    }
    let asked = Mount {
        disk: (*disk).clone(),
        directory: absolute(&shell.directory, directory),
        kind,
        read_only,
    };
    match shell.host.mount(&asked) {
        Ok(()) => (Flow::Next, 0),
        Err(error) => fail(shell, &format!("mount: {disk}: {error}")),
    }
}

fn list<H: Host>(shell: &mut Shell<H>) -> (Flow, i32) {
    let head = ["DISK", "DIRECTORY", "TYPE", "ACCESS"];
    let row = |mounted: Mounted| {
        let access = match (mounted.ended, mounted.read_only) {
            (true, _) => "gone",
            (false, true) => "read",
            (false, false) => "write",
        };
        [mounted.disk, mounted.directory, mounted.kind, access.into()].to_vec()
    };
    let mounted = shell.host.mounted();
    let rows = [head.map(String::from).to_vec()].into_iter();
    let rows: Vec<_> = rows.chain(mounted.into_iter().map(row)).collect();
    say(shell, &table(&rows, &[]))
}

pub(super) fn umount<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let (options, operands): (Vec<&String>, Vec<&String>) =
        words[1..].iter().partition(|word| word.starts_with('-'));
    if operands.is_empty() || options.iter().any(|option| *option != "-f") {
        return usage(shell, "umount [-f] DIRECTORY...");
    }
    for directory in operands {
        let path = absolute(&shell.directory, directory);
        match shell.host.unmount(&path, !options.is_empty()) {
            Ok(()) => {}
            Err(IoError::NotFound) => {
                let text = format!("umount: {directory}: nothing is mounted there");
                return fail(shell, &text);
            }
            Err(error) => return fail(shell, &format!("umount: {directory}: {error}")),
        }
    }
    (Flow::Next, 0)
}

fn usage<H: Host>(shell: &mut Shell<H>, usage: &str) -> (Flow, i32) {
    shell.complain(&format!("usage: {usage}"));
    (Flow::Next, code::USAGE)
}
