//! The console server behind its endpoint, with a serial line and an interrupt
//! that the test plays.

use libipc::{
    Capability, Text,
    fake::{self, Task},
    handle::Rights,
    interfaces::{
        ConsoleClient, ConsoleMode, LogClient, LogLevel, StreamClient, StreamKind, WindowSize,
        clients::ClientArgument,
    },
    objects::{EndpointClient, interrupt},
    operation::Interface,
    server::{Dispatch, Event, Outcome, Receiver, Request},
    status::Cause,
    time::Instant,
    wire::Sink,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tessera_console::{
    device::Uart,
    log::LogReader,
    seats::Seats,
    server::{DEVICE, LOG, Server},
    terminal::Terminal,
};

/// Both ends of a serial line.
#[derive(Default)]
struct Wire {
    to_console: VecDeque<u8>,
    /// What comes when the driver has just found that nothing is there.
    late: Vec<u8>,
    /// What has come since the interrupt was cleared interrupts.
    interrupts: bool,
    from_console: Vec<u8>,
    /// Bytes that the device takes at once; it interrupts when it has room.
    fifo: usize,
    room: usize,
    announce: bool,
}

#[derive(Clone)]
struct FakeUart(Arc<Mutex<Wire>>);

impl Uart for FakeUart {
    fn start(&mut self) {
        let mut wire = self.0.lock().unwrap();
        wire.room = wire.fifo;
    }
    fn receive(&mut self) -> Option<u8> {
        let mut wire = self.0.lock().unwrap();
        let byte = wire.to_console.pop_front();
        if byte.is_none() && !wire.late.is_empty() {
            let late = std::mem::take(&mut wire.late);
            wire.to_console.extend(late);
            wire.interrupts = true;
        }
        byte
    }
    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut wire = self.0.lock().unwrap();
        let count = bytes.len().min(wire.room);
        wire.room -= count;
        wire.from_console.extend_from_slice(&bytes[..count]);
        count
    }
    fn announce_room(&mut self, on: bool) {
        self.0.lock().unwrap().announce = on;
    }
    fn clear_interrupt(&mut self) {
        self.0.lock().unwrap().interrupts = false;
    }
}

/// The kernel's interrupt object: every operation succeeds.
struct FakeInterrupt;

impl Dispatch for FakeInterrupt {
    const INTERFACE: Interface = interrupt::INTERFACE;

    fn dispatch<'r>(
        &mut self,
        _: u8,
        _: &mut impl Request<'r>,
        _: &mut impl Sink,
    ) -> Result<Outcome, Cause> {
        Ok(Outcome::Answered(Ok(())))
    }
}

struct Served {
    endpoint: EndpointClient,
    uart: FakeUart,
}

/// A console with a shell as its client, perhaps with a log.
fn start(fifo: usize, log: Option<LogClient>) -> Served {
    let uart = FakeUart(Arc::default());
    uart.0.lock().unwrap().fifo = fifo;
    let endpoint = Capability::from(fake::endpoint());
    let handed = endpoint.copy().unwrap();
    let task = Task::new();
    let interrupt: Capability = fake::serve(|endpoint| libipc::serve(endpoint, &mut FakeInterrupt));
    let interrupt = task.give(interrupt);
    let log = log.map(|log| task.give(log));
    let driver = uart.clone();
    task.spawn_with(handed, move |endpoint: EndpointClient| {
        let shell = ClientArgument::parse("client:3=shell").unwrap();
        let terminal = Terminal::new(Seats::new(&[shell], [])).unwrap();
        let interrupt = Capability::from_handle(interrupt).into();
        let log = log.map(|log| {
            let log = Capability::from_handle(log).into();
            LogReader::server(log, &endpoint, LOG)
        });
        Server::new(&endpoint, terminal, driver, interrupt, log).run()
    });
    let endpoint = endpoint.into();
    Served { endpoint, uart }
}

impl Served {
    /// The shell's seat, as both of its interfaces.
    fn shell(&self) -> (ConsoleClient, StreamClient) {
        let console: Capability = self.endpoint.mint_client(3).unwrap();
        let stream = console.copy().unwrap();
        (console.into(), stream.into())
    }

    fn type_keys(&self, keys: &str) {
        let mut wire = self.uart.0.lock().unwrap();
        wire.to_console.extend(keys.bytes());
        drop(wire);
        self.endpoint.signal(DEVICE).unwrap();
    }

    /// Waits until the terminal has shown this.
    fn expect(&self, text: &str) {
        let seen = eventually(|| {
            let mut wire = self.uart.0.lock().unwrap();
            wire.room = wire.fifo;
            if wire.announce {
                drop(wire);
                self.endpoint.signal(DEVICE).unwrap();
            } else {
                drop(wire);
            }
            self.shown().contains(text)
        });
        assert!(seen, "{text:?} is not in {:?}", self.shown());
    }

    fn shown(&self) -> String {
        let wire = self.uart.0.lock().unwrap();
        String::from_utf8_lossy(&wire.from_console).into_owned()
    }
}

fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    (0..1000).any(|_| {
        let done = condition();
        if !done {
            thread::sleep(Duration::from_millis(3));
        }
        done
    })
}

#[test]
fn a_line_goes_to_the_reader_and_an_answer_to_the_screen() {
    let served = start(1000, None);
    let (console, stream) = served.shell();
    assert_eq!(stream.kind(), Ok(StreamKind::Terminal));
    assert_eq!(stream.write(b"$ "), Ok(2));
    let reader = Task::new().spawn_with(stream, |stream: StreamClient| {
        let mut line = [0; 100];
        let count = stream.read(&mut line).unwrap() as usize;
        stream.write(&line[..count]).unwrap();
        String::from_utf8(line[..count].to_vec()).unwrap()
    });
    served.type_keys("echo hi\r");
    assert_eq!(reader.join().unwrap(), "echo hi\n");
    served.expect("$ echo hi\r\necho hi\r\n");
    let size = console.size().unwrap();
    assert_eq!(
        size,
        WindowSize {
            columns: 80,
            rows: 24
        }
    );
}

#[test]
fn a_slow_line_makes_the_writer_wait_and_loses_nothing() {
    let served = start(16, None);
    let (_, stream) = served.shell();
    let text: String = (0..2000).map(|index| format!("{index} ")).collect();
    let sent = text.clone();
    let writer = Task::new().spawn_with(stream, move |stream: StreamClient| {
        let mut rest = sent.as_bytes();
        while !rest.is_empty() {
            let count = stream.write(rest).unwrap() as usize;
            rest = &rest[count..];
        }
    });
    served.expect("1999 ");
    writer.join().unwrap();
    assert_eq!(served.shown(), text);
}

#[test]
fn ctrl_c_reaches_the_shells_endpoint_while_a_job_is_in_front() {
    let served = start(1000, None);
    let (console, _) = served.shell();
    let own = fake::endpoint();
    let signal = own.as_ref().derive(Rights::SIGNAL | Rights::GRANT).unwrap();
    console.on_interrupt(signal.into(), 2).unwrap();
    let (seat, job) = console.open(Text::new("job").unwrap()).unwrap();
    console.put_in_front(seat).unwrap();
    served.type_keys("\x03");
    let mut receiver = Receiver::new(&own);
    let soon = Instant::after(Duration::from_secs(5));
    assert!(matches!(receiver.wait(soon), Ok(Event::Signals(2))));
    // The job ends; its seat with it, and the shell is in front again.
    drop(job);
    let back = eventually(|| {
        console
            .set_size(WindowSize {
                columns: 90,
                rows: 30,
            })
            .is_ok()
    });
    assert!(back && console.put_in_front(seat).is_err());
    console.set_mode(ConsoleMode::Raw).unwrap();
}

#[test]
fn what_comes_while_the_driver_is_done_is_not_lost() {
    let served = start(1000, None);
    let (_, stream) = served.shell();
    assert_eq!(stream.kind(), Ok(StreamKind::Terminal));
    served.uart.0.lock().unwrap().late = b"lo\r".to_vec();
    served.type_keys("hel");
    // The line is up as long as the device interrupts.
    let seen = eventually(|| {
        if served.uart.0.lock().unwrap().interrupts {
            served.endpoint.signal(DEVICE).unwrap();
        }
        served.shown().contains("hello\r\n")
    });
    assert!(seen, "{:?}", served.shown());
}

#[test]
fn others_and_the_log_appear_marked() {
    let log: LogClient = fake::serve(|endpoint| {
        let journal = tessera_log::journal::Journal::new(&[], 0);
        tessera_log::server::Server::new(endpoint, journal, None).run()
    });
    let lines = LogClient::from(Capability::from(log).copy().unwrap());
    let own = LogClient::from(lines.as_ref().copy().unwrap());
    let served = start(16, Some(lines));
    let (console, stream) = served.shell();
    stream.write(b"$ ").unwrap();
    let (_, job) = console.open(Text::new("job").unwrap()).unwrap();
    job.write(b"\x1b[31mbackground\n").unwrap();
    served.expect("▶ job: background\r\n$ ");
    let text = "from the log";
    own.append(LogLevel::Info, Text::new(text).unwrap())
        .unwrap();
    served.expect(" I client0 from the log\r\n$ ");
}
