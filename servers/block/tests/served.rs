//! The block server behind its endpoint, called as programs call it.

use libipc::{
    CallError, Capability, PAGE,
    fake::{self, Task},
    handle::Rights,
    interfaces::block::{
        BlockAction, BlockClient, BlockError, BlockRequest, Geometry, MAX_COPY, SECTOR,
    },
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
    start::AnyError,
    status::Cause,
    time::Instant,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tessera_block::{
    disk::{Disk, Transfer},
    ram::Ram,
    server::Server,
};

/// A server of this disk at an endpoint.
fn serve<D: Disk + Send + 'static>(disk: D) -> EndpointClient {
    let endpoint = Capability::from(fake::endpoint());
    let handed = endpoint.copy().unwrap();
    Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
        Server::new(disk).unwrap().run(&endpoint, None)
    });
    endpoint.into()
}

fn client(endpoint: &EndpointClient, badge: u64) -> BlockClient {
    endpoint.mint_client(badge).unwrap()
}

fn memory(pages: u64) -> MemoryClient {
    libipc::task().create_memory(pages).unwrap()
}

fn copy(memory: &MemoryClient) -> MemoryClient {
    memory.as_ref().copy().unwrap().into()
}

fn server<T>(error: BlockError) -> Result<T, CallError<BlockError>> {
    Err(CallError::Server(error))
}

fn request(tag: u32, action: BlockAction, sector: u64, memory: u64) -> BlockRequest {
    BlockRequest {
        tag,
        action,
        sector,
        count: 1,
        memory,
        offset: 0,
        more: false,
    }
}

#[test]
fn bytes_come_back_by_lease_and_in_place() {
    let block = client(&serve(Ram::new(300)), 3);
    let bytes: Vec<u8> = (0..MAX_COPY).map(|i| (i / 7) as u8).collect();
    block.write(100, &bytes).unwrap();
    let own = memory(2);
    let number = block.register(copy(&own)).unwrap();
    block.read_at(101, 3, number, 4).unwrap();
    let mut back = [0; 3 * SECTOR];
    own.read_into(4, &mut back).unwrap();
    assert_eq!(back, bytes[SECTOR..4 * SECTOR]);
    own.write_from(PAGE as u64, b"in place").unwrap();
    block.write_at(255, 1, number, PAGE as u64).unwrap();
    block.flush().unwrap();
    let mut back = [0; SECTOR];
    block.read(255, &mut back).unwrap();
    assert_eq!(back[..8], *b"in place");
    // There is a longest request, whatever the memory holds.
    let large = block.register(memory(64)).unwrap();
    let most = block.geometry().unwrap().max_sectors;
    assert_eq!(block.read_at(0, most, large, 0), Ok(()));
    let refused = block.read_at(0, most + 1, large, 0);
    assert_eq!(refused, server(BlockError::BadLength));
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused() {
    let endpoint = serve(Ram::with(vec![7; 64 * SECTOR], true));
    let (block, other) = (client(&endpoint, 3), client(&endpoint, 4));
    let geometry = block.geometry().unwrap();
    let expected = Geometry {
        sectors: 64,
        read_only: true,
        ..geometry
    };
    assert_eq!(geometry, expected);
    let (mut sector, long) = ([0; SECTOR], vec![0; MAX_COPY + SECTOR]);
    for bad in [64, 65, u64::MAX] {
        assert_eq!(block.read(bad, &mut sector), server(BlockError::OutOfRange));
    }
    assert_eq!(
        block.read(0, &mut sector[1..]),
        server(BlockError::BadRange)
    );
    assert_eq!(block.read(0, &mut []), server(BlockError::BadLength));
    assert_eq!(block.write(0, &sector), server(BlockError::ReadOnly));
    assert_eq!(block.write(0, &long), server(BlockError::BadLength));
    let number = block.register(memory(1)).unwrap();
    assert_eq!(block.read_at(63, 1, number, 4096 - 512), Ok(()));
    let bad = [
        ((63, 2, number, 0), BlockError::OutOfRange),
        ((u64::MAX, 2, number, 0), BlockError::OutOfRange),
        ((0, 0, number, 0), BlockError::BadLength),
        (
            (0, geometry.max_sectors + 1, number, 0),
            BlockError::OutOfRange,
        ),
        ((0, 9, number, 0), BlockError::BadRange),
        ((0, 1, number, 2), BlockError::BadRange),
        ((0, 1, number, 4096 - 508), BlockError::BadRange),
        ((0, 1, number, u64::MAX - 3), BlockError::BadRange),
        ((0, 1, number + 1, 0), BlockError::NoSuchMemory),
        ((0, 1, number + 64, 0), BlockError::NoSuchMemory),
        ((0, 1, 0, 0), BlockError::NoSuchMemory),
    ];
    for ((sector, count, memory, offset), error) in bad {
        let refused = block.read_at(sector, count, memory, offset);
        assert_eq!(refused, server(error), "{sector} {count} {memory} {offset}");
    }
    assert_eq!(
        block.write_at(0, 1, number, 0),
        server(BlockError::ReadOnly)
    );
    // Memory is its client's alone.
    assert_eq!(
        other.read_at(0, 1, number, 0),
        server(BlockError::NoSuchMemory)
    );
    assert_eq!(other.unregister(number), server(BlockError::NoSuchMemory));
    block.unregister(number).unwrap();
    assert_eq!(
        block.read_at(0, 1, number, 0),
        server(BlockError::NoSuchMemory)
    );
    assert_eq!(block.unregister(number), server(BlockError::NoSuchMemory));
    // A capability that cannot be written is of no use to a device.
    let read = memory(1).as_ref().derive(Rights::READ | Rights::GRANT);
    let refused = block.register(read.unwrap().into());
    assert_eq!(refused, server(BlockError::NoResources));
}

#[test]
fn memory_is_registered_so_often_and_forgotten_with_its_client() {
    let endpoint = serve(Ram::new(8));
    let block = client(&endpoint, 3);
    let most = block.geometry().unwrap().max_memories;
    let numbers: Vec<u64> = (0..most)
        .map(|_| block.register(memory(1)).unwrap())
        .collect();
    let full = server(BlockError::TooManyMemories);
    assert_eq!(block.register(memory(1)), full);
    block.unregister(numbers[3]).unwrap();
    let again = block.register(memory(1)).unwrap();
    assert!(!numbers.contains(&again));
    drop(block);
    // All can have theirs, again and again, only if what is left behind goes.
    for badge in 10..30 {
        let block = client(&endpoint, badge);
        for _ in 0..most {
            block.register(memory(1)).unwrap();
        }
        assert_eq!(
            block.read_at(0, 1, again, 0),
            server(BlockError::NoSuchMemory)
        );
    }
}

/// A disk that ends nothing until it is told to, in the order it is told.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Vec<(usize, Transfer)>,
    begun: usize,
    memories: usize,
    broken: bool,
    ended: VecDeque<(usize, Result<(), BlockError>)>,
}

impl Disk for Slow {
    type Memory = ();

    fn geometry(&self) -> Geometry {
        Geometry {
            sectors: 1000,
            max_sectors: 8,
            max_requests: 3,
            max_memories: 2,
            ..Geometry::default()
        }
    }
    fn register(&mut self, _: MemoryClient) -> Result<((), u64), BlockError> {
        self.0.lock().unwrap().memories += 1;
        Ok(((), PAGE as u64))
    }
    fn unregister(&mut self, (): ()) {
        self.0.lock().unwrap().memories -= 1;
    }
    fn take(&mut self, number: usize, transfer: Transfer, _: Option<&()>) -> bool {
        self.0.lock().unwrap().taken.push((number, transfer));
        true
    }
    fn begin(&mut self) -> Result<bool, AnyError> {
        let mut state = self.0.lock().unwrap();
        state.begun = state.taken.len();
        match state.broken {
            true => Err(AnyError::new("broken")),
            false => Ok(false),
        }
    }
    fn ended(&mut self) -> Option<(usize, Result<(), BlockError>)> {
        self.0.lock().unwrap().ended.pop_front()
    }
}

impl Slow {
    /// First sectors of what has begun, in order.
    fn begun(&self) -> Vec<u64> {
        let state = self.0.lock().unwrap();
        let begun = state.taken[..state.begun].iter();
        begun.map(|(_, transfer)| transfer.sector).collect()
    }
    /// Lets the request at `index` end.
    fn end(&self, endpoint: &EndpointClient, index: usize, result: Result<(), BlockError>) {
        let mut state = self.0.lock().unwrap();
        let number = state.taken[index].0;
        state.ended.push_back((number, result));
        drop(state);
        endpoint.signal(1).unwrap();
    }
    fn memories(&self) -> usize {
        self.0.lock().unwrap().memories
    }
}

/// Waits until it is so.
fn until(what: impl Fn() -> bool) {
    let deadline = Instant::after(Duration::from_secs(10));
    while !what() {
        assert!(!deadline.passed(), "it does not come to that");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_are_under_way_and_end_in_any_order() {
    let slow = Slow::default();
    let endpoint = serve(slow.clone());
    let block = client(&endpoint, 3);
    let own = block.register(memory(1)).unwrap();
    let read = |tag| request(tag, BlockAction::Read, u64::from(tag), own);
    assert_eq!(block.submit(read(1)), server(BlockError::NotNotified));
    assert_eq!(block.collect(), server(BlockError::NotNotified));
    let told = fake::endpoint();
    let signal = || {
        let derived = told.as_ref().derive(Rights::SIGNAL | Rights::GRANT);
        derived.unwrap().into()
    };
    block.notify(signal(), 4).unwrap();
    // What announces more waits for it.
    block
        .submit(BlockRequest {
            more: true,
            ..read(1)
        })
        .unwrap();
    assert_eq!(slow.begun(), []);
    block.submit(read(2)).unwrap();
    until(|| slow.begun() == [1, 2]);
    block
        .submit(BlockRequest {
            more: true,
            ..read(3)
        })
        .unwrap();
    assert_eq!(block.submit(read(4)), server(BlockError::QueueFull));
    // Nor does it wait for ever, if none comes.
    until(|| slow.begun() == [1, 2, 3]);
    slow.end(&endpoint, 2, Ok(()));
    slow.end(&endpoint, 0, Err(BlockError::Io));
    let mut receiver = Receiver::new(&told);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let soon = Instant::after(Duration::from_secs(10));
        assert!(matches!(receiver.wait(soon), Ok(Event::Signals(4))));
        ended.extend(block.collect().unwrap().iter());
    }
    assert_eq!(ended, [(3, Ok(())), (1, Err(BlockError::Io))]);
    assert_eq!(block.collect().unwrap().iter().count(), 0);
    // What was collected makes room, and what was refused was not begun.
    block.submit(read(5)).unwrap();
    until(|| slow.begun() == [1, 2, 3, 5]);
    // Whoever names another endpoint is told there of what has ended.
    slow.end(&endpoint, 3, Ok(()));
    until(|| slow.0.lock().unwrap().ended.is_empty());
    block.notify(signal(), 8).unwrap();
    let mut told = 0;
    while told & 8 == 0 {
        let soon = Instant::after(Duration::from_secs(10));
        match receiver.wait(soon) {
            Ok(Event::Signals(signals)) => told |= signals,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_flush_waits_for_others_and_others_for_it() {
    let slow = Slow::default();
    let endpoint = serve(slow.clone());
    let (block, other) = (client(&endpoint, 3), client(&endpoint, 4));
    let (own, others) = (block.register(memory(1)), other.register(memory(1)));
    let told = fake::endpoint();
    block.notify(told, 1).unwrap();
    let write = |tag| request(tag, BlockAction::Write, u64::from(tag), own.unwrap());
    block.submit(write(1)).unwrap();
    block.submit(request(2, BlockAction::Flush, 77, 0)).unwrap();
    let waits = fake::current().spawn(move || other.write_at(3, 1, others.unwrap(), 0));
    let more = client(&endpoint, 5);
    fake::current().spawn(move || more.read(4, &mut [0; SECTOR]));
    until(|| block.geometry().is_ok() && slow.begun() == [1]);
    slow.end(&endpoint, 0, Ok(()));
    until(|| slow.begun() == [1, 0]);
    slow.end(&endpoint, 1, Err(BlockError::Io));
    until(|| slow.begun().len() == 4);
    let of_write = slow.begun().iter().position(|&sector| sector == 3).unwrap();
    slow.end(&endpoint, of_write, Ok(()));
    assert_eq!(waits.join().unwrap(), Ok(()));
    let ended: Vec<_> = block.collect().unwrap().iter().collect();
    assert_eq!(ended, [(1, Ok(())), (2, Err(BlockError::Io))]);
}

#[test]
fn memory_stays_while_the_device_may_write_there() {
    let slow = Slow::default();
    let endpoint = serve(slow.clone());
    let block = client(&endpoint, 3);
    // The server has memory of its own.
    until(|| slow.memories() == 1);
    let own = block.register(memory(1)).unwrap();
    block.notify(fake::endpoint(), 1).unwrap();
    block.submit(request(1, BlockAction::Read, 1, own)).unwrap();
    until(|| slow.begun() == [1]);
    let leaver = client(&endpoint, 3);
    let leaves = fake::current().spawn(move || leaver.unregister(own));
    // No new request finds it, though the device still uses it.
    until(|| block.read_at(0, 1, own, 1) == server(BlockError::NoSuchMemory));
    assert_eq!(slow.memories(), 2);
    slow.end(&endpoint, 0, Ok(()));
    assert_eq!(leaves.join().unwrap(), Ok(()));
    assert_eq!(slow.memories(), 1);
    // So it is when the client is gone.
    let other = client(&endpoint, 9);
    other.notify(fake::endpoint(), 1).unwrap();
    let own = other.register(memory(1)).unwrap();
    other.submit(request(1, BlockAction::Read, 2, own)).unwrap();
    until(|| slow.begun() == [1, 2]);
    drop(other);
    block.geometry().unwrap();
    assert_eq!(slow.memories(), 2);
    slow.end(&endpoint, 1, Ok(()));
    until(|| slow.memories() == 1);
}

#[test]
fn a_disk_that_fails_ends_its_server_and_what_waits() {
    let slow = Slow::default();
    let endpoint = serve(slow.clone());
    let block = client(&endpoint, 3);
    let waiter = client(&endpoint, 4);
    let waits = fake::current().spawn(move || waiter.flush());
    until(|| slow.begun().len() == 1);
    // It is asked when it signals and nothing has ended.
    slow.0.lock().unwrap().broken = true;
    endpoint.signal(1).unwrap();
    // The call is made once more, at nobody: this test keeps the endpoint.
    until(|| endpoint.info().unwrap().receivers == 0);
    endpoint.close().unwrap();
    let ended = waits.join().unwrap();
    assert!(matches!(ended, Err(CallError::Transport(error)) if error.cause == Cause::Died));
    assert!(block.geometry().is_err());
}
