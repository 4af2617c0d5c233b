//! Which call of another device is made next: so that neither a device whose calls hang nor
//! a server that hangs keeps the calls of others waiting.
//!
//! A call takes a thread for as long as it lasts. Each device has one thread of its own,
//! which its next call takes if none of its calls has it. Beside these there are [`SHARED`]
//! ones, which devices take in turn. Of them
//!
//! - a device may take another only if it has fewer than are left,
//! - and a server may be called through another only if twice as many as call it already
//!   are fewer than are left.
//!
//! So a device that nobody serves yet never waits, whatever others do; however many calls
//! one device makes, half of the shared threads are left; and one server that hangs has
//! three of them at most, whoever calls it.
//!
//! Nothing here bounds what waits: the protocol does, for it takes no more than
//! [`CALLS`](tessera_softbus_protocol::limits::CALLS) calls of a device.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use tessera_softbus_protocol::{node::Token, suite::PublicKey};

/// Threads beside each device's own.
pub const SHARED: usize = 8;

/// The object behind which a server is, by the kernel's number.
pub type Behind = u64;

/// Calls that wait, and what is known of those that run.
#[derive(Debug)]
pub struct Fair<J> {
    /// Each device's calls, the oldest first; none is empty.
    waiting: BTreeMap<PublicKey, VecDeque<Waiting<J>>>,
    /// The devices whose calls wait; that whose turn it is comes first.
    turns: VecDeque<PublicKey>,
    running: BTreeMap<Token, Running>,
    /// Devices whose own thread is taken.
    own: BTreeSet<PublicKey>,
    /// Shared threads that are taken: in all, by device, and by server.
    shared: usize,
    shared_of: BTreeMap<PublicKey, usize>,
    shared_at: BTreeMap<Behind, usize>,
}

#[derive(Debug)]
struct Waiting<J> {
    token: Token,
    server: Behind,
    job: J,
}

#[derive(Debug)]
struct Running {
    device: PublicKey,
    server: Behind,
    is_shared: bool,
}

impl<J> Default for Fair<J> {
    fn default() -> Self {
        Fair {
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
            running: BTreeMap::new(),
            own: BTreeSet::new(),
            shared: 0,
            shared_of: BTreeMap::new(),
            shared_at: BTreeMap::new(),
        }
    }
}

impl<J> Fair<J> {
    /// A call of a device waits for a thread.
    pub fn add(&mut self, device: PublicKey, server: Behind, token: Token, job: J) {
        let waiting = self.waiting.entry(device).or_default();
        if waiting.is_empty() {
            self.turns.push_back(device);
        }
        waiting.push_back(Waiting { token, server, job });
    }

    /// Whether a call may be made now.
    pub fn is_ready(&self) -> bool {
        self.turns.iter().any(|device| self.find(device).is_some())
    }

    /// The call that is made now: it runs until it has [`ended`](Self::ended).
    pub fn begin(&mut self) -> Option<(Token, J)> {
        let found = |(turn, device)| Some((turn, self.find(device)?));
        let (turn, (place, is_shared)) = self.turns.iter().enumerate().find_map(found)?;
        let device = self.turns.remove(turn)?;
        let waiting = self.waiting.get_mut(&device)?;
        let Waiting { token, server, job } = waiting.remove(place)?;
        match waiting.is_empty() {
            true => drop(self.waiting.remove(&device)),
            false => self.turns.push_back(device),
        }
        if is_shared {
            self.shared += 1;
            *self.shared_of.entry(device).or_default() += 1;
            *self.shared_at.entry(server).or_default() += 1;
        } else {
            self.own.insert(device);
        }
        let running = Running {
            device,
            server,
            is_shared,
        };
        self.running.insert(token, running);
        Some((token, job))
    }

    /// Which of a device's calls may be made now, and whether by a shared thread.
    fn find(&self, device: &PublicKey) -> Option<(usize, bool)> {
        let waiting = self.waiting.get(device)?;
        if !self.own.contains(device) {
            return Some((0, false));
        }
        let left = SHARED - self.shared;
        let taken = |at: Option<&usize>| at.copied().unwrap_or(0);
        if taken(self.shared_of.get(device)) >= left {
            return None;
        }
        let may = |one: &Waiting<J>| 2 * taken(self.shared_at.get(&one.server)) < left;
        waiting.iter().position(may).map(|place| (place, true))
    }

    /// A call has ended.
    pub fn ended(&mut self, token: Token) {
        let Some(running) = self.running.remove(&token) else {
            return;
        };
        if running.is_shared {
            self.shared -= 1;
            give_back(&mut self.shared_of, &running.device);
            give_back(&mut self.shared_at, &running.server);
        } else {
            self.own.remove(&running.device);
        }
    }

    /// Takes out the calls that wait and are so; they will not be made.
    pub fn take(&mut self, mut is_so: impl FnMut(Token, &J) -> bool) -> Vec<(Token, J)> {
        let mut taken = Vec::new();
        for waiting in self.waiting.values_mut() {
            let (some, others) = core::mem::take(waiting)
                .into_iter()
                .partition(|one| is_so(one.token, &one.job));
            *waiting = others;
            let some: VecDeque<Waiting<J>> = some;
            taken.extend(some.into_iter().map(|one| (one.token, one.job)));
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        self.turns
            .retain(|device| self.waiting.contains_key(device));
        taken
    }
}

fn give_back<K: Ord>(taken: &mut BTreeMap<K, usize>, by: &K) {
    if let Some(count) = taken.get_mut(by) {
        *count -= 1;
        if *count == 0 {
            taken.remove(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn device(number: u8) -> PublicKey {
        PublicKey([number; 32])
    }

    /// Adds a call; its job says whose it is and where it goes.
    fn add(fair: &mut Fair<(u8, Behind)>, token: u64, number: u8, server: Behind) {
        fair.add(device(number), server, Token(token), (number, server));
    }

    /// Makes all calls that may be made: their tokens.
    fn go(fair: &mut Fair<(u8, Behind)>) -> Vec<(Token, (u8, Behind))> {
        core::iter::from_fn(|| fair.begin()).collect()
    }

    #[test]
    fn one_device_leaves_half() {
        let mut fair = Fair::default();
        // It spreads its calls over many servers, and none of them ends.
        (0..64).for_each(|token| add(&mut fair, token, 1, token));
        assert_eq!(go(&mut fair).len(), 1 + SHARED / 2);
        // The next one gets as many as that leaves, and so on; each has one.
        let mut token = 64;
        for (number, calls) in [(2, 3), (3, 2), (4, 2), (5, 1), (6, 1)] {
            (0..64).for_each(|at| add(&mut fair, token + at, number, 1000 + token + at));
            token += 64;
            assert_eq!(go(&mut fair).len(), calls, "device {number}");
        }
    }

    #[test]
    fn a_server_that_hangs_leaves_threads_for_others() {
        let mut fair = Fair::default();
        for token in 0..320 {
            add(&mut fair, token, (token % 5) as u8, 7);
        }
        // Each device's own, and three.
        assert_eq!(go(&mut fair).len(), 5 + 3);
        for number in 0..5 {
            let token = 400 + u64::from(number);
            add(&mut fair, token, number, 8);
            let made = go(&mut fair);
            assert_eq!(made, [(Token(token), (number, 8))]);
            fair.ended(Token(token));
        }
    }

    #[test]
    fn devices_take_turns() {
        let mut fair = Fair::default();
        for token in 0..30 {
            add(&mut fair, token, (token / 10) as u8, token);
        }
        let mut made = go(&mut fair);
        let mut order = Vec::new();
        while !made.is_empty() {
            order.extend(made.iter().map(|(_, (number, _))| *number));
            made.into_iter().for_each(|(token, _)| fair.ended(token));
            made = go(&mut fair);
        }
        assert_eq!(order.len(), 30);
        // Of any that follow each other, each device has about a third.
        for some in order[..27].chunks(9) {
            for number in 0..3 {
                let count = some.iter().filter(|one| **one == number).count();
                assert!((2..=4).contains(&count), "{order:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_out_is_not_made() {
        let mut fair = Fair::default();
        (0..8).for_each(|token| add(&mut fair, token, 1, 7));
        assert_eq!(go(&mut fair).len(), 4);
        let taken = fair.take(|token, _| token.0 != 5);
        assert_eq!(taken.len(), 3);
        assert!(fair.take(|token, _| token.0 == 0).is_empty(), "it runs");
        fair.ended(Token(0));
        assert_eq!(go(&mut fair), [(Token(5), (1, 7))]);
        assert!(!fair.is_ready() && fair.turns.is_empty() && fair.waiting.is_empty());
    }

    /// What happens: a call comes, the nth that runs ends, the nth that waits is taken out.
    #[derive(Clone, Debug)]
    enum Step {
        Call(u8, Behind),
        End(usize),
        Take(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..12_u8, 0..5_u64).prop_map(|(device, server)| Step::Call(device, server)),
            3 => (0..20_usize).prop_map(Step::End),
            1 => (0..20_usize).prop_map(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn nobody_waits_for_others(steps in proptest::collection::vec(step(), 0..300)) {
            let mut fair = Fair::default();
            let (mut waits, mut runs) = (Vec::new(), Vec::new());
            for (token, step) in (0..).zip(steps) {
                match step {
                    Step::Call(number, server) => {
                        add(&mut fair, token, number, server);
                        waits.push((Token(token), (number, server)));
                    }
                    Step::End(index) if index < runs.len() => {
                        let (token, _) = runs.remove(index);
                        fair.ended(token);
                    }
                    Step::Take(index) if index < waits.len() => {
                        let one = waits.remove(index);
                        prop_assert_eq!(fair.take(|token, _| token == one.0), vec![one]);
                    }
                    Step::End(_) | Step::Take(_) => {}
                }
                while fair.is_ready() {
                    let one = fair.begin().unwrap();
                    let before = waits.len();
                    waits.retain(|waits| *waits != one);
                    prop_assert_eq!(waits.len() + 1, before, "made twice or made up");
                    runs.push(one);
                }
                prop_assert!(fair.begin().is_none());
                // Whoever waits has a thread, and its share.
                let count = |of: u8| runs.iter().filter(|(_, (number, _))| *number == of).count();
                for (_, (number, _)) in &waits {
                    prop_assert!(count(*number) >= 1);
                }
                let devices: BTreeSet<u8> = runs.iter().map(|(_, (number, _))| *number).collect();
                prop_assert!(runs.len() <= devices.len() + SHARED);
                for number in devices {
                    prop_assert!(count(number) <= 1 + SHARED / 2);
                }
            }
            // When all end, all that wait are made.
            while let Some((token, _)) = runs.pop() {
                fair.ended(token);
                for one in go(&mut fair) {
                    waits.retain(|waits| *waits != one);
                    runs.push(one);
                }
            }
            prop_assert!(waits.is_empty());
            prop_assert_eq!((fair.shared, fair.own.len(), fair.running.len()), (0, 0, 0));
            prop_assert!(fair.shared_of.is_empty() && fair.shared_at.is_empty());
        }

        #[test]
        fn a_server_that_hangs_stops_no_other(
            hanging in proptest::collection::vec(0..12_u8, 0..200),
            others in proptest::collection::vec((0..12_u8, 1..5_u64), 1..40),
        ) {
            let mut fair = Fair::default();
            for (token, number) in (0..).zip(&hanging) {
                add(&mut fair, token, *number, 0);
                go(&mut fair);
            }
            let mut waits = BTreeSet::new();
            for (token, (number, server)) in (1000..).zip(&others) {
                add(&mut fair, token, *number, *server);
                waits.insert(Token(token));
            }
            // Each of the others ends some time: all are made.
            let mut made: VecDeque<_> = go(&mut fair).into();
            while let Some((token, (_, server))) = made.pop_front() {
                if server != 0 {
                    prop_assert!(waits.remove(&token));
                    fair.ended(token);
                    made.extend(go(&mut fair));
                }
            }
            prop_assert!(waits.is_empty());
        }
    }
}
