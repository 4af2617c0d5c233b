//! The loop: messages, signals and timers, and what follows from them.

mod listener;
mod net;
mod ping;
mod settle;
mod tcp;
mod udp;

use crate::{
    accounts::Accounts,
    config::{Change, Command, Commands},
    port::Port,
    sockets::{Kind, Socket},
    stack::{Stack, to_socket_address},
    waiting::{self, Waiting},
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::time::Duration;
use libipc::{
    Text,
    interfaces::{
        clients::{ClientArgument, SERVER_BADGES, live_badges},
        net::{Events, Listener, Net, NetError, Ping, SocketLine, Tcp, TcpState, Udp},
    },
    objects::EndpointClient,
    server::{Event, Message, Receiver, Reply},
    start::AnyError,
    status::{Cause, TransportError},
    time,
};
use smoltcp::{
    iface::SocketHandle,
    socket::{dns::QueryHandle, icmp, tcp as stream, udp as datagram},
    time::Instant,
};

/// Signal bit: the device has something.
pub const DEVICE: u64 = 1;

/// Signal bit: a command is there.
pub const COMMAND: u64 = 2;

/// What is due at once is done at the latest after this: nothing can keep this server
/// busy by itself.
const PAUSE: Duration = Duration::from_millis(1);

/// Most connections of a client that nobody has any more.
const ORPHANS: usize = 4;

/// A name that somebody wants to know.
struct Lookup {
    /// Who pays for it.
    account: u64,
    query: QueryHandle,
    reply: Reply<libipc::interfaces::net::Addresses, NetError>,
}

/// Sockets over a device.
pub struct Server<'e, P: Port> {
    endpoint: &'e EndpointClient,
    stack: Stack<P>,
    accounts: Accounts,
    sockets: BTreeMap<u64, Socket>,
    lookups: Vec<Lookup>,
    /// Ports at which only the task of this name receives.
    ports: Vec<(u16, String)>,
    commands: Commands,
    next_badge: u64,
    next_echo: u16,
    clock: Clock,
}

/// One call's view of the server: who calls.
struct Client<'s, 'e, P: Port> {
    server: &'s mut Server<'e, P>,
    badge: u64,
}

/// The time as smoltcp has it.
pub fn now() -> Instant {
    let since_boot = time::from_ticks(time::Instant::now().ticks());
    Instant::from_micros(since_boot.as_micros() as i64)
}

/// The protocols' time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// How much faster it is than the machine's: only tests are in a hurry.
    pace: u32,
}

impl Clock {
    fn now(self) -> Instant {
        Instant::from_micros(now().total_micros().saturating_mul(self.pace.into()))
    }

    /// So much later, as the machine counts.
    fn after(self, left: Duration) -> time::Instant {
        time::Instant::after((left / self.pace).max(PAUSE))
    }
}

impl<'e, P: Port> Server<'e, P> {
    /// Serves at this endpoint. Buffers of all sockets together may have `most` bytes.
    pub fn new(
        endpoint: &'e EndpointClient,
        stack: Stack<P>,
        clients: &[ClientArgument<'_>],
        commands: Commands,
        most: usize,
    ) -> Self {
        let newest = live_badges(endpoint).max().unwrap_or(SERVER_BADGES);
        Server {
            endpoint,
            stack,
            accounts: Accounts::new(most, clients),
            sockets: BTreeMap::new(),
            lookups: Vec::new(),
            ports: Vec::new(),
            commands,
            next_badge: newest + 1,
            next_echo: newest as u16,
            clock: Clock { pace: 1 },
        }
    }

    /// The same with ports that are kept for tasks of the page with these names.
    pub fn with_ports(mut self, ports: &[(u16, String)]) -> Self {
        self.ports = ports.to_vec();
        self
    }

    /// The same with time that runs so much faster, for tests.
    pub fn with_pace(mut self, pace: u32) -> Self {
        self.clock.pace = pace.max(1);
        self
    }

    /// Serves until the endpoint ends, or the session with the badge `device`, and
    /// returns why.
    pub fn run(&mut self) -> AnyError {
        let mut receiver = Receiver::new(self.endpoint);
        loop {
            let deadline = self.settle();
            match receiver.wait(deadline) {
                Ok(Event::Message(message)) => self.message(message),
                Ok(Event::Signals(signals)) => self.signalled(signals),
                Ok(Event::Closed(badge)) => self.closed(badge),
                Err(error) if error == timed_out() => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// Does what is due, and says until when there is nothing to do.
    pub fn settle(&mut self) -> time::Instant {
        let now = self.clock.now();
        self.stack.poll(now);
        if self.look(now) {
            // Answers may have made room, or ended something.
            self.stack.poll(now);
            self.look(now);
        }
        self.accounts.tell();
        match self.stack.poll_at(now) {
            Some(at) => {
                let left = Duration::from_micros((at - now).total_micros());
                let left = if at > now { left } else { Duration::ZERO };
                self.clock.after(left)
            }
            None => time::Instant::FOREVER,
        }
    }

    fn message(&mut self, message: Message<'_, '_>) {
        let badge = message.badge();
        let mut client = Client {
            server: self,
            badge,
        };
        if message.is::<dyn Tcp>() {
            message.dispatch::<dyn Tcp>(&mut client);
        } else if message.is::<dyn Udp>() {
            message.dispatch::<dyn Udp>(&mut client);
        } else if message.is::<dyn Listener>() {
            message.dispatch::<dyn Listener>(&mut client);
        } else if message.is::<dyn Ping>() {
            message.dispatch::<dyn Ping>(&mut client);
        } else {
            message.dispatch::<dyn Net>(&mut client);
        }
    }

    fn signalled(&mut self, signals: u64) {
        if signals & DEVICE != 0 {
            self.stack.port.pull();
        }
        while let Some(command) = self.commands.next() {
            self.command(command);
        }
    }

    /// Carries a command out. Who no longer waits need not be told.
    fn command(&mut self, command: Command) {
        match command {
            Command::Interface(reply) => drop(reply.answer(Ok(self.stack.info()))),
            Command::Address(index, reply) => drop(reply.answer(self.stack.address(index))),
            Command::Socket(index, reply) => drop(reply.answer(self.line(index))),
            Command::Change(change, reply) => {
                let changed = match change {
                    Change::Add(address) => self.stack.add_address(address),
                    Change::Remove(address) => self.stack.remove_address(address),
                    Change::Gateway(address) => self.stack.set_gateway(address),
                    Change::NameServer(address) => self.stack.set_name_server(address),
                    Change::Dhcp(on) => {
                        self.stack.set_dhcp(on);
                        Ok(())
                    }
                };
                reply.answer(changed);
            }
        }
    }

    /// The protocols, for who sets them up.
    pub fn stack(&mut self) -> &mut Stack<P> {
        &mut self.stack
    }

    /// The last capability with this badge is gone.
    fn closed(&mut self, badge: u64) {
        let Some(socket) = self.sockets.get_mut(&badge) else {
            self.accounts.closed(badge);
            return;
        };
        for waiting in socket.waiting.drain(..) {
            waiting.refuse(NetError::Closed);
        }
        if let Kind::Tcp(connection) = &mut socket.kind
            && !connection.is_gone()
            && connection.made
        {
            // What it has taken goes out, and nobody is told of it.
            connection.orphan = true;
            let handle = connection.handle;
            socket.armed = Events::empty();
            socket.fresh = Events::empty();
            let account = socket.account;
            self.stack.sockets.get_mut::<stream::Socket>(handle).close();
            if self.orphans(account).count() > ORPHANS {
                self.remove_orphan(account);
            }
            return;
        }
        self.remove(badge);
    }

    /// Pays for a socket. Connections that nobody has any more make room.
    fn begin(&mut self, account: u64, bytes: usize) -> Result<(), NetError> {
        loop {
            match self.accounts.begin(account, bytes) {
                Err(_) if self.remove_orphan(account) => {}
                begun => return begun,
            }
        }
    }

    /// Connections that nobody has any more and that this account's client pays for, by how
    /// much it matters that they go on, and by age: those that are over but for the last
    /// confirmation, that only wait for the other side's end, that still send.
    fn orphans(&self, account: u64) -> impl Iterator<Item = (u8, u64)> {
        let payer = self.accounts.payer(account);
        let sockets = self.sockets.iter();
        sockets.filter_map(move |(&badge, socket)| match &socket.kind {
            Kind::Tcp(connection)
                if connection.orphan && self.accounts.payer(socket.account) == payer =>
            {
                let socket = self.stack.sockets.get::<stream::Socket>(connection.handle);
                let matters = match socket.state() {
                    stream::State::Closed | stream::State::TimeWait => 0,
                    stream::State::FinWait2 => 1,
                    _ => 2,
                };
                Some((matters, badge))
            }
            _ => None,
        })
    }

    /// Ends that of them which matters least; false if there is none.
    fn remove_orphan(&mut self, account: u64) -> bool {
        let Some((_, badge)) = self.orphans(account).min() else {
            return false;
        };
        self.remove(badge);
        true
    }

    /// Ends a socket at once.
    fn remove(&mut self, badge: u64) {
        let Some(socket) = self.sockets.remove(&badge) else {
            return;
        };
        match socket.kind {
            Kind::Udp { handle, groups } => {
                groups.into_iter().for_each(|group| self.stack.leave(group));
                self.stack.sockets.remove(handle);
            }
            Kind::Tcp(Connection { handle, .. }) => self.stack.end(handle),
            Kind::Listener { handles, .. } => {
                handles
                    .into_iter()
                    .for_each(|handle| self.stack.end(handle));
            }
            Kind::Ping { handle, .. } => drop(self.stack.sockets.remove(handle)),
        }
        self.accounts.end(socket.account, socket.bytes);
    }

    /// Adds a socket that was paid for, and returns its badge.
    fn add(&mut self, socket: Socket) -> u64 {
        let badge = self.next_badge;
        self.next_badge += 1;
        self.sockets.insert(badge, socket);
        badge
    }

    /// A capability for a socket, which ends if there can be none.
    fn capability<C: From<libipc::Capability>>(&mut self, badge: u64) -> Result<C, NetError> {
        self.endpoint.mint_client(badge).map_err(|_| {
            self.remove(badge);
            NetError::NoResources
        })
    }

    /// A call waits at its socket.
    fn wait(&mut self, badge: u64, call: Waiting) {
        let Some(socket) = self.sockets.get_mut(&badge) else {
            return call.refuse(NetError::Stale);
        };
        if socket.waiting.len() >= waiting::MOST {
            socket.waiting.retain(|call| !call.is_cancelled());
        }
        match socket.waiting.len() < waiting::MOST {
            true => socket.waiting.push(call),
            false => call.refuse(NetError::Busy),
        }
    }

    /// The socket with this index, or the next one, for people.
    fn line(&self, index: u64) -> Result<SocketLine, NetError> {
        let from = usize::try_from(index).map_err(|_| NetError::NotFound)?;
        let (badge, socket) = self.sockets.iter().nth(from).ok_or(NetError::NotFound)?;
        let mut line = SocketLine {
            kind: socket.kind(),
            owner: self.owner(socket.account),
            next: (from + 1 < self.sockets.len()) as u64 * (index + 1),
            ..SocketLine::default()
        };
        debug_assert!(
            *badge >= SERVER_BADGES,
            "sockets have badges of this server's"
        );
        match &socket.kind {
            Kind::Udp { handle, .. } => {
                let socket = self.stack.sockets.get::<datagram::Socket>(*handle);
                line.local.port = socket.endpoint().port;
                line.received = socket.recv_queue() as u64;
                line.unsent = socket.send_queue() as u64;
            }
            Kind::Tcp(connection) => {
                let socket = self.stack.sockets.get::<stream::Socket>(connection.handle);
                line.state = state(socket.state());
                line.local = socket
                    .local_endpoint()
                    .map_or_else(Default::default, to_socket_address);
                line.remote = socket
                    .remote_endpoint()
                    .map_or_else(Default::default, to_socket_address);
                line.received = socket.recv_queue() as u64;
                line.unsent = socket.send_queue() as u64;
                line.orphan = connection.orphan;
            }
            Kind::Listener { port, .. } => {
                line.state = TcpState::Listening;
                line.local.port = *port;
            }
            Kind::Ping { handle, .. } => {
                let socket = self.stack.sockets.get::<icmp::Socket>(*handle);
                line.received = socket.recv_queue() as u64;
                line.unsent = socket.send_queue() as u64;
            }
        }
        Ok(line)
    }

    fn owner(&self, account: u64) -> Text<32> {
        let account = self.accounts.get(account);
        account
            .and_then(|account| Text::new(&account.name))
            .unwrap_or_default()
    }
}

use crate::sockets::Connection;

/// How far a connection is, for clients.
fn state(state: stream::State) -> TcpState {
    match state {
        stream::State::Closed | stream::State::TimeWait => TcpState::Closed,
        stream::State::Listen => TcpState::Listening,
        stream::State::SynSent | stream::State::SynReceived => TcpState::Connecting,
        stream::State::Established => TcpState::Connected,
        stream::State::CloseWait => TcpState::Receiving,
        _ => TcpState::Closing,
    }
}

fn timed_out() -> TransportError {
    TransportError::refused(Cause::TimedOut)
}

impl<P: Port> Client<'_, '_, P> {
    /// The socket that the caller has.
    fn socket(&mut self) -> Result<&mut Socket, NetError> {
        let socket = self.server.sockets.get_mut(&self.badge);
        socket.ok_or(NetError::Stale)
    }

    /// Nothing can be done now: the client is told of these when they become so.
    fn arm(&mut self, events: Events) {
        if let Some(socket) = self.server.sockets.get_mut(&self.badge) {
            socket.armed |= events;
        }
    }

    fn handle_of(
        &mut self,
        pick: impl FnOnce(&Kind) -> Option<SocketHandle>,
    ) -> Result<SocketHandle, NetError> {
        pick(&self.socket()?.kind).ok_or(NetError::Stale)
    }
}
