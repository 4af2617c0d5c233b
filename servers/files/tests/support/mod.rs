//! A service without a kernel, and how a test uses it.
#![allow(dead_code, reason = "each test file uses its own part")]

use libipc::interfaces::{FileError, FileKind, Listing, clients::ClientArgument, directory};
use tessera_files::{
    namespace::Namespace,
    quota::{Accounts, Limits},
    service::Service,
};
pub(crate) use tessera_stream::testing::Call;

pub(crate) type TestService = Service<'static, Call, Call>;

pub(crate) const SHELL: u64 = 3;
pub(crate) const OTHER: u64 = 4;

/// A service with an empty `/boot` and two clients, who share these limits with
/// the guests.
pub(crate) fn service(limits: Limits) -> TestService {
    let clients = ["client:3=shell", "client:4=other"];
    let clients = clients.map(|client| ClientArgument::parse(client).unwrap());
    let accounts = Accounts::of_clients(limits, &clients, &[]);
    Service::new(Namespace::in_memory(), accounts, &clients, 0)
}

pub(crate) const ROOMY: Limits = Limits {
    bytes: 3 << 20,
    nodes: 300,
    open: 300,
};

/// `/tmp`, opened by a client.
pub(crate) fn tmp(service: &mut TestService, client: u64) -> u64 {
    use libipc::interfaces::FileAccess::ReadWrite;
    let opened = service.open(client, "tmp", FileKind::Directory, ReadWrite);
    opened.unwrap()
}

pub(crate) fn write(
    service: &mut TestService,
    file: u64,
    position: Option<u64>,
    bytes: &[u8],
) -> Result<u64, FileError> {
    let mut inlet = |offset: u64, into: &mut [u8]| {
        let offset = offset as usize;
        into.copy_from_slice(&bytes[offset..offset + into.len()]);
        Ok(())
    };
    service.write_at(file, position, bytes.len() as u64, &mut inlet, 1)
}

pub(crate) fn read(
    service: &TestService,
    file: u64,
    position: u64,
    length: u64,
) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let count = service.read_at(file, position, length, &mut |offset, piece| {
        assert_eq!(offset, bytes.len() as u64);
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    assert_eq!(count, bytes.len() as u64);
    Ok(bytes)
}

/// All names, by pages of this many bytes.
pub(crate) fn names(service: &TestService, directory: u64, page: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let mut bytes = vec![0; page];
        let Listing {
            bytes: length,
            next,
        } = service.list(directory, cursor, &mut bytes).unwrap();
        let entries = directory::entries(&bytes[..length as usize]);
        all.extend(entries.map(|entry| entry.name.to_owned()));
        if next == 0 {
            return all;
        }
        cursor = next;
    }
}
