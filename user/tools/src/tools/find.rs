//! `find`: list everything below directories.

use alloc::format;
use alloc::string::{String, ToString};

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Directory, Io, Kind, Node, NodeOf};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::CURRENT))],
    ..About::new("find", "find [PATH...]", "list everything at and below a path")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    if arguments.operands.is_empty() {
        let current = Node::Directory(io.working_directory()?);
        walk(io, current, ".".to_string(), &mut |io, path, _| {
            Ok(io.print(format_args!("{path}\n"))?)
        })?;
    }
    for operand in &arguments.operands {
        let node = io.open(operand).map_err(Error::at(operand.text))?;
        let path = operand.text.trim_end_matches('/').to_string();
        walk(io, node, path, &mut |io, path, _| {
            Ok(io.print(format_args!("{path}\n"))?)
        })?;
    }
    Ok(0)
}

/// Shows `visit` the path and the size of each file and directory, those above
/// before those below.
pub(crate) fn walk<I: Io>(
    io: &mut I,
    node: NodeOf<I>,
    path: String,
    visit: &mut dyn FnMut(&mut I, &str, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut directory = match node {
        Node::File(mut file) => {
            let size = crate::io::File::stat(&mut file).map_err(Error::at(&path))?;
            return visit(io, &path, size.size);
        }
        Node::Directory(directory) => directory,
    };
    visit(io, &path, 0)?;
    for entry in directory.list().map_err(Error::at(&path))? {
        let below = format!("{path}/{}", entry.name);
        match entry.kind {
            Kind::File => visit(io, &below, entry.size)?,
            Kind::Directory => match directory.open(&entry.name, false) {
                Ok(node) => walk(io, node, below, visit)?,
                Err(error) => io.complain(ABOUT.name, &below, &error)?,
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn everything_below() {
        let mut fake = Fake::new();
        fake.file("/tmp/a/b", b"12345");
        fake.file("/tmp/c", b"1");
        assert_eq!(fake.run(&["find", "/tmp/", "/tmp/c"]), 0);
        assert_eq!(fake.output(), "/tmp\n/tmp/a\n/tmp/a/b\n/tmp/c\n/tmp/c\n");
        assert_eq!(fake.run(&["find", "/none"]), 1);
        assert_eq!(fake.errors(), "find: /none: no such file or directory\n");
    }
}
