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
use crate::tools::stat::date;

/// What it says of itself.
pub const ABOUT: About = About {
    options: &[
        ('1', "a name a line, as for another program"),
        ('l', "kind, size and time of each"),
    ],
    operands: (0, usize::MAX),
    paths: &[Rule(Operand::From(0), Use::READ.union(Use::CURRENT))],
    ..About::new("ls", "ls [-1l] [PATH]...", "list directories")
};

const WIDTH: usize = 80;

/// An entry, and when it changed, if that is asked for.
type Shown = (Entry, u64);

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    if arguments.operands.is_empty() {
        let mut directory = io.working_directory()?;
        let entries = list(&mut directory, arguments)?;
        show(io, arguments, &entries)?;
        return Ok(0);
    }
    let (mut files, mut directories, mut code) = (Vec::new(), Vec::new(), 0);
    for operand in &arguments.operands {
        match entries_of(io, operand, arguments) {
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
    arguments: &Arguments<'_>,
) -> Result<(Kind, Vec<Shown>), IoError> {
    match io.open(operand)? {
        Node::Directory(mut directory) => {
            Ok((Kind::Directory, list(&mut directory, arguments)?))
        }
        Node::File(mut file) => {
            let stat = file.stat()?;
            let entry = Entry {
                name: operand.text.into(),
                kind: stat.kind,
                size: stat.size,
            };
            Ok((Kind::File, vec![(entry, stat.modified)]))
        }
    }
}

/// All entries of a directory. What goes meanwhile has no time any more.
fn list(
    directory: &mut impl Directory,
    arguments: &Arguments<'_>,
) -> Result<Vec<Shown>, IoError> {
    let entries = directory.list()?.into_iter();
    let with_time = |entry: Entry| {
        let stat = match arguments.option('l') {
            true => directory.stat_of(&entry.name).ok(),
            false => None,
        };
        (entry, stat.map_or(0, |stat| stat.modified))
    };
    Ok(entries.map(with_time).collect())
}

fn show<I: Io>(io: &mut I, arguments: &Arguments<'_>, entries: &[Shown]) -> Result<(), IoError> {
    let names: Vec<String> = entries.iter().map(|(entry, _)| shown_name(entry)).collect();
    let text = if arguments.option('l') {
        let rows: Vec<Vec<String>> = entries
            .iter()
            .zip(names)
            .map(|((entry, modified), name)| {
                let (kind, size) = match entry.kind {
                    Kind::File => ("file", alloc::format!("{}", entry.size)),
                    Kind::Directory => ("directory", String::new()),
                };
                vec![kind.into(), size, date(*modified).unwrap_or_default(), name]
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
        let date = "2023-11-14 22:13:20 UTC";
        // Nobody knows when the directory changed.
        let none = " ".repeat(date.len());
        let expected = alloc::format!(
            "file       0  {date}  a?\nfile       5  {date}  b\ndirectory     {none}  sub/\n"
        );
        assert_eq!(fake.output(), expected);
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
