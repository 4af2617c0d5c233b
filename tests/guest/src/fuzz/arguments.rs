//! Arguments of random calls: mostly such that something comes of them.

use super::{hostile::Hostile, table::Row};
use crate::raw;
use libipc::{
    PAGE,
    handle::{Handle, ObjectType},
    objects,
};

const PAGE_SIZE: u64 = PAGE as u64;
/// Where user space ends.
const USER_END: u64 = 1 << 38;
/// Memory of the task's own to read from and write to.
pub(super) const ARENA: u64 = 1 << 34;
/// Its pages.
pub(super) const ARENA_PAGES: u64 = 8;
/// Memory that it can only read.
pub(super) const READ_ONLY: u64 = ARENA + (1 << 24);
/// Where it maps things.
const MAPS: u64 = 1 << 33;

impl Hostile {
    /// An address, good or bad.
    pub(super) fn address(&mut self) -> u64 {
        let random = &mut self.random;
        if random.chance(60) {
            return ARENA + random.below((ARENA_PAGES - 1) * PAGE_SIZE);
        }
        let near_end = ARENA + ARENA_PAGES * PAGE_SIZE - random.below(64);
        let near_top = USER_END - random.below(16);
        random.one(&[
            READ_ONLY,
            near_end,
            near_top,
            USER_END,
            0,
            8,
            MAPS,
            1 << 37,
            0xffff_ffc0_8020_0000,
            0xffff_0000_0000_0000,
            u64::MAX - 3,
            raw::buffer() as u64,
            raw::park as *const () as u64,
        ])
    }

    /// Where a thread begins.
    fn entry(&mut self) -> u64 {
        match self.random.chance(60) {
            true => raw::park as *const () as u64,
            false => self.address(),
        }
    }

    fn length(&mut self) -> u64 {
        match self.random.below(20) {
            0..12 => self.random.below(256),
            12..15 => 0,
            15..18 => self.random.below(2 * PAGE_SIZE),
            18 => 1 << 32,
            _ => u64::MAX - self.random.below(64),
        }
    }

    fn map_address(&mut self) -> u64 {
        MAPS + PAGE_SIZE * self.random.below(64)
    }

    /// A mapping that was made, or where one could be.
    fn mapping(&mut self) -> (u64, u64) {
        if self.mapped.is_empty() || self.random.chance(25) {
            (self.map_address(), 1 + self.random.below(4))
        } else {
            let random = &mut self.random;
            random.one(&self.mapped)
        }
    }

    /// A handle to give away or take apart: seldom one of those given.
    fn spare(&mut self) -> u64 {
        for _ in 0..8 {
            let handle = self.pool.any(&mut self.random);
            if !self.pool.is_given(handle) || self.random.chance(1) {
                return handle.0;
            }
        }
        Handle::NULL.0
    }

    /// Words for an operation of a kernel object.
    pub(super) fn words(&mut self, row: &Row, target: Handle) -> [u64; 8] {
        let mut words = [0; 8];
        let Some(interface) = row.interface else {
            return words.map(|_: u64| self.random.next());
        };
        // Nothing readable is ever written to the log: it is the console.
        let silent = interface.hash == objects::system::INTERFACE.hash
            && row.number == objects::system::number::WRITE_LOG;
        if silent {
            words[..2].copy_from_slice(&self.silent_text());
            return words;
        }
        let good = self.good(interface.hash, row.number, target);
        words[..good.len()].copy_from_slice(&good);
        if self.random.chance(15) {
            let place = self.random.below(3) as usize;
            let junk = [0, 1, PAGE_SIZE, u64::MAX, self.random.next(), target.0];
            words[place] = self.random.one(&junk);
        }
        words
    }

    fn silent_text(&mut self) -> [u64; 2] {
        match self.random.below(3) {
            0 => [ARENA, 0],
            1 => [1 << 37, 8],
            _ => [ARENA, 513 + self.random.below(1 << 40)],
        }
    }

    fn good(&mut self, hash: u32, number: u8, target: Handle) -> [u64; 5] {
        let own = target == self.own;
        if hash == objects::task::INTERFACE.hash {
            return self.for_task(number, own);
        }
        if hash == objects::memory::INTERFACE.hash {
            let offset = self.random.below(14 * PAGE_SIZE);
            return [offset, self.address(), self.length(), 0, 0];
        }
        if hash == objects::reply::INTERFACE.hash {
            let (lease, offset) = (self.random.below(3), self.random.below(36));
            return [lease, offset, self.address(), self.random.below(24), 0];
        }
        if hash == objects::endpoint::INTERFACE.hash {
            return match number {
                objects::endpoint::number::MINT => {
                    let rights = self.random.below(256);
                    [self.random.below(9), rights, self.random.below(4), 0, 0]
                }
                _ => [self.random.below(4), 0, 0, 0, 0],
            };
        }
        if hash == objects::reservation::INTERFACE.hash {
            // Tens of microseconds, up to a millisecond.
            let period = self.random.below(60_000);
            return [self.random.below(period + 1), period, 0, 0, 0];
        }
        if hash == objects::dma::INTERFACE.hash {
            return [self.random.below(12), self.random.below(10), 0, 0, 0];
        }
        if hash == objects::system::INTERFACE.hash {
            return match number {
                objects::system::number::READ_LOG => {
                    [self.random.below(5000), self.address(), self.length(), 0, 0]
                }
                _ => [self.random.below(6), self.random.below(9), 0, 0, 0],
            };
        }
        if hash == objects::thread::INTERFACE.hash && number == objects::thread::number::SET_CORE {
            return [self.random.below(6), 0, 0, 0, 0];
        }
        // Threads and interrupts: a priority, an exit code, signal bits.
        [self.random.below(60), self.random.below(9), 0, 0, 0]
    }

    fn for_task(&mut self, number: u8, own: bool) -> [u64; 5] {
        use objects::task::number::*;
        match number {
            CREATE_TASK => [self.random.below(48), 0, 0, 0, 0],
            CREATE_PROGRAM => {
                let (frames, pages) = (self.random.below(48), self.random.below(24));
                [
                    frames,
                    pages,
                    self.random.below(257),
                    self.random.below(9),
                    0,
                ]
            }
            CREATE_THREAD => {
                let (entry, stack) = (self.entry(), self.address());
                [entry, stack, 1, 2, self.random.below(55)]
            }
            START_THREAD => {
                // It runs at once, so it seldom begins where nothing is.
                let entry = match self.random.chance(90) {
                    true => raw::park as *const () as u64,
                    false => self.entry(),
                };
                [
                    entry,
                    self.address(),
                    1,
                    self.random.below(55),
                    self.random.below(9),
                ]
            }
            STARTED_THREAD => {
                let cursor = match self.random.chance(80) {
                    true => self.started,
                    false => self.random.below(3),
                };
                [cursor, 0, 0, 0, 0]
            }
            CREATE_MEMORY => match self.random.below(12) {
                0 => [1 << 20, 0, 0, 0, 0],
                _ => [self.random.below(14), 0, 0, 0, 0],
            },
            MAP => {
                let (address, offset) = (self.map_address(), self.random.below(3));
                let pages = 1 + self.random.below(4);
                [address, offset, pages, self.random.below(8), 0]
            }
            UNMAP => match self.random.below(3) {
                0 => [MAPS, 128, 0, 0, 0],
                _ => {
                    let (address, pages) = self.mapping();
                    [address, pages, 0, 0, 0]
                }
            },
            PROTECT => {
                let (address, pages) = self.mapping();
                [address, pages, self.random.below(8), 0, 0]
            }
            INSTALL => [self.random.below(290), 0, 0, 0, 0],
            DERIVE => {
                let handle = self.pool.any(&mut self.random);
                [handle.0, self.random.below(260), 0, 0, 0]
            }
            DELETE if own => [self.spare(), 0, 0, 0, 0],
            DELETE => {
                // The first slot of a table that somebody may have filled.
                let kind = self.random.one(&ObjectType::ALL);
                let rights = self.pool.any(&mut self.random).rights();
                [Handle::new(1, rights, kind, 0).0, 0, 0, 0, 0]
            }
            REVOKE => [self.pool.any(&mut self.random).0, 0, 0, 0, 0],
            CAPABILITY => [self.random.below(64), 0, 0, 0, 0],
            PEEK => {
                let from = self.address();
                [from, self.address(), self.length(), 0, 0]
            }
            _ => [self.random.below(3), 0, 0, 0, 0],
        }
    }
}
