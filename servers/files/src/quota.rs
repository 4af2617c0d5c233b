//! Who pays: bytes, nodes and open handles, per client and for the whole file
//! system, so that no client can exhaust another.

use alloc::{string::String, vec::Vec};
use libipc::interfaces::{
    FileError, Usage,
    clients::{AccountArgument, ClientArgument},
};

/// A client that pays. Numbers are small and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    number: u16,
    /// What it opens may leave the device.
    may_leave: bool,
}

impl Account {
    const fn new(number: u16) -> Self {
        Account {
            number,
            may_leave: false,
        }
    }

    /// The same client; whether what it opens may leave the device.
    #[must_use]
    pub fn leaving(self, may_leave: bool) -> Self {
        Account { may_leave, ..self }
    }

    /// Whether what it opens may leave the device.
    pub fn may_leave(self) -> bool {
        self.may_leave
    }
}

/// What is used of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    used: u64,
    limit: u64,
}

impl Meter {
    /// Nothing used of `limit`.
    pub const fn new(limit: u64) -> Self {
        Meter { used: 0, limit }
    }

    /// What is used.
    pub const fn used(&self) -> u64 {
        self.used
    }

    fn charge(&mut self, amount: u64) -> bool {
        let fits = self.limit.saturating_sub(self.used) >= amount;
        if fits {
            self.used += amount;
        }
        fits
    }

    fn refund(&mut self, amount: u64) {
        debug_assert!(self.used >= amount, "refund of what was never charged");
        self.used = self.used.saturating_sub(amount);
    }
}

/// Limits of the whole file server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of file data and pipes.
    pub bytes: u64,
    /// Files and directories.
    pub nodes: u64,
    /// Open files, directories and pipe ends.
    pub open: u64,
}

impl Limits {
    /// Limits that fit into a heap of this many bytes: most of it for data, a
    /// part for names and handles, and the rest spare, so that an allocation
    /// within the limits never fails.
    pub const fn of_heap(heap: u64) -> Self {
        Limits {
            bytes: heap / 8 * 5,
            nodes: heap / 8 / NODE,
            open: heap / 16 / OPEN,
        }
    }
}

/// Heap that a node takes at most: its longest name, entries and node itself.
const NODE: u64 = 1024;

/// Heap that an open handle takes at most, with the calls that may wait there.
const OPEN: u64 = 1024;

#[derive(Debug)]
struct Client {
    name: String,
    /// Whose its files are where they last: nobody's in particular if 0.
    owner: u32,
    bytes: Meter,
    nodes: Meter,
    open: Meter,
}

/// All accounts.
///
/// The limits are divided evenly between the clients that are known from the
/// start and one account that all unknown clients share: what one of them may
/// use, the others can never need.
#[derive(Debug)]
pub struct Accounts {
    clients: Vec<Client>,
    limits: Limits,
}

impl Accounts {
    /// The account of clients that nobody named.
    pub const GUEST: Account = Account::new(0);

    /// One account for each name, however often it comes, and the guests'.
    pub fn new<'a>(limits: Limits, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut distinct = alloc::vec!["guest"];
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        let names = distinct;
        let shares = names.len() as u64;
        let clients = names
            .iter()
            .map(|&name| Client {
                name: name.into(),
                owner: 0,
                bytes: Meter::new(limits.bytes / shares),
                nodes: Meter::new(limits.nodes / shares),
                open: Meter::new(limits.open / shares),
            })
            .collect();
        Accounts { clients, limits }
    }

    /// Accounts for the clients of the page, and for those that own files here.
    pub fn of_clients(
        limits: Limits,
        clients: &[ClientArgument<'_>],
        owners: &[AccountArgument<'_>],
    ) -> Self {
        let named = clients.iter().map(|client| client.name);
        let mut accounts = Accounts::new(limits, named.chain(owners.iter().map(|one| one.client)));
        for client in &mut accounts.clients {
            let owner = owners.iter().find(|owner| owner.client == client.name);
            client.owner = owner.map_or(0, |owner| owner.id);
        }
        accounts
    }

    /// The name of a client.
    pub fn name(&self, account: Account) -> &str {
        let client = self.clients.get(usize::from(account.number));
        client.map_or("", |client| &client.name)
    }

    /// Whose the files of a client are where they last.
    pub fn owner(&self, account: Account) -> u32 {
        let client = self.clients.get(usize::from(account.number));
        client.map_or(0, |client| client.owner)
    }

    /// The account of a client that another client speaks for: that of the other, if it
    /// has none of its own.
    pub fn behind(&self, speaker: Account, client: &str) -> Account {
        let name = alloc::format!("{}/{client}", self.name(speaker));
        self.find(&name).unwrap_or(speaker)
    }

    /// The account of the client with this name.
    pub fn find(&self, name: &str) -> Option<Account> {
        let index = self.clients.iter().position(|client| client.name == name)?;
        u16::try_from(index).ok().map(Account::new)
    }

    /// Charges bytes; `NoSpace`.
    pub fn charge_bytes(&mut self, account: Account, bytes: u64) -> Result<(), FileError> {
        self.charge(
            account,
            bytes,
            |client| &mut client.bytes,
            FileError::NoSpace,
        )
    }

    /// Gives bytes back.
    pub fn refund_bytes(&mut self, account: Account, bytes: u64) {
        self.refund(account, bytes, |client| &mut client.bytes);
    }

    /// Charges a file or directory; `TooManyFiles`.
    pub fn charge_node(&mut self, account: Account) -> Result<(), FileError> {
        self.charge(
            account,
            1,
            |client| &mut client.nodes,
            FileError::TooManyFiles,
        )
    }

    /// Gives a file or directory back.
    pub fn refund_node(&mut self, account: Account) {
        self.refund(account, 1, |client| &mut client.nodes);
    }

    /// Charges an open handle; `TooManyOpen`.
    pub fn charge_open(&mut self, account: Account) -> Result<(), FileError> {
        self.charge(
            account,
            1,
            |client| &mut client.open,
            FileError::TooManyOpen,
        )
    }

    /// Gives an open handle back.
    pub fn refund_open(&mut self, account: Account) {
        self.refund(account, 1, |client| &mut client.open);
    }

    /// Limits and use, as this client sees them.
    pub fn usage(&self, account: Account) -> Usage {
        let mut usage = Usage {
            bytes: self.clients.iter().map(|client| client.bytes.used).sum(),
            bytes_limit: self.limits.bytes,
            ..Usage::default()
        };
        if let Some(client) = self.clients.get(usize::from(account.number)) {
            usage.client_bytes = client.bytes.used;
            usage.client_bytes_limit = client.bytes.limit;
            usage.client_files = client.nodes.used;
            usage.client_files_limit = client.nodes.limit;
            usage.client_open = client.open.used;
            usage.client_open_limit = client.open.limit;
        }
        usage
    }

    fn charge(
        &mut self,
        account: Account,
        amount: u64,
        meter: impl FnOnce(&mut Client) -> &mut Meter,
        error: FileError,
    ) -> Result<(), FileError> {
        let client = self
            .clients
            .get_mut(usize::from(account.number))
            .ok_or(error)?;
        if meter(client).charge(amount) {
            Ok(())
        } else {
            Err(error)
        }
    }

    fn refund(
        &mut self,
        account: Account,
        amount: u64,
        meter: impl FnOnce(&mut Client) -> &mut Meter,
    ) {
        if let Some(client) = self.clients.get_mut(usize::from(account.number)) {
            meter(client).refund(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 100,
        nodes: 9,
        open: 6,
    };

    #[test]
    fn one_client_cannot_use_what_another_may() {
        let mut accounts = Accounts::new(LIMITS, ["shell", "net"]);
        let shell = accounts.find("shell").unwrap();
        let net = accounts.find("net").unwrap();
        assert_eq!(accounts.charge_bytes(shell, 33), Ok(()));
        assert_eq!(accounts.charge_bytes(shell, 1), Err(FileError::NoSpace));
        assert_eq!(accounts.charge_bytes(net, 33), Ok(()));
        assert_eq!(accounts.charge_bytes(Accounts::GUEST, 33), Ok(()));
        assert_eq!(accounts.usage(shell).bytes, 99);
        accounts.refund_bytes(shell, 33);
        assert_eq!(accounts.charge_bytes(shell, 33), Ok(()));
    }

    #[test]
    fn each_limit_has_its_own_error() {
        let mut accounts = Accounts::new(LIMITS, ["shell", "net"]);
        let net = accounts.find("net").unwrap();
        for _ in 0..3 {
            assert_eq!(accounts.charge_node(net), Ok(()));
        }
        assert_eq!(accounts.charge_node(net), Err(FileError::TooManyFiles));
        for _ in 0..2 {
            assert_eq!(accounts.charge_open(net), Ok(()));
        }
        assert_eq!(accounts.charge_open(net), Err(FileError::TooManyOpen));
        accounts.refund_open(net);
        assert_eq!(accounts.usage(net).client_open, 1);
        assert_eq!(accounts.find("nobody"), None);
    }

    #[test]
    fn who_speaks_for_others_speaks_for_its_own() {
        let arguments = ["account:7=files/shell,-,-", "account:8=net,10,-"];
        let owners: Vec<_> = arguments
            .iter()
            .filter_map(|argument| AccountArgument::parse(argument))
            .collect();
        let clients = ["client:1=files", "client:2=net"];
        let clients: Vec<_> = clients
            .iter()
            .filter_map(|argument| ClientArgument::parse(argument))
            .collect();
        let accounts = Accounts::of_clients(LIMITS, &clients, &owners);
        let [files, net] = ["files", "net"].map(|name| accounts.find(name).unwrap());
        let shell = accounts.behind(files, "shell");
        assert_eq!(accounts.owner(shell), 7);
        assert_eq!((accounts.owner(files), accounts.owner(net)), (0, 8));
        assert_eq!(accounts.behind(files, "other"), files);
        assert_eq!(accounts.behind(net, "shell"), net);
    }
}
