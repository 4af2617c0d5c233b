//! `ls`: list directories.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::format;
use crate::io::{Directory, Entry, File, Io, Kind, Node};

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[
        ('1', "a name a line, as for another program"),
        ('l', "size and kind of each"),
    ],
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::CURRENT))],
    ..About::new("ls", "ls [-1l] [PATH]...", "list directories")
};

const WIDTH: usize = 80;

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    if arguments.operands.is_empty() {
        let entries = io.working_directory()?.list()?;
        show(io, arguments, &entries)?;
        return Ok(0);
    }
    let (mut files, mut directories, mut code) = (Vec::new(), Vec::new(), 0);
    for operand in &arguments.operands {
        match entries_of(io, operand) {
            Ok((Kind::File, entries)) => files.extend(entries),
            Ok((Kind::Directory, entries)) => directories.push((operand.text, entries)),
            Err(IoError::NoFiles) => return Err(IoError::NoFiles.into()),
            Err(error) => {
                io.complain(ABOUT.name, operand.text, &error)?;
                code = 1;
            }
        }
    }
    show(io, arguments, &files)?;
    for (number, (path, entries)) in directories.iter().enumerate() {
        if arguments.operands.len() > 1 {
            let gap = if number > 0 || !files.is_empty() { "\n" } else { "" };
            io.print(format_args!("{gap}{path}:\n"))?;
        }
        show(io, arguments, entries)?;
    }
    Ok(code)
}

/// The entries that one operand stands for: itself, if it is a file.
fn entries_of<I: Io>(
    io: &mut I,
    operand: &crate::arguments::Operand<'_>,
) -> Result<(Kind, Vec<Entry>), IoError> {
    match io.open(operand)? {
        Node::Directory(mut directory) => Ok((Kind::Directory, directory.list()?)),
        Node::File(mut file) => {
            let stat = file.stat()?;
            let entry = Entry {
                name: operand.text.into(),
                kind: stat.kind,
                size: stat.size,
            };
            Ok((Kind::File, vec![entry]))
        }
    }
}

fn show<I: Io>(io: &mut I, arguments: &Arguments<'_>, entries: &[Entry]) -> Result<(), IoError> {
    let names: Vec<String> = entries.iter().map(shown_name).collect();
    let text = if arguments.option('l') {
        let rows: Vec<Vec<String>> = entries
            .iter()
            .zip(names)
            .map(|(entry, name)| match entry.kind {
                Kind::File => vec!["file".into(), alloc::format!("{}", entry.size), name],
                Kind::Directory => vec!["directory".into(), String::new(), name],
            })
            .collect();
        format::table(&rows, &[1])
    } else if arguments.option('1') || !io.at_terminal() {
        names.iter().flat_map(|name| [name, "\n"]).collect()
    } else {
        format::columns(&names, WIDTH)
    };
    io.write(text.as_bytes())
}

fn shown_name(entry: &Entry) -> String {
    let mark = if entry.kind == Kind::Directory { "/" } else { "" };
    // A name may hold control characters, which must not reach the terminal.
    let name: String = entry
        .name
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    name + mark
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    fn fake() -> Fake {
        let mut fake = Fake::new();
        fake.file("/tmp/b", b"12345");
        fake.file("/tmp/a\x1b", b"");
        fake.file("/tmp/sub/deep", b"1");
        fake
    }

    #[test]
    fn directories_are_marked_and_control_characters_are_not_sent() {
        let mut fake = fake();
        assert_eq!(fake.run(&["ls", "/tmp"]), 0);
        assert_eq!(fake.output(), "a?    b     sub/\n");
        fake.terminal = false;
        fake.run(&["ls", "/tmp"]);
        assert_eq!(fake.output(), "a?\nb\nsub/\n");
    }

    #[test]
    fn long_and_single_forms() {
        let mut fake = fake();
        fake.run(&["ls", "-l", "/tmp"]);
        assert_eq!(fake.output(), "file       0  a?\nfile       5  b\ndirectory     sub/\n");
        fake.run(&["ls", "-1", "/tmp/b", "/tmp/sub"]);
        assert_eq!(fake.output(), "/tmp/b\n\n/tmp/sub:\ndeep\n");
    }

    #[test]
    fn without_operands_the_working_directory() {
        let mut fake = fake();
        fake.run(&["ls"]);
        assert_eq!(fake.output(), "tmp/\n");
        assert_eq!(fake.run(&["ls", "/x"]), 1);
        assert_eq!(fake.errors(), "ls: /x: no such file or directory\n");
    }
}
