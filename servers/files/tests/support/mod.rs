//! A service without a kernel: calls whose memory and answers the test keeps.
#![allow(dead_code, reason = "each test file uses its own part")]

use libipc::interfaces::{
    FileError, FileKind, Listing, StreamError, clients::ClientArgument, directory,
};
use std::{cell::RefCell, rc::Rc};
use tessera_files::{boot::BootVolume, quota::Limits, service::Service};
use tessera_stream::{WaitingRead, WaitingWrite};

/// The memory and answer of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) size: usize,
    pub(crate) bytes: Rc<RefCell<Vec<u8>>>,
    pub(crate) answer: Rc<RefCell<Option<Result<u64, StreamError>>>>,
}

impl Call {
    pub(crate) fn read(size: usize) -> Self {
        Call {
            size,
            ..Call::default()
        }
    }

    pub(crate) fn write(bytes: &[u8]) -> Self {
        Call {
            size: bytes.len(),
            bytes: Rc::new(RefCell::new(bytes.to_vec())),
            ..Call::default()
        }
    }

    pub(crate) fn answered(&self) -> Option<Result<u64, StreamError>> {
        *self.answer.borrow()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.borrow().clone()).unwrap()
    }
}

impl WaitingRead for Call {
    fn wanted(&self) -> usize {
        self.size
    }
    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StreamError> {
        assert_eq!(self.bytes.borrow().len(), offset);
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn answer(self, outcome: Result<u64, StreamError>) {
        *self.answer.borrow_mut() = Some(outcome);
    }
}

impl WaitingWrite for Call {
    fn offered(&self) -> usize {
        self.size
    }
    fn get(&mut self, offset: usize, into: &mut [u8]) -> Result<(), StreamError> {
        into.copy_from_slice(&self.bytes.borrow()[offset..offset + into.len()]);
        Ok(())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn answer(self, outcome: Result<u64, StreamError>) {
        *self.answer.borrow_mut() = Some(outcome);
    }
}

pub(crate) type TestService = Service<'static, Call, Call>;

pub(crate) const SHELL: u64 = 3;
pub(crate) const OTHER: u64 = 4;

/// A service with an empty `/boot` and two clients, who share these limits with
/// the guests.
pub(crate) fn service(limits: Limits) -> TestService {
    let clients = ["client:3=shell", "client:4=other"];
    let clients = clients.map(|client| ClientArgument::parse(client).unwrap());
    Service::new(BootVolume::default(), limits, &clients, 0)
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
