//! Who pays for sockets, and who is told of them.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
};
use libipc::{
    interfaces::net::{Allowed, NetError},
    objects::EndpointClient,
};

/// Most sockets and capabilities of one client.
pub const SOCKETS: usize = 64;

/// Most bytes in their buffers.
pub const BYTES: usize = 1 << 20;

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
            uses: 1,
            told: None,
            ready: VecDeque::new(),
            fresh: false,
        }
    }
}

/// All of them, by badge.
#[derive(Debug, Default)]
pub struct Accounts {
    all: BTreeMap<u64, Account>,
    /// Bytes of all, and how many there may be.
    bytes: usize,
    most: usize,
}

impl Accounts {
    /// None; all together may have so many bytes.
    pub fn new(most: usize) -> Self {
        Accounts {
            most,
            ..Default::default()
        }
    }

    /// A client of the page has this name.
    pub fn name(&mut self, badge: u64, name: &str) {
        self.all
            .insert(badge, Account::new(badge, Allowed::all(), name));
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
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(payer) = self.all.get_mut(&payer) {
            payer.bytes = payer.bytes.saturating_sub(bytes);
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
        }
        self.release(badge);
    }

    fn charge(&mut self, payer: u64, sockets: usize, bytes: usize) -> Result<(), NetError> {
        let total = self.bytes + bytes;
        if total > self.most {
            return Err(NetError::NoResources);
        }
        let account = self.all.get_mut(&payer).ok_or(NetError::Stale)?;
        if account.sockets + sockets > SOCKETS || account.bytes + bytes > BYTES {
            return Err(NetError::TooManySockets);
        }
        account.sockets += sockets;
        account.bytes += bytes;
        account.uses += sockets;
        self.bytes = total;
        Ok(())
    }

    fn refund(&mut self, payer: u64, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(account) = self.all.get_mut(&payer) {
            account.sockets = account.sockets.saturating_sub(1);
            account.bytes = account.bytes.saturating_sub(bytes);
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
        let mut accounts = Accounts::new(BYTES + 10);
        accounts.name(1, "shell");
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
    fn an_account_goes_with_its_last_socket() {
        let mut accounts = Accounts::new(BYTES);
        accounts.open(7);
        accounts.begin(7, 5).unwrap();
        accounts.derive(100, 7, Allowed::all()).unwrap();
        accounts.closed(7);
        assert!(accounts.get(7).is_some());
        accounts.end(7, 5);
        assert!(accounts.get(7).is_some());
        accounts.closed(100);
        assert!(accounts.get(7).is_none() && accounts.get(100).is_none());
        assert_eq!(accounts.bytes, 0);
    }

    #[test]
    fn sockets_are_limited_in_number() {
        let mut accounts = Accounts::new(BYTES);
        accounts.open(7);
        (0..SOCKETS).for_each(|_| accounts.begin(7, 1).unwrap());
        assert_eq!(accounts.begin(7, 1), Err(NetError::TooManySockets));
        accounts.end(7, 1);
        accounts.begin(7, 1).unwrap();
    }
}
