//! What was got through a service: files of a directory.

use crate::support::{Machine, Segment, file, name, pair};
use libipc::{
    CallError,
    interfaces::{
        BusClient, Directory, DirectoryClient, FileAccess::ReadWrite, FileError, bus::Standing,
    },
    status::Cause,
};

/// Calls of a service, by the record of who used what.
fn uses(bus: &BusClient, service: &str) -> u64 {
    let used = (0..).map_while(|index| bus.used(index).ok());
    let of_it = used.filter(|used| used.service.as_str() == service);
    of_it.map(|used| used.calls).sum()
}

#[test]
fn it_is_taken_back_with_the_service_and_its_uses_are_the_services() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    one.bus
        .publish(
            name("files"),
            name("Directory"),
            0,
            false,
            one.files_for_others(),
        )
        .unwrap();
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let opened = two.bus.open_as::<dyn Directory, _>(there.id, name("files"));
    let root: DirectoryClient = opened.unwrap();
    let data = root.open_directory(file("data"), ReadWrite).unwrap();
    let before = uses(&one.bus, "files");
    let written = data.create(file("written")).unwrap();
    // Whoever has a file open needs no directory for it.
    drop((root, data));
    for at in 0..7 {
        assert_eq!(written.write_at(at, b"x"), Ok(1));
    }
    assert_eq!(uses(&one.bus, "files"), before + 8);
    one.bus.revoke(name("files")).unwrap();
    let refused = written.write_at(7, b"x");
    let is_revoked = |error: &CallError<_>| matches!(error, CallError::Transport(error) if error.cause == Cause::Revoked);
    assert!(refused.as_ref().is_err_and(is_revoked), "{refused:?}");
    let here = one.files.open_directory(file("data"), ReadWrite).unwrap();
    assert_eq!(here.stat_name(file("written")).unwrap().size, 7);
}

#[test]
fn a_directory_of_the_page_is_looked_for_again_once_it_has_ended() {
    let segment = Segment::new();
    let [one, two] = [1, 2].map(|number| Machine::start(&segment, number));
    pair(&one, &two);
    let there = two.wait_for("machine-1", |device| device.standing == Standing::Trusted);
    let opened = two
        .bus
        .open_as::<dyn Directory, _>(there.id, name("shared"));
    let root: DirectoryClient = opened.unwrap();
    root.stat().unwrap();
    let data = one.files.open_directory(file("data"), ReadWrite).unwrap();
    data.remove(file("shared")).unwrap();
    let ended = CallError::Server(FileError::Removed);
    assert_eq!(root.stat().err(), Some(ended));
    root.create(file("again")).unwrap();
    let shared = data.open_directory(file("shared"), ReadWrite).unwrap();
    assert!(shared.stat_name(file("again")).is_ok());
}
