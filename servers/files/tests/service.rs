//! What clients can do, and what they cannot do to each other.

mod support;

use libipc::interfaces::{FileAccess::*, FileError, FileKind::*, StreamError, StreamMode};
use support::*;
use tessera_files::quota::Limits;

#[test]
fn the_root_shows_the_mounts_and_is_fixed() {
    let mut service = service(ROOMY);
    assert_eq!(names(&service, SHELL, 4096), ["boot", "tmp"]);
    assert_eq!(names(&service, SHELL, 16), ["boot", "tmp"]);
    assert_eq!(
        service.list(SHELL, 0, &mut [0; 8]),
        Err(FileError::OutOfRange)
    );
    assert_eq!(
        service.create(SHELL, "x", File, 0),
        Err(FileError::ReadOnly)
    );
    assert_eq!(service.remove(SHELL, "tmp", 0), Err(FileError::ReadOnly));
    let boot = service.open(SHELL, "boot", Directory, ReadWrite).unwrap();
    assert_eq!(service.create(boot, "x", File, 0), Err(FileError::ReadOnly));
    let ids = ["boot", "tmp"].map(|name| service.stat_name(SHELL, name).unwrap().id);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_file_is_written_and_read() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let file = service.create(tmp, "notes", File, 7).unwrap();
    assert_eq!(write(&mut service, file, Some(0), b"hello world"), Ok(11));
    assert_eq!(write(&mut service, file, None, b"!"), Ok(1));
    assert_eq!(read(&service, file, 6, 100).unwrap(), b"world!");
    assert_eq!(read(&service, file, 12, 100).unwrap(), b"");
    let stat = service.stat_name(tmp, "notes").unwrap();
    assert_eq!((stat.size, stat.created, stat.modified), (12, 7, 1));
    assert_eq!(
        service.create(tmp, "notes", File, 0),
        Err(FileError::Exists)
    );
    assert_eq!(
        service.open(tmp, "nothing", File, Read),
        Err(FileError::NotFound)
    );
    assert_eq!(
        service.open(tmp, "notes", Directory, Read),
        Err(FileError::NotDirectory)
    );
    assert_eq!(
        service.open(SHELL, "tmp", File, Read),
        Err(FileError::IsDirectory)
    );
}

#[test]
fn a_gap_reads_as_zeros_and_takes_no_space() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let file = service.create(tmp, "sparse", File, 0).unwrap();
    assert_eq!(write(&mut service, file, Some(1 << 30), b"end"), Ok(3));
    assert_eq!(service.usage(SHELL).unwrap().client_bytes, 4096);
    assert_eq!(read(&service, file, (1 << 30) - 2, 5).unwrap(), b"\0\0end");
    // What is cut off does not come back.
    service.set_size(file, (1 << 30) + 1, 0).unwrap();
    service.set_size(file, (1 << 30) + 3, 0).unwrap();
    assert_eq!(read(&service, file, 1 << 30, 9).unwrap(), b"e\0\0");
    assert_eq!(
        service.set_size(file, u64::MAX, 0),
        Err(FileError::OutOfRange)
    );
    assert_eq!(
        write(&mut service, file, Some(u64::MAX), b"x"),
        Err(FileError::OutOfRange)
    );
}

#[test]
fn access_only_shrinks() {
    let mut service = service(ROOMY);
    let full = tmp(&mut service, SHELL);
    service.create(full, "file", File, 0).unwrap();
    let reader = service.attenuate(full, Read).unwrap();
    assert_eq!(
        service.attenuate(reader, ReadWrite),
        Err(FileError::NotPermitted)
    );
    assert_eq!(
        service.open(reader, "file", File, ReadWrite),
        Err(FileError::NotPermitted)
    );
    assert_eq!(
        service.create(reader, "new", File, 0),
        Err(FileError::NotPermitted)
    );
    assert_eq!(
        service.remove(reader, "file", 0),
        Err(FileError::NotPermitted)
    );
    assert_eq!(
        service.rename(full, "file", reader, "moved", 0),
        Err(FileError::NotPermitted)
    );
    let file = service.open(reader, "file", File, Read).unwrap();
    assert_eq!(
        write(&mut service, file, None, b"x"),
        Err(FileError::NotPermitted)
    );
    assert_eq!(service.set_size(file, 0, 0), Err(FileError::NotPermitted));
    assert_eq!(
        service.stream(file, StreamMode::Append, 0),
        Err(FileError::NotPermitted)
    );
}

#[test]
fn an_open_file_outlives_its_name() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let file = service.create(tmp, "file", File, 0).unwrap();
    write(&mut service, file, None, b"still here").unwrap();
    service.remove(tmp, "file", 0).unwrap();
    assert_eq!(names(&service, tmp, 4096).len(), 0);
    assert_eq!(read(&service, file, 0, 99).unwrap(), b"still here");
    service.closed(file);
    let usage = service.usage(SHELL).unwrap();
    assert_eq!((usage.client_bytes, usage.client_files), (0, 0));
    assert_eq!(read(&service, file, 0, 99), Err(FileError::Stale));
}

#[test]
fn a_removed_directory_is_dead() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let directory = service.create(tmp, "d", Directory, 0).unwrap();
    service.create(directory, "x", File, 0).unwrap();
    assert_eq!(service.remove(tmp, "d", 0), Err(FileError::NotEmpty));
    service.remove(directory, "x", 0).unwrap();
    service.remove(tmp, "d", 0).unwrap();
    assert_eq!(
        service.create(directory, "x", File, 0),
        Err(FileError::Removed)
    );
    assert_eq!(service.stat(directory).err(), Some(FileError::Removed));
}

#[test]
fn names_move() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let a = service.create(tmp, "a", Directory, 0).unwrap();
    let b = service.create(a, "b", Directory, 0).unwrap();
    let file = service.create(tmp, "file", File, 0).unwrap();
    write(&mut service, file, None, b"text").unwrap();
    assert_eq!(service.rename(tmp, "a", b, "c", 0), Err(FileError::Loop));
    assert_eq!(service.rename(tmp, "a", a, "a", 0), Err(FileError::Loop));
    assert_eq!(
        service.rename(tmp, "file", tmp, "a", 0),
        Err(FileError::IsDirectory)
    );
    assert_eq!(
        service.rename(tmp, "a", tmp, "file", 0),
        Err(FileError::NotDirectory)
    );
    assert_eq!(
        service.rename(tmp, "file", SHELL, "x", 0),
        Err(FileError::OtherFileSystem)
    );
    assert_eq!(
        service.rename(tmp, "file", b, "..", 0),
        Err(FileError::BadName)
    );
    service.rename(tmp, "file", b, "moved", 0).unwrap();
    assert_eq!(service.stat_name(b, "moved").unwrap().size, 4);
    // A file replaces a file, which is then gone.
    let old = service.create(b, "old", File, 0).unwrap();
    service.closed(old);
    let files = service.usage(SHELL).unwrap().client_files;
    service.rename(b, "moved", b, "old", 0).unwrap();
    assert_eq!(service.usage(SHELL).unwrap().client_files, files - 1);
    // A name moved onto itself stays.
    service.rename(b, "old", b, "old", 0).unwrap();
    assert_eq!(names(&service, b, 4096), ["old"]);
    assert_eq!(service.rename(tmp, "a", tmp, "b", 0), Ok(()));
    assert_eq!(names(&service, tmp, 4096), ["b"]);
}

#[test]
fn a_listing_stays_right_while_names_come_and_go() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    for index in 0..20 {
        let file = service
            .create(tmp, &format!("name{index:02}"), File, 0)
            .unwrap();
        service.closed(file);
    }
    let (mut seen, mut cursor) = (Vec::new(), 0);
    for step in 0.. {
        let mut page = [0; 40];
        let listing = service.list(tmp, cursor, &mut page).unwrap();
        let entries = libipc::interfaces::directory::entries(&page[..listing.bytes as usize]);
        seen.extend(entries.map(|entry| entry.name.to_owned()));
        // Names that were seen, and some that were not, go; others come.
        let _ = service.remove(tmp, &format!("name{:02}", step * 2), 0);
        if step < 3 {
            service.create(tmp, &format!("new{step}"), File, 0).unwrap();
        }
        cursor = listing.next;
        if cursor == 0 {
            break;
        }
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once);
    for stayed in ["name01", "name03", "name19"] {
        assert!(seen.iter().any(|name| name == stayed), "{stayed}");
    }
}

#[test]
fn limits_are_errors_and_each_clients_own() {
    let limits = Limits {
        bytes: 3 * 2 * 4096,
        nodes: 3 * 2,
        open: 3 * 4,
    };
    let mut service = service(limits);
    let mine = tmp(&mut service, SHELL);
    let file = service.create(mine, "a", File, 0).unwrap();
    assert_eq!(write(&mut service, file, Some(0), &[1; 9000]), Ok(8192));
    assert_eq!(
        write(&mut service, file, None, b"x"),
        Err(FileError::NoSpace)
    );
    let second = service.create(mine, "b", File, 0).unwrap();
    assert_eq!(
        service.create(mine, "c", File, 0),
        Err(FileError::TooManyFiles)
    );
    assert_eq!(service.pipe(SHELL), Err(FileError::NoSpace));
    assert!(service.open(mine, "a", File, Read).is_ok());
    assert_eq!(
        service.open(mine, "a", File, Read),
        Err(FileError::TooManyOpen)
    );
    // A call that fails changes nothing, the file's name included.
    service.remove(mine, "b", 0).unwrap();
    assert_eq!(
        service.create(mine, "c", File, 0),
        Err(FileError::TooManyFiles)
    );
    service.closed(second);
    let again = service.create(mine, "c", File, 0).unwrap();
    assert_eq!(
        service.open(mine, "c", File, Read),
        Err(FileError::TooManyOpen)
    );
    // None of this is felt by the other one, who pays for what it writes into
    // the first one's files itself.
    let theirs = tmp(&mut service, OTHER);
    let shared = service.open(theirs, "c", File, ReadWrite).unwrap();
    assert_eq!(write(&mut service, shared, None, &[1; 8192]), Ok(8192));
    assert_eq!(
        write(&mut service, shared, None, b"x"),
        Err(FileError::NoSpace)
    );
    assert_eq!(service.usage(OTHER).unwrap().client_bytes, 8192);
    service.remove(mine, "c", 0).unwrap();
    service.closed(again);
    service.closed(shared);
    assert_eq!(service.usage(OTHER).unwrap().client_bytes, 0);
}

#[test]
fn a_create_that_cannot_open_leaves_no_name() {
    let mut service = service(Limits { open: 3, ..ROOMY });
    let mine = tmp(&mut service, SHELL);
    assert_eq!(
        service.create(mine, "x", File, 0),
        Err(FileError::TooManyOpen)
    );
    assert_eq!(names(&service, mine, 4096).len(), 0);
    assert_eq!(service.usage(SHELL).unwrap().client_files, 0);
}

#[test]
fn failed_copies_leave_nothing_behind() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let file = service.create(tmp, "f", File, 0).unwrap();
    let mut broken = |offset: u64, into: &mut [u8]| {
        into.fill(0xee);
        if offset == 0 {
            Ok(())
        } else {
            Err(FileError::BadMemory)
        }
    };
    let written = service.write_at(file, Some(0), 8192, &mut broken, 0);
    assert_eq!(written, Err(FileError::BadMemory));
    service.set_size(file, 8192, 0).unwrap();
    assert!(
        read(&service, file, 4096, 4096)
            .unwrap()
            .iter()
            .all(|&byte| byte == 0)
    );
    assert_eq!(
        service.read_at(file, 0, 1, &mut |_, _| Err(FileError::BadMemory)),
        Err(FileError::BadMemory)
    );
}

#[test]
fn streams_over_files_have_positions_of_their_own() {
    let mut service = service(ROOMY);
    let tmp = tmp(&mut service, SHELL);
    let file = service.create(tmp, "f", File, 0).unwrap();
    let out = service.stream(file, StreamMode::Write, 0).unwrap();
    let end = service.stream(file, StreamMode::Append, 0).unwrap();
    for (stream, text) in [(out, "one "), (out, "two "), (end, "three")] {
        let call = Call::write(text.as_bytes());
        service.stream_write(stream, call.clone(), 0);
        assert_eq!(call.answered(), Some(Ok(text.len() as u64)));
    }
    let input = service.stream(file, StreamMode::Read, 4).unwrap();
    let texts = [4, 99, 99].map(|size| {
        let call = Call::read(size);
        service.stream_read(input, call.clone());
        assert_eq!(call.answered(), Some(Ok(call.text().len() as u64)));
        call.text()
    });
    assert_eq!(texts, ["two ", "three", ""]);
    // A stream shows nothing but the stream.
    assert_eq!(read(&service, input, 0, 1), Err(FileError::Stale));
    assert_eq!(service.stat(input).err(), Some(FileError::Stale));
    let call = Call::read(1);
    service.stream_read(out, call.clone());
    assert_eq!(call.answered(), Some(Err(StreamError::NotReadable)));
    let call = Call::write(b"x");
    service.stream_write(input, call.clone(), 0);
    assert_eq!(call.answered(), Some(Err(StreamError::NotWritable)));
}

#[test]
fn pipes_end_with_their_writer_and_cost_nothing_then() {
    let mut service = service(ROOMY);
    let (reader, writer) = service.pipe(SHELL).unwrap();
    let waiting = Call::read(9);
    service.stream_read(reader, waiting.clone());
    service.stream_write(writer, Call::write(b"hello"), 0);
    assert_eq!(waiting.text(), "hello");
    service.closed(writer);
    let end = Call::read(9);
    service.stream_read(reader, end.clone());
    assert_eq!(end.answered(), Some(Ok(0)));
    service.closed(reader);
    let usage = service.usage(SHELL).unwrap();
    assert_eq!((usage.client_bytes, usage.client_open), (0, 0));
    let tmp = tmp(&mut service, SHELL);
    assert_eq!(service.pipe(tmp), Err(FileError::NotPermitted));
}

#[test]
fn badges_of_a_predecessor_are_stale_and_never_used_again() {
    use libipc::interfaces::clients::SERVER_BADGES;
    let mut service = service(ROOMY);
    let stale = SERVER_BADGES + 1000;
    assert_eq!(service.stat(stale).err(), Some(FileError::Stale));
    assert_eq!(read(&service, stale, 0, 1), Err(FileError::Stale));
    let call = Call::read(1);
    service.stream_read(stale, call.clone());
    assert_eq!(call.answered(), Some(Err(StreamError::Stale)));
    service.closed(stale);
}
