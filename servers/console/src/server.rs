//! The interfaces, interrupts and the log, around the terminal.

use crate::{
    device::Uart,
    log::LogReader,
    questions::Asker,
    seats::{Interrupt, number},
    terminal::Terminal,
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use libipc::{
    Text,
    interfaces::{
        Consent, ConsentError, Console, ConsoleError, ConsoleMode, Screen, ScreenError, Stream,
        StreamClient, StreamError, StreamKind, WindowSize,
    },
    objects::{EndpointClient, InterruptClient},
    server::{Event, LeaseId, Message, Receiver, Reply},
    status::{Cause, TransportError},
    time::Instant,
};
use tessera_stream::{StreamRead, StreamWrite};

/// Signal bit of the device's interrupt.
pub const DEVICE: u64 = 1 << 0;
/// Signal bit of a log that has grown.
pub const LOG: u64 = 1 << 1;

/// How often the log is looked at unasked, to notice that it was restarted.
const LOG_CHECK: Duration = Duration::from_secs(1);

/// Bytes received before clients get their turn again.
const BURST: usize = 256;

/// Who wants to know of Ctrl-C.
#[derive(Debug)]
pub struct Listener {
    endpoint: EndpointClient,
    signals: u64,
}

impl Interrupt for Listener {
    fn interrupt(&self) {
        // Whoever is gone needs not to be told.
        let _ = self.endpoint.signal(self.signals);
    }
}

/// The terminal over calls that wait in the kernel.
pub type ServedTerminal = Terminal<StreamRead, StreamWrite, Listener>;

/// The terminal between its endpoint and its device.
pub struct Server<'e, U> {
    endpoint: &'e EndpointClient,
    terminal: ServedTerminal,
    uart: U,
    interrupt: InterruptClient,
    log: Option<LogReader<'e>>,
    /// There was no room for all of the log.
    log_waits: bool,
    /// Badges of those who may ask the owner.
    askers: Vec<u64>,
}

/// A question whose asker waits in the kernel.
#[derive(Debug)]
struct Asked(Reply<bool, ConsentError>);

impl Asker for Asked {
    fn is_cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn answer(self: Box<Self>, answer: Result<bool, ConsentError>) {
        self.0.answer(answer);
    }
}

impl<'e, U: Uart> Server<'e, U> {
    /// Serves `terminal` at `endpoint`, which must have `RECEIVE` and `SIGNAL`.
    pub fn new(
        endpoint: &'e EndpointClient,
        terminal: ServedTerminal,
        uart: U,
        interrupt: InterruptClient,
        log: Option<LogReader<'e>>,
    ) -> Self {
        Server {
            endpoint,
            terminal,
            uart,
            interrupt,
            log,
            log_waits: false,
            askers: Vec::new(),
        }
    }

    /// Lets clients with these badges ask the owner.
    pub fn with_askers(mut self, askers: Vec<u64>) -> Self {
        self.askers = askers;
        self
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self) -> TransportError {
        // Setting the device up empties its FIFO of what was typed before.
        self.receive();
        self.uart.start();
        if self.interrupt.bind(self.endpoint, DEVICE).is_err() {
            return TransportError::refused(Cause::Denied);
        }
        // What came meanwhile has interrupted nobody.
        self.signals(DEVICE);
        self.read_log();
        let mut receiver = Receiver::new(self.endpoint);
        loop {
            let deadline = match self.log {
                Some(_) => Instant::after(LOG_CHECK),
                None => Instant::FOREVER,
            };
            self.transmit();
            match receiver.wait(deadline) {
                Ok(Event::Message(message)) => self.message(message),
                Ok(Event::Closed(badge)) => self.terminal.closed(badge),
                Ok(Event::Signals(signals)) => self.signals(signals),
                Err(error) if error.cause == Cause::TimedOut => self.read_log(),
                Err(error) => return error,
            }
        }
    }

    fn message(&mut self, message: Message<'_, '_>) {
        let badge = message.badge();
        let mut seat = Seat {
            server: self,
            badge,
        };
        if message.is::<dyn Stream>() {
            message.dispatch::<dyn Stream>(&mut seat);
        } else if message.is::<dyn Console>() {
            message.dispatch::<dyn Console>(&mut seat);
        } else if message.is::<dyn Screen>() {
            message.dispatch::<dyn Screen>(&mut seat);
        } else if message.is::<dyn Consent>() {
            message.dispatch::<dyn Consent>(&mut seat);
        } else {
            message.refuse();
        }
    }

    /// Takes what was typed, a bounded part of it; whether that was all.
    fn receive(&mut self) -> bool {
        for _ in 0..BURST {
            match self.uart.receive() {
                Some(byte) => self.terminal.typed(byte),
                None => return true,
            }
        }
        false
    }

    fn signals(&mut self, signals: u64) {
        if signals & DEVICE != 0 {
            // What comes from here on interrupts again, also what comes when all else was
            // taken: a device that has bytes may interrupt for the first of them only.
            self.uart.clear_interrupt();
            if !self.receive() {
                // The rest is taken when clients have had their turn.
                let _ = self.endpoint.signal(DEVICE);
            }
            let _ = self.interrupt.acknowledge();
        }
        if signals & LOG != 0 {
            self.read_log();
        }
    }

    /// Moves bytes out as long as the device takes them.
    fn transmit(&mut self) {
        loop {
            let out = self.terminal.screen().out();
            if out.is_empty() {
                break;
            }
            let sent = self.uart.send(out.front());
            out.consume(sent);
            if sent == 0 {
                break;
            }
            self.terminal.drained();
            if self.log_waits {
                self.read_log();
            }
        }
        let waits = !self.terminal.screen().out().is_empty();
        self.uart.announce_room(waits);
    }

    /// Shows what is new in the log, as far as there is room.
    fn read_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        self.log_waits = true;
        while self.terminal.wants_log() {
            let text = log.text();
            if text.is_empty() {
                self.log_waits = false;
                return;
            }
            let used = self.terminal.log(text);
            log.consume(used);
        }
    }
}

/// One call's view of the server: who calls.
struct Seat<'s, 'e, U> {
    server: &'s mut Server<'e, U>,
    badge: u64,
}

impl<U: Uart> Stream for Seat<'_, '_, U> {
    fn read(&mut self, into: LeaseId, reply: Reply<u64, StreamError>) {
        let read = StreamRead::new(into, reply);
        self.server.terminal.read(self.badge, read);
    }

    fn write(&mut self, from: LeaseId, reply: Reply<u64, StreamError>) {
        let write = StreamWrite::new(from, reply);
        self.server.terminal.write(self.badge, write);
    }

    fn kind(&mut self) -> Result<StreamKind, StreamError> {
        Ok(StreamKind::Terminal)
    }
}

impl<U: Uart> Console for Seat<'_, '_, U> {
    fn open(&mut self, name: Text<24>) -> Result<(u64, StreamClient), ConsoleError> {
        let seats = self.server.terminal.seats();
        let opened = seats.open(self.badge, name.as_str())?;
        match self.server.endpoint.mint_client(opened) {
            Ok(seat) => Ok((number(opened).unwrap_or(0), seat)),
            Err(_) => {
                self.server.terminal.closed(opened);
                Err(ConsoleError::NoResources)
            }
        }
    }

    fn put_in_front(&mut self, seat: u64) -> Result<(), ConsoleError> {
        self.server.terminal.put_in_front(self.badge, seat)
    }

    fn set_mode(&mut self, mode: ConsoleMode) -> Result<(), ConsoleError> {
        self.server.terminal.set_mode(self.badge, mode);
        Ok(())
    }

    fn size(&mut self) -> Result<WindowSize, ConsoleError> {
        Ok(self.server.terminal.size())
    }

    fn set_size(&mut self, size: WindowSize) -> Result<(), ConsoleError> {
        self.server.terminal.set_size(self.badge, size)
    }

    fn on_interrupt(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), ConsoleError> {
        let seat = self.server.terminal.seats().seat(self.badge);
        seat.on_interrupt = Some(Listener { endpoint, signals });
        Ok(())
    }
}

impl<U: Uart> Screen for Seat<'_, '_, U> {
    fn say(&mut self, text: Text<240>) -> Result<(), ScreenError> {
        if text.as_str().trim().is_empty() {
            return Err(ScreenError::Empty);
        }
        match self.server.terminal.say(self.badge, text.as_str()) {
            true => Ok(()),
            false => Err(ScreenError::Busy),
        }
    }
}

impl<U: Uart> Consent for Seat<'_, '_, U> {
    fn ask(&mut self, question: Text<200>, reply: Reply<bool, ConsentError>) {
        if !self.server.askers.contains(&self.badge) {
            reply.answer(Err(ConsentError::NotPermitted));
            return;
        }
        let asker = Box::new(Asked(reply));
        self.server
            .terminal
            .ask(self.badge, question.as_str(), asker);
    }
}
