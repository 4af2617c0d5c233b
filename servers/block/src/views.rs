//! What each client sees of the disk, and who has some of it to himself.
//!
//! A capability that this server makes says by its badge what it is for. So a successor
//! knows it, and who has what to himself, before anybody calls.

use crate::partitions::Partition;
use alloc::{string::String, vec::Vec};
use libipc::interfaces::{
    block::{BlockAccess, BlockError},
    clients::SERVER_BADGES,
};

/// Most capabilities that are made, in all and for one client of the page.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 16;

/// What a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The partition that it is, 0 for the whole disk.
    pub number: u64,
    /// Where it begins.
    pub first: u64,
    /// Its sectors.
    pub sectors: u64,
    /// What may be done there.
    pub access: BlockAccess,
}

impl View {
    /// A whole disk of so many sectors.
    pub const fn whole(sectors: u64) -> View {
        View {
            number: 0,
            first: 0,
            sectors,
            access: BlockAccess::ReadWrite,
        }
    }

    /// A partition.
    pub fn of(partition: &Partition) -> View {
        let sectors = &partition.sectors;
        View {
            number: partition.number.into(),
            first: sectors.start,
            sectors: sectors.end - sectors.start,
            access: BlockAccess::ReadWrite,
        }
    }

    fn meets(&self, first: u64, sectors: u64) -> bool {
        self.first < first + sectors && first < self.first + self.sectors
    }
}

/// What a badge of this server says: a mark, the access, which client of the page it
/// was made for, the partition, and a number that no other one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    client: u64,
    number: u64,
    access: BlockAccess,
    serial: u32,
}

const MARK: u64 = 1 << 63;
const ACCESS: u32 = 61;
const CLIENT: u32 = 45;
const NUMBER: u32 = 32;
const CLIENTS: u64 = 1 << (ACCESS - CLIENT);
const NUMBERS: u64 = 1 << (CLIENT - NUMBER);

impl Part {
    fn of_badge(badge: u64) -> Option<Part> {
        let access = match (badge & MARK != 0, badge >> ACCESS & 3) {
            (true, 0) => BlockAccess::Read,
            (true, 1) => BlockAccess::ReadWrite,
            (true, 2) => BlockAccess::Exclusive,
            _ => return None,
        };
        Some(Part {
            client: badge >> CLIENT & (CLIENTS - 1),
            number: badge >> NUMBER & (NUMBERS - 1),
            access,
            serial: badge as u32,
        })
    }

    fn badge(self) -> Option<u64> {
        let fits = self.client < CLIENTS && self.number < NUMBERS;
        fits.then_some(
            MARK | (self.access as u64) << ACCESS
                | self.client << CLIENT
                | self.number << NUMBER
                | u64::from(self.serial),
        )
    }
}

/// The views of all clients that do not see all, and what clients are called.
#[derive(Debug, Default)]
pub struct Views {
    /// By badge: nothing, if what it was meant for is not there.
    known: Vec<(u64, Option<View>)>,
    names: Vec<(u64, String)>,
    /// Clients of the page whose capabilities may leave the device.
    leaving: Vec<u64>,
    serial: u32,
}

impl Views {
    /// A client of the page is called so.
    pub fn name(&mut self, badge: u64, name: &str) {
        self.names.push((badge, name.into()));
    }

    /// A client of the page sees this, or nothing.
    pub fn restrict(&mut self, badge: u64, view: Option<View>) {
        self.known.push((badge, view));
    }

    /// What is made for this client of the page may leave the device.
    pub fn let_leave(&mut self, badge: u64) {
        self.leaving.push(badge);
    }

    /// Whether what is made for who has this badge may.
    pub fn may_leave(&self, badge: u64) -> bool {
        let client = Part::of_badge(badge).map_or(badge, |part| part.client);
        self.leaving.contains(&client)
    }

    /// Capabilities with these badges are there, some of which a predecessor made;
    /// `find` tells of a partition.
    pub fn recover(
        &mut self,
        badges: impl Iterator<Item = u64>,
        find: impl Fn(u64) -> Option<View>,
    ) {
        for (badge, part) in badges.filter_map(|badge| Some((badge, Part::of_badge(badge)?))) {
            let view = find(part.number).map(|view| View {
                access: part.access,
                ..view
            });
            self.known.push((badge, view));
            self.serial = self.serial.max(part.serial);
        }
    }

    /// What a client sees of a disk whose whole is this.
    #[inline]
    pub fn of(&self, badge: u64, whole: View) -> Result<View, BlockError> {
        let found = self.known.iter().find(|(known, _)| *known == badge);
        match found {
            Some((_, view)) => view.ok_or(BlockError::NoSuchPartition),
            None if badge < SERVER_BADGES => Ok(whole),
            None => Err(BlockError::NoSuchPartition),
        }
    }

    /// Whether a client may write these sectors of the disk: nobody else has any of them
    /// to himself.
    #[inline]
    pub fn may_write(&self, badge: u64, first: u64, sectors: u64) -> bool {
        let mut others = self.exclusive().filter(|(other, _)| *other != badge);
        others.all(|(_, view)| !view.meets(first, sectors))
    }

    /// What the client of the page is called that has some of these sectors to itself.
    pub fn user(&self, first: u64, sectors: u64) -> Option<&str> {
        let mut users = self.exclusive();
        let (badge, _) = users.find(|(_, view)| view.meets(first, sectors))?;
        let client = Part::of_badge(badge)?.client;
        let name = self.names.iter().find(|(known, _)| *known == client);
        Some(name.map_or("?", |(_, name)| name))
    }

    /// A badge for a capability with this view, for a client that may have it.
    pub fn open(&mut self, badge: u64, view: View) -> Result<u64, BlockError> {
        let client = Part::of_badge(badge).map_or(badge, |part| part.client);
        let parts = self.known.iter().filter_map(|(b, _)| Part::of_badge(*b));
        let own = parts.clone().filter(|part| part.client == client).count();
        if parts.count() >= MOST || own >= MOST_OF_ONE {
            return Err(BlockError::NoResources);
        }
        let is_written = view.access != BlockAccess::Read;
        if is_written && self.user(view.first, view.sectors).is_some() {
            return Err(BlockError::InUse);
        }
        let serial = self.serial.wrapping_add(1);
        let part = Part {
            client,
            number: view.number,
            access: view.access,
            serial,
        };
        let made = part.badge().ok_or(BlockError::NoResources)?;
        self.serial = serial;
        self.known.push((made, Some(view)));
        Ok(made)
    }

    /// The last capability with this badge is gone, or none could be made.
    pub fn closed(&mut self, badge: u64) {
        if badge >= SERVER_BADGES {
            self.known.retain(|(known, _)| *known != badge);
        }
    }

    fn exclusive(&self) -> impl Iterator<Item = (u64, &View)> {
        let seen = self.known.iter();
        seen.filter_map(|(badge, view)| Some((*badge, view.as_ref()?)))
            .filter(|(_, view)| view.access == BlockAccess::Exclusive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_says_what_it_is_for() {
        for access in [
            BlockAccess::Read,
            BlockAccess::ReadWrite,
            BlockAccess::Exclusive,
        ] {
            let part = Part {
                client: CLIENTS - 1,
                number: 300,
                access,
                serial: 0xffff_fffe,
            };
            assert_eq!(part.badge().and_then(Part::of_badge), Some(part));
        }
        for other in [0, 7, SERVER_BADGES, MARK - 1, u64::MAX] {
            assert_eq!(Part::of_badge(other), None);
        }
    }

    #[test]
    fn a_successor_knows_who_has_what() {
        let part = |number| {
            (number == 2).then_some(View {
                number: 2,
                first: 100,
                sectors: 50,
                access: BlockAccess::ReadWrite,
            })
        };
        let whole = View::whole(1000);
        let mut views = Views::default();
        let own = View {
            access: BlockAccess::Exclusive,
            ..part(2).unwrap()
        };
        let badge = views.open(3, own).unwrap();
        let gone = views
            .open(
                3,
                View {
                    number: 1,
                    access: BlockAccess::Read,
                    ..own
                },
            )
            .unwrap();
        let mut successor = Views::default();
        successor.name(3, "data");
        successor.recover([7, badge, gone].into_iter(), part);
        successor.let_leave(3);
        assert!(successor.may_leave(badge) && !successor.may_leave(7));
        assert_eq!(successor.of(badge, whole), Ok(own));
        assert_eq!(successor.of(gone, whole), Err(BlockError::NoSuchPartition));
        assert_eq!(
            successor.of(gone + 1, whole),
            Err(BlockError::NoSuchPartition)
        );
        assert_eq!(successor.of(7, whole), Ok(whole));
        assert!(successor.may_write(badge, 100, 1) && !successor.may_write(7, 149, 2));
        assert!(successor.may_write(7, 150, 2) && successor.may_write(7, 99, 1));
        assert_eq!(successor.user(0, 1000), Some("data"));
        assert_eq!(successor.open(7, whole), Err(BlockError::InUse));
        let next = successor
            .open(
                7,
                View {
                    access: BlockAccess::Read,
                    ..whole
                },
            )
            .unwrap();
        assert!(next != badge && next != gone);
        successor.closed(badge);
        assert!(successor.may_write(7, 100, 50));
        assert_eq!(successor.user(0, 1000), None);
    }

    #[test]
    fn nobody_opens_without_end() {
        let mut views = Views::default();
        for _ in 0..MOST_OF_ONE {
            views.open(3, View::whole(1)).unwrap();
        }
        let last = views.open(3, View::whole(1));
        assert_eq!(last, Err(BlockError::NoResources));
        let other = views.open(4, View::whole(1)).unwrap();
        views.closed(other);
    }
}
