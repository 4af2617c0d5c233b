//! `du`: how many bytes files hold.

use alloc::string::ToString;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format::bytes;
use crate::io::{Io, Node, NodeOf};
use crate::tools::find::walk;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::CURRENT))],
    ..About::new("du", "du [PATH...]", "show how many bytes the files at and below a path hold")
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    if arguments.operands.is_empty() {
        let current = Node::Directory(io.working_directory()?);
        show(io, current, ".")?;
    }
    for operand in &arguments.operands {
        let node = io.open(operand).map_err(Error::at(operand.text))?;
        show(io, node, operand.text)?;
    }
    Ok(0)
}

fn show<I: Io>(io: &mut I, node: NodeOf<I>, path: &str) -> Result<(), Error> {
    let mut sum = 0;
    walk(io, node, path.to_string(), &mut |_, _, size| {
        sum += size;
        Ok(())
    })?;
    Ok(io.print(format_args!("{:>6}  {path}\n", bytes(sum)))?)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn all_files_below() {
        let mut fake = Fake::new();
        fake.file("/tmp/a/b", &[1; 1000]);
        fake.file("/tmp/c", &[1; 24]);
        assert_eq!(fake.run(&["du", "/tmp", "/tmp/c"]), 0);
        assert_eq!(fake.output(), "    1K  /tmp\n    24  /tmp/c\n");
    }
}
