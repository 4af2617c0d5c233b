//! The second endpoint, at which the network is configured: a thread receives there and
//! hands on what is asked, so that the thread that has the sockets waits at one point.

use alloc::{collections::VecDeque, sync::Arc};
use libipc::{
    interfaces::net::{Cidr, InterfaceInfo, IpAddress, NetConfig, NetError, SocketLine},
    objects::EndpointClient,
    server::{self, Reply},
    status::TransportError,
    sync::Mutex,
};

/// Most commands that wait to be carried out.
const MOST: usize = 32;

/// What is asked.
#[derive(Debug)]
pub enum Command {
    /// What is known of the interface.
    Interface(Reply<InterfaceInfo, NetError>),
    /// One of its addresses.
    Address(u64, Reply<Cidr, NetError>),
    /// A socket.
    Socket(u64, Reply<SocketLine, NetError>),
    /// A change.
    Change(Change, Reply<(), NetError>),
}

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An address more.
    Add(Cidr),
    /// An address less.
    Remove(IpAddress),
    /// Another gateway.
    Gateway(IpAddress),
    /// Another name server.
    NameServer(IpAddress),
    /// Addresses from a server, or not.
    Dhcp(bool),
}

/// Commands on their way from one thread to the other.
#[derive(Clone, Debug, Default)]
pub struct Commands(Arc<Mutex<VecDeque<Command>>>);

impl Commands {
    /// None.
    pub fn new() -> Self {
        Commands::default()
    }

    /// The next one.
    pub fn next(&self) -> Option<Command> {
        self.0.lock().pop_front()
    }
}

/// The thread's side.
#[derive(Debug)]
pub struct Relay {
    commands: Commands,
    told: EndpointClient,
    signals: u64,
}

impl Relay {
    /// Hands commands on, and tells of them by `signals` at the endpoint.
    pub fn new(commands: Commands, told: EndpointClient, signals: u64) -> Self {
        Relay {
            commands,
            told,
            signals,
        }
    }

    /// Serves until the endpoint ends, and returns why.
    pub fn run(&mut self, endpoint: &EndpointClient) -> TransportError {
        server::serve::<dyn NetConfig>(endpoint, self)
    }

    fn hand(&self, command: Command) {
        let mut commands = self.commands.0.lock();
        if commands.len() < MOST {
            commands.push_back(command);
            drop(commands);
            // The other thread ends with this task.
            let _ = self.told.signal(self.signals);
        } else {
            drop(commands);
            command.refuse(NetError::Busy);
        }
    }

    fn change(&self, change: Change, reply: Reply<(), NetError>) {
        self.hand(Command::Change(change, reply));
    }
}

impl Command {
    fn refuse(self, error: NetError) {
        match self {
            Command::Interface(reply) => drop(reply.answer(Err(error))),
            Command::Address(_, reply) => drop(reply.answer(Err(error))),
            Command::Socket(_, reply) => drop(reply.answer(Err(error))),
            Command::Change(_, reply) => drop(reply.answer(Err(error))),
        }
    }
}

impl NetConfig for Relay {
    fn interface(&mut self, reply: Reply<InterfaceInfo, NetError>) {
        self.hand(Command::Interface(reply));
    }

    fn address(&mut self, index: u64, reply: Reply<Cidr, NetError>) {
        self.hand(Command::Address(index, reply));
    }

    fn add_address(&mut self, address: Cidr, reply: Reply<(), NetError>) {
        self.change(Change::Add(address), reply);
    }

    fn remove_address(&mut self, address: IpAddress, reply: Reply<(), NetError>) {
        self.change(Change::Remove(address), reply);
    }

    fn set_gateway(&mut self, address: IpAddress, reply: Reply<(), NetError>) {
        self.change(Change::Gateway(address), reply);
    }

    fn set_name_server(&mut self, address: IpAddress, reply: Reply<(), NetError>) {
        self.change(Change::NameServer(address), reply);
    }

    fn set_dhcp(&mut self, on: bool, reply: Reply<(), NetError>) {
        self.change(Change::Dhcp(on), reply);
    }

    fn socket(&mut self, index: u64, reply: Reply<SocketLine, NetError>) {
        self.hand(Command::Socket(index, reply));
    }
}
