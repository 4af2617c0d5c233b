//! The file server as a client sees it: files in memory, the boot archive, pipes.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    run::{Case, World, cases},
};
use alloc::{string::String, vec, vec::Vec};
use libipc::{
    CallError, Start,
    interfaces::{
        DirectoryClient, FileClient, StreamClient,
        directory::{self, FileAccess, entries},
        file::FileError,
        stream::StreamError,
    },
    thread,
};

pub(crate) const CASES: &[Case] = cases![
    what_is_written_is_read,
    a_file_is_larger_than_a_call,
    a_small_file_comes_whole_and_leaves_nothing_open,
    names_are_checked,
    directories_nest_and_must_be_empty_to_go,
    renaming_replaces_a_file,
    a_listing_names_everything_once,
    what_is_opened_to_read_cannot_be_changed,
    the_archive_is_read_only,
    a_removed_file_stays_usable_while_open,
    open_files_are_closed_with_their_client,
    a_pipe_carries_bytes_in_order,
    a_pipe_ends_with_its_writer,
    a_pipe_nobody_reads_is_closed,
];

fn name(text: &str) -> directory::Name {
    directory::Name::new(text).unwrap_or_else(|| panic!("{text} is too long"))
}

fn refused<T>(error: FileError) -> Result<T, CallError<FileError>> {
    Err(CallError::Server(error))
}

/// The file system in memory.
fn root(world: &mut World) -> Result<DirectoryClient, Failure> {
    Ok(world
        .files()?
        .open_directory(name("tmp"), FileAccess::ReadWrite)?)
}

fn what_is_written_is_read(world: &mut World) -> Verdict {
    let root = root(world)?;
    let file = root.create(name("written"))?;
    check_eq!(file.write_at(0, b"hello")?, 5);
    check_eq!(file.append(b", world")?, 7);
    check_eq!(file.size()?, 12);
    let again = root.open(name("written"), FileAccess::Read)?;
    let mut bytes = [0; 32];
    check_eq!(again.read_at(0, &mut bytes)?, 12);
    check_eq!(&bytes[..12], b"hello, world");
    check_eq!(again.read_at(7, &mut bytes[..3])?, 3);
    check_eq!(&bytes[..3], b"wor");
    check_eq!(again.read_at(12, &mut bytes)?, 0);
    file.set_size(5)?;
    check_eq!(again.read_at(0, &mut bytes)?, 5);
    check_eq!(
        root.create(name("written")).map(|_| ()),
        refused(FileError::Exists)
    );
    Ok(root.remove(name("written"))?)
}

fn a_file_is_larger_than_a_call(world: &mut World) -> Verdict {
    let root = root(world)?;
    let file = root.create(name("large"))?;
    let content: Vec<u8> = (0..150_000_u32)
        .map(|index| ((index * 7) >> 3) as u8)
        .collect();
    let mut written = 0;
    while written < content.len() {
        written += file.write_at(written as u64, &content[written..])? as usize;
    }
    let mut back = vec![0; content.len()];
    let mut read = 0;
    while read < back.len() {
        let count = file.read_at(read as u64, &mut back[read..])? as usize;
        check!(count > 0);
        read += count;
    }
    check!(back == content);
    // A hole reads as zeros.
    file.write_at(200_000, b"x")?;
    let mut hole = [1; 64];
    check_eq!(file.read_at(180_000, &mut hole)?, 64);
    check_eq!(hole, [0; 64]);
    Ok(root.remove(name("large"))?)
}

fn a_small_file_comes_whole_and_leaves_nothing_open(world: &mut World) -> Verdict {
    let root = root(world)?;
    root.create(name("small"))?.append(b"small")?;
    let open = root.usage()?.client_open;
    let mut bytes = [0; 16];
    let (count, file) = root.open_read(name("small"), &mut bytes)?;
    check_eq!(&bytes[..count as usize], b"small");
    check!(file.is_none());
    let (count, file) = root.open_read(name("small"), &mut bytes[..5])?;
    check_eq!((count, file.is_none()), (5, true));
    check_eq!(root.usage()?.client_open, open);

    // Of one that is longer, the rest is read as of any.
    let (count, file) = root.open_read(name("small"), &mut bytes[..2])?;
    check_eq!(&bytes[..count as usize], b"sm");
    let Some(file) = file else {
        return Err(Failure::new("more is there"));
    };
    check_eq!(root.usage()?.client_open, open + 1);
    check_eq!(file.read_at(count, &mut bytes)?, 3);
    check_eq!(&bytes[..3], b"all");
    check_eq!(file.append(b"x"), refused(FileError::NotPermitted));

    let read = |name, bytes: &mut [u8]| root.open_read(name, bytes).map(|_| ());
    check_eq!(read(name("none"), &mut bytes), refused(FileError::NotFound));
    check_eq!(read(name("a/b"), &mut bytes), refused(FileError::BadName));
    root.create_directory(name("inner"))?;
    check_eq!(
        read(name("inner"), &mut bytes),
        refused(FileError::IsDirectory)
    );
    root.remove(name("inner"))?;
    Ok(root.remove(name("small"))?)
}

fn names_are_checked(world: &mut World) -> Verdict {
    let root = root(world)?;
    for bad in ["", ".", "..", "a/b", "/", "a\0b"] {
        check_eq!(
            root.create(name(bad)).map(|_| ()),
            refused(FileError::BadName)
        );
    }
    let longest = "x".repeat(255);
    drop(root.create(name(&longest))?);
    check_eq!(root.stat_name(name(&longest))?.size, 0);
    root.remove(name(&longest))?;
    let unicode = "naïve-файл-文件";
    drop(root.create(name(unicode))?);
    root.remove(name(unicode))?;
    let missing = root.open(name("missing"), FileAccess::Read).map(|_| ());
    check_eq!(missing, refused(FileError::NotFound));
    Ok(())
}

fn directories_nest_and_must_be_empty_to_go(world: &mut World) -> Verdict {
    let root = root(world)?;
    let outer = root.create_directory(name("outer"))?;
    let inner = outer.create_directory(name("inner"))?;
    drop(inner.create(name("file"))?);
    check_eq!(outer.remove(name("inner")), refused(FileError::NotEmpty));
    let file = outer.open(name("inner"), FileAccess::Read).map(|_| ());
    check_eq!(file, refused(FileError::IsDirectory));
    let directory = inner
        .open_directory(name("file"), FileAccess::Read)
        .map(|_| ());
    check_eq!(directory, refused(FileError::NotDirectory));
    let same = root
        .open_directory(name("outer"), FileAccess::Read)?
        .open_directory(name("inner"), FileAccess::Read)?;
    check_eq!(same.stat_name(name("file"))?.size, 0);
    // A directory does not go into itself.
    check_eq!(
        root.rename(name("outer"), &inner, name("x")),
        refused(FileError::Loop)
    );
    inner.remove(name("file"))?;
    outer.remove(name("inner"))?;
    check_eq!(
        inner.create(name("late")).map(|_| ()),
        refused(FileError::Removed)
    );
    Ok(root.remove(name("outer"))?)
}

fn renaming_replaces_a_file(world: &mut World) -> Verdict {
    let root = root(world)?;
    root.create(name("one"))?.append(b"first")?;
    root.create(name("two"))?.append(b"second")?;
    root.rename(name("one"), &root, name("two"))?;
    check_eq!(
        root.stat_name(name("one")).map(|_| ()),
        refused(FileError::NotFound)
    );
    check_eq!(root.stat_name(name("two"))?.size, 5);
    Ok(root.remove(name("two"))?)
}

fn listed(directory: &DirectoryClient) -> Result<Vec<String>, CallError<FileError>> {
    let (mut names, mut cursor) = (Vec::new(), 0);
    loop {
        let mut page = [0; 600];
        let listing = directory.list(cursor, &mut page)?;
        names.extend(entries(&page[..listing.bytes as usize]).map(|entry| entry.name.into()));
        cursor = listing.next;
        if cursor == 0 {
            return Ok(names);
        }
    }
}

fn a_listing_names_everything_once(world: &mut World) -> Verdict {
    let root = root(world)?;
    let directory = root.create_directory(name("many"))?;
    let mut expected: Vec<String> = (0..60)
        .map(|index| alloc::format!("file-{index:02}"))
        .collect();
    for entry in &expected {
        drop(directory.create(name(entry))?);
    }
    let mut found = listed(&directory)?;
    found.sort();
    expected.sort();
    check!(found == expected);
    for entry in &expected {
        directory.remove(name(entry))?;
    }
    check!(listed(&directory)?.is_empty());
    Ok(root.remove(name("many"))?)
}

fn what_is_opened_to_read_cannot_be_changed(world: &mut World) -> Verdict {
    let root = root(world)?;
    root.create(name("fixed"))?.append(b"fixed")?;
    let file = root.open(name("fixed"), FileAccess::Read)?;
    check_eq!(file.write_at(0, b"x"), refused(FileError::NotPermitted));
    check_eq!(file.append(b"x"), refused(FileError::NotPermitted));
    check_eq!(file.set_size(0), refused(FileError::NotPermitted));
    let weak = root.attenuate(FileAccess::Read)?;
    check_eq!(
        weak.create(name("new")).map(|_| ()),
        refused(FileError::NotPermitted)
    );
    check_eq!(weak.remove(name("fixed")), refused(FileError::NotPermitted));
    let strong = weak.open(name("fixed"), FileAccess::ReadWrite).map(|_| ());
    check_eq!(strong, refused(FileError::NotPermitted));
    check_eq!(file.size()?, 5);
    Ok(root.remove(name("fixed"))?)
}

fn the_archive_is_read_only(world: &mut World) -> Verdict {
    let root = world.files()?;
    let boot = root.open_directory(name("boot"), FileAccess::Read)?;
    let names = listed(&boot)?;
    check!(!names.is_empty());
    check_eq!(root.remove(name("boot")).is_err(), true);
    check!(names.iter().any(|name| name == "motd"));
    let file = boot.open(name("motd"), FileAccess::Read)?;
    let mut bytes = [0; 8];
    check!(file.read_at(0, &mut bytes)? > 0);
    check!(file.write_at(0, b"x").is_err());
    Ok(())
}

fn a_removed_file_stays_usable_while_open(world: &mut World) -> Verdict {
    let root = root(world)?;
    let file = root.create(name("gone"))?;
    file.append(b"still here")?;
    root.remove(name("gone"))?;
    let mut bytes = [0; 16];
    check_eq!(file.read_at(0, &mut bytes)?, 10);
    check_eq!(&bytes[..10], b"still here");
    check_eq!(
        root.stat_name(name("gone")).map(|_| ()),
        refused(FileError::NotFound)
    );
    Ok(())
}

fn open_and_hang(mut start: Start) -> Verdict {
    let file: FileClient = start.take("file")?;
    file.append(b"held")?;
    loop {
        thread::yield_now();
    }
}

fn open_files_are_closed_with_their_client(world: &mut World) -> Verdict {
    let root = root(world)?;
    let file = root.create(name("held"))?;
    let before = root.usage()?.client_open;
    let child = Plan::new(open_and_hang)
        .give(&[given("file", &file)])
        .start(&world.image)?;
    crate::wait::until(|| Ok(file.size()? == 4))?;
    drop(file);
    // The child holds it, so it counts.
    check_eq!(root.usage()?.client_open, before);
    child.kill()?;
    check_eq!(root.usage()?.client_open, before - 1);
    Ok(root.remove(name("held"))?)
}

fn pipe(world: &mut World) -> Result<(StreamClient, StreamClient), Failure> {
    Ok(world.pipes()?.pipe()?)
}

fn a_pipe_carries_bytes_in_order(world: &mut World) -> Verdict {
    let (reader, writer) = pipe(world)?;
    let writing = thread::spawn(move || {
        let content: Vec<u8> = (0..20_000_u32).map(|index| index as u8).collect();
        let mut rest = &content[..];
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(count) => rest = &rest[count as usize..],
                Err(_) => return false,
            }
        }
        true
    })?;
    let (mut total, mut bytes) = (0_u32, [0; 777]);
    loop {
        let count = reader.read(&mut bytes)? as usize;
        if count == 0 {
            break;
        }
        for byte in &bytes[..count] {
            check_eq!(*byte, total as u8);
            total += 1;
        }
    }
    check_eq!(total, 20_000);
    check_eq!(writing.join(), Some(true));
    Ok(())
}

fn a_pipe_ends_with_its_writer(world: &mut World) -> Verdict {
    let (reader, writer) = pipe(world)?;
    check_eq!(writer.write(b"rest")?, 4);
    check_eq!(
        reader.write(b"x"),
        Err(CallError::Server(StreamError::NotWritable))
    );
    let mut bytes = [0; 8];
    check_eq!(
        writer.read(&mut bytes),
        Err(CallError::Server(StreamError::NotReadable))
    );
    drop(writer);
    check_eq!(reader.read(&mut bytes)?, 4);
    check_eq!(reader.read(&mut bytes)?, 0);
    check_eq!(reader.read(&mut bytes)?, 0);
    Ok(())
}

fn a_pipe_nobody_reads_is_closed(world: &mut World) -> Verdict {
    let (reader, writer) = pipe(world)?;
    check_eq!(writer.write(b"lost")?, 4);
    drop(reader);
    check_eq!(
        writer.write(b"x"),
        Err(CallError::Server(StreamError::Closed))
    );
    Ok(())
}
