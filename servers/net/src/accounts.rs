//! Who pays for sockets, and who is told of them.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
};
use libipc::{
    interfaces::{
        clients::ClientArgument,
        net::{Allowed, NetError},
    },
    objects::EndpointClient,
};

/// Most sockets and capabilities of one client.
pub const SOCKETS: usize = 64;

/// Most bytes in their buffers.
pub const BYTES: usize = 1 << 20;

/// Bytes that a name which is looked up counts for.
pub const LOOKUP: usize = 1 << 10;

/// A capability for the network, and what was opened through it.
#[derive(Debug)]
pub struct Account {
    /// The account that pays: this one, or the one that it was derived from.
    pub payer: u64,
    /// What it is good for.
    pub allowed: Allowed,
    /// The task of the page, if it has the capability.
    pub name: String,
    /// What it pays for.
    sockets: usize,
    bytes: usize,
    /// Bytes that nobody else may have: a task of the page's.
    share: usize,
    /// Who opens sockets through it still has it, or they are still open.
    uses: usize,
    /// Who is told.
    told: Option<(EndpointClient, u64)>,
    /// Badges of sockets that have become ready.
    pub ready: VecDeque<u64>,
    /// Something was added to these since it was told.
    fresh: bool,
}

impl Account {
    fn new(payer: u64, allowed: Allowed, name: &str) -> Self {
        Account {
            payer,
            allowed,
            name: name.into(),
            sockets: 0,
            bytes: 0,
            share: 0,
            uses: 1,
            told: None,
            ready: VecDeque::new(),
            fresh: false,
        }
    }

    /// Bytes that are not of its share.
    fn others(&self) -> usize {
        self.bytes.saturating_sub(self.share)
    }
}

/// All of them, by badge.
#[derive(Debug, Default)]
pub struct Accounts {
    all: BTreeMap<u64, Account>,
    /// Bytes of all that are not of their shares, and how many there may be.
    common: usize,
    most: usize,
}

impl Accounts {
    /// Those of the page's tasks; all together may have so many bytes. Each of these tasks
    /// has a share that is kept for it, and as much is left for all.
    pub fn new(most: usize, tasks: &[ClientArgument<'_>]) -> Self {
        let share = BYTES.min(most / (tasks.len() + 1));
        let account = |task: &ClientArgument<'_>| {
            let account = Account::new(task.badge, Allowed::all(), task.name);
            (task.badge, Account { share, ..account })
        };
        Accounts {
            all: tasks.iter().map(account).collect(),
            common: 0,
            most: most - share * tasks.len(),
        }
    }

    /// The account of a capability that the supervisor has made.
    pub fn open(&mut self, badge: u64) -> &mut Account {
        let new = || Account::new(badge, Allowed::all(), "");
        self.all.entry(badge).or_insert_with(new)
    }

    /// One for a capability derived from another one.
    pub fn derive(&mut self, badge: u64, from: u64, allowed: Allowed) -> Result<(), NetError> {
        let from = self.get(from).ok_or(NetError::Stale)?;
        let (payer, allowed) = (from.payer, from.allowed & allowed);
        let name = from.name.clone();
        self.charge(payer, 1, 0)?;
        self.all.insert(badge, Account::new(payer, allowed, &name));
        Ok(())
    }

    /// The account with this badge.
    pub fn get(&self, badge: u64) -> Option<&Account> {
        self.all.get(&badge)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, badge: u64) -> Option<&mut Account> {
        self.all.get_mut(&badge)
    }

    /// Who pays for what is opened through the account.
    pub fn payer(&self, badge: u64) -> Option<u64> {
        self.get(badge).map(|account| account.payer)
    }

    /// A socket with so many bytes is opened through the account.
    pub fn begin(&mut self, badge: u64, bytes: usize) -> Result<(), NetError> {
        let payer = self.get(badge).ok_or(NetError::Stale)?.payer;
        self.charge(payer, 1, bytes)?;
        if let Some(account) = self.all.get_mut(&badge) {
            account.uses += 1;
        }
        Ok(())
    }

    /// It ends.
    pub fn end(&mut self, badge: u64, bytes: usize) {
        let payer = self.get(badge).map_or(badge, |account| account.payer);
        self.refund(payer, bytes);
        self.release(badge);
    }

    /// So many bytes more of a socket that there is.
    pub fn grow(&mut self, badge: u64, bytes: usize) -> Result<(), NetError> {
        let payer = self.get(badge).ok_or(NetError::Stale)?.payer;
        self.charge(payer, 0, bytes)
    }

    /// Gives so many bytes of a socket back.
    pub fn shrink(&mut self, badge: u64, bytes: usize) {
        let payer = self.get(badge).map_or(badge, |account| account.payer);
        if let Some(account) = self.all.get_mut(&payer) {
            let before = account.others();
            account.bytes = account.bytes.saturating_sub(bytes);
            self.common -= before - account.others();
        }
    }

    /// The last capability with this badge is gone.
    pub fn closed(&mut self, badge: u64) {
        let Some(account) = self.all.get_mut(&badge) else {
            return;
        };
        let payer = account.payer;
        account.told = None;
        if payer != badge {
            self.refund(payer, 0);
        } else if account.share > 0 {
            // The task may be started again.
            return account.ready.clear();
        }
        self.release(badge);
    }

    fn charge(&mut self, payer: u64, sockets: usize, bytes: usize) -> Result<(), NetError> {
        let account = self.all.get_mut(&payer).ok_or(NetError::Stale)?;
        let more = account.bytes + bytes;
        if account.sockets + sockets > SOCKETS || more > BYTES {
            return Err(NetError::TooManySockets);
        }
        let others = self.common - account.others();
        let common = others + more.saturating_sub(account.share);
        if common > self.most {
            return Err(NetError::NoResources);
        }
        account.sockets += sockets;
        account.bytes = more;
        account.uses += sockets;
        self.common = common;
        Ok(())
    }

    fn refund(&mut self, payer: u64, bytes: usize) {
        self.shrink(payer, bytes);
        if let Some(account) = self.all.get_mut(&payer) {
            account.sockets = account.sockets.saturating_sub(1);
        }
        self.release(payer);
    }

    /// One use less; the account goes with the last.
    fn release(&mut self, badge: u64) {
        if let Some(account) = self.all.get_mut(&badge) {
            account.uses = account.uses.saturating_sub(1);
            if account.uses == 0 {
                self.all.remove(&badge);
            }
        }
    }

    /// Names who is told.
    pub fn notify(&mut self, badge: u64, endpoint: EndpointClient, signals: u64) {
        if let Some(account) = self.all.get_mut(&badge) {
            account.told = Some((endpoint, signals));
            account.fresh = !account.ready.is_empty();
        }
    }

    /// A socket of this account has become ready.
    pub fn ready(&mut self, badge: u64, socket: u64) {
        if let Some(account) = self.all.get_mut(&badge) {
            if !account.ready.contains(&socket) {
                account.ready.push_back(socket);
            }
            account.fresh = true;
        }
    }

    /// Tells those whose sockets have become ready.
    pub fn tell(&mut self) {
        for account in self.all.values_mut() {
            if core::mem::take(&mut account.fresh)
                && let Some((endpoint, signals)) = &account.told
            {
                // Who cannot be told is gone, or will ask.
                let _ = endpoint.signal(*signals);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_the_payer_and_of_all() {
        let mut accounts = Accounts::new(BYTES + 10, &[]);
        accounts.open(1);
        accounts.open(2);
        accounts.derive(100, 1, Allowed::CONNECT).unwrap();
        accounts.begin(100, BYTES - 1).unwrap();
        assert_eq!(accounts.begin(1, 2), Err(NetError::TooManySockets));
        assert_eq!(accounts.begin(2, 12), Err(NetError::NoResources));
        accounts.begin(2, 11).unwrap();
        accounts.end(100, BYTES - 1);
        accounts.begin(1, 2).unwrap();
        assert_eq!(accounts.derive(101, 7, Allowed::PING), Err(NetError::Stale));
        // What a derived one may is never more.
        accounts.derive(101, 100, Allowed::all()).unwrap();
        assert_eq!(accounts.get(101).unwrap().allowed, Allowed::CONNECT);
    }

    #[test]
    fn a_task_of_the_page_keeps_its_share() {
        let bus = ClientArgument {
            badge: 1,
            name: "softbus",
        };
        let mut accounts = Accounts::new(2 * BYTES - 20, &[bus]);
        let share = BYTES - 10;
        accounts.open(2);
        accounts.open(3);
        accounts.begin(2, share - 5).unwrap();
        accounts.begin(3, 5).unwrap();
        assert_eq!(accounts.begin(3, 1), Err(NetError::NoResources));
        accounts.begin(1, share).unwrap();
        assert_eq!(accounts.begin(1, 1), Err(NetError::NoResources));
        // Beyond its share it has no more right than others.
        accounts.end(3, 5);
        accounts.begin(1, 3).unwrap();
        assert_eq!(accounts.begin(3, 3), Err(NetError::NoResources));
        accounts.begin(3, 2).unwrap();
        accounts.end(1, share);
        assert_eq!(accounts.begin(3, 4), Err(NetError::NoResources));
        accounts.begin(3, 3).unwrap();
        // It is the same after the task was started again.
        accounts.closed(1);
        accounts.end(1, 3);
        accounts.begin(1, share).unwrap();
        assert_eq!(accounts.get(1).unwrap().name, "softbus");
    }

    #[test]
    fn an_account_goes_with_its_last_socket() {
        let mut accounts = Accounts::new(BYTES, &[]);
        accounts.open(7);
        accounts.begin(7, 5).unwrap();
        accounts.derive(100, 7, Allowed::all()).unwrap();
        accounts.closed(7);
        assert!(accounts.get(7).is_some());
        accounts.end(7, 5);
        assert!(accounts.get(7).is_some());
        accounts.closed(100);
        assert!(accounts.get(7).is_none() && accounts.get(100).is_none());
        assert_eq!(accounts.common, 0);
    }

    #[test]
    fn sockets_are_limited_in_number() {
        let mut accounts = Accounts::new(BYTES, &[]);
        accounts.open(7);
        (0..SOCKETS).for_each(|_| accounts.begin(7, 1).unwrap());
        assert_eq!(accounts.begin(7, 1), Err(NetError::TooManySockets));
        accounts.end(7, 1);
        accounts.begin(7, 1).unwrap();
    }
}
