//! What the page says is to be published.
//!
//! `publish:NAME=INTERFACE` publishes the capability that the page gives under `NAME`,
//! `publish:NAME=Directory:PATH` a directory of the files, which is made if it is not
//! there. With `private:` in place of `publish:` the owner is asked at first use.

use crate::{server::Server, store::PATIENCE};
use libipc::{
    CallError, Capability, Start, Text,
    interfaces::{DirectoryClient, FileAccess::ReadWrite, FileError},
};

/// Publishes all that the arguments name. What is not there is left out.
pub fn publish(
    server: &mut Server<'_>,
    start: &mut Start,
    files: Option<&DirectoryClient>,
    arguments: &[&str],
) {
    for argument in arguments {
        let (what, is_private) = match argument.split_once(':') {
            Some(("publish", what)) => (what, false),
            Some(("private", what)) => (what, true),
            _ => continue,
        };
        let Some((name, what)) = what.split_once('=') else {
            continue;
        };
        let (interface, path) = match what.split_once(':') {
            Some((interface, path)) => (interface, Some(path)),
            None => (what, None),
        };
        let capability = match path {
            Some(path) => files
                .and_then(|files| walk(files, path))
                .map(Capability::from),
            None => start.take(name).ok(),
        };
        if let Some(capability) = capability {
            // Of two of one name the first counts.
            let _ = server.publish_own(name, (interface, 0), is_private, capability);
        }
    }
}

/// The directory at a path, made if it is not there.
pub fn walk(root: &DirectoryClient, path: &str) -> Option<DirectoryClient> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    let first = Text::new(names.next()?)?;
    let mut directory = root.open_directory(first, ReadWrite).ok()?;
    for name in names {
        let name = Text::new(name)?;
        let within = directory.with_timeout(PATIENCE);
        directory = match within.create_directory(name) {
            Err(CallError::Server(FileError::Exists)) => within.open_directory(name, ReadWrite),
            made => made,
        }
        .ok()?;
    }
    Some(directory)
}
