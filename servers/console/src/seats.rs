//! Who sits at the terminal, and who is in front.

use crate::clean::Cleaner;
use alloc::{collections::BTreeMap, format, string::String};
use libipc::interfaces::{
    ConsoleError, ConsoleMode,
    clients::{ClientArgument, SERVER_BADGES},
};

/// Most seats.
const MAX_SEATS: usize = 64;

/// Tells somebody that Ctrl-C was pressed.
pub trait Interrupt {
    /// Sets the signal bits that he asked for.
    fn interrupt(&self);
}

/// A seat, over what is done at Ctrl-C.
#[derive(Debug)]
pub struct Seat<I> {
    /// What its lines are marked with.
    pub name: String,
    /// Who opened it; `None` for the supervisor's clients.
    pub opener: Option<u64>,
    /// How it wants its input.
    pub mode: ConsoleMode,
    /// What is done at Ctrl-C.
    pub on_interrupt: Option<I>,
    /// Its output while it is not in front.
    pub cleaner: Cleaner,
}

/// All seats, by badge.
#[derive(Debug)]
pub struct Seats<I> {
    by_badge: BTreeMap<u64, Seat<I>>,
    front: u64,
    /// In front when nobody else is: the first client that the supervisor named.
    host: u64,
    next: u64,
}

impl<I: Interrupt> Seats<I> {
    /// Seats for the supervisor's clients and for `adopted`, the badges that
    /// clients of a predecessor still hold.
    pub fn new(clients: &[ClientArgument<'_>], adopted: impl IntoIterator<Item = u64>) -> Self {
        let host = clients.first().map_or(0, |client| client.badge);
        let mut seats = Seats {
            by_badge: BTreeMap::new(),
            front: host,
            host,
            next: SERVER_BADGES + 1,
        };
        for client in clients {
            seats.insert(client.badge, client.name.into(), None);
        }
        for badge in adopted {
            seats.next = seats.next.max(badge.saturating_add(1));
            if seats.by_badge.len() < MAX_SEATS {
                seats.seat(badge);
            }
        }
        seats
    }

    /// The seat of a badge. A badge that nobody told of gets one with a name
    /// made from it.
    pub fn seat(&mut self, badge: u64) -> &mut Seat<I> {
        let opener = (badge >= SERVER_BADGES).then_some(self.host);
        self.by_badge.entry(badge).or_insert_with(|| {
            let name = match number(badge) {
                Some(number) => format!("program {number}"),
                None => format!("client {badge}"),
            };
            Seat::new(name, opener)
        })
    }

    /// The seat of a badge, if there is one.
    pub fn get(&self, badge: u64) -> Option<&Seat<I>> {
        self.by_badge.get(&badge)
    }

    /// Who is in front.
    pub fn front(&self) -> u64 {
        self.front
    }

    /// Who is in front when nobody else is.
    pub fn host(&self) -> u64 {
        self.host
    }

    /// How whoever is in front wants his input.
    pub fn mode(&self) -> ConsoleMode {
        self.get(self.front)
            .map_or_else(Default::default, |seat| seat.mode)
    }

    /// The name of a badge.
    pub fn name(&self, badge: u64) -> &str {
        self.get(badge).map_or("nobody", |seat| &seat.name)
    }

    /// All badges with their names.
    pub fn names(&self) -> impl Iterator<Item = (u64, &str)> {
        self.by_badge
            .iter()
            .map(|(&badge, seat)| (badge, seat.name.as_str()))
    }

    /// Opens a seat and returns its badge.
    pub fn open(&mut self, opener: u64, name: &str) -> Result<u64, ConsoleError> {
        if name.is_empty()
            || name
                .chars()
                .any(|c| c.is_control() || c == crate::clean::MARK)
        {
            return Err(ConsoleError::BadName);
        }
        if self.by_badge.len() >= MAX_SEATS {
            return Err(ConsoleError::TooManySeats);
        }
        self.seat(opener);
        let badge = self.next;
        self.next += 1;
        self.insert(badge, name.into(), Some(opener));
        Ok(badge)
    }

    /// Whether `badge` may decide who is in front: it is itself, or somebody is
    /// whom it seated.
    pub fn commands(&self, badge: u64) -> bool {
        self.line_of(self.front).any(|seat| seat == badge)
    }

    /// Puts the seat with this number in front, which `badge` must have opened;
    /// 0 is `badge` itself.
    pub fn put_in_front(&mut self, badge: u64, seat: u64) -> Result<(), ConsoleError> {
        self.seat(badge);
        if !self.commands(badge) {
            return Err(ConsoleError::NotInFront);
        }
        if seat == 0 {
            self.front = badge;
            return Ok(());
        }
        let opened = SERVER_BADGES.checked_add(seat).filter(|&opened| {
            let opener = self.get(opened).and_then(|seat| seat.opener);
            opener == Some(badge)
        });
        self.front = opened.ok_or(ConsoleError::NoSuchSeat)?;
        Ok(())
    }

    /// Puts the host in front, as a person at the console's own prompt can.
    pub fn put_host_in_front(&mut self) {
        self.front = self.host;
    }

    /// Removes a seat. Whoever opened it is in front if it was; seats that it
    /// opened are then those of its opener. A client of the supervisor begins
    /// anew under its name: it may be restarted.
    pub fn close(&mut self, badge: u64) -> Option<Seat<I>> {
        let seat = self.by_badge.remove(&badge)?;
        if seat.opener.is_none() {
            self.insert(badge, seat.name.clone(), None);
            return Some(seat);
        }
        for other in self.by_badge.values_mut() {
            if other.opener == Some(badge) {
                other.opener = seat.opener;
            }
        }
        if self.front == badge {
            self.front = seat.opener.unwrap_or(self.host);
        }
        Some(seat)
    }

    /// Tells whoever listens for Ctrl-C: the one in front or the next one in
    /// the line of those who opened it.
    pub fn interrupt(&self) {
        let mut line = self.line_of(self.front).filter_map(|seat| self.get(seat));
        if let Some(interrupt) = line.find_map(|seat| seat.on_interrupt.as_ref()) {
            interrupt.interrupt();
        }
    }

    /// A badge and those who opened it, one after the other.
    fn line_of(&self, badge: u64) -> impl Iterator<Item = u64> {
        core::iter::successors(Some(badge), |&badge| self.get(badge)?.opener)
            // An opener is always older than what it opened, so this ends; the
            // bound is for badges that clients of a predecessor brought along.
            .take(MAX_SEATS)
    }

    fn insert(&mut self, badge: u64, name: String, opener: Option<u64>) {
        self.by_badge.insert(badge, Seat::new(name, opener));
    }
}

impl<I> Seat<I> {
    fn new(name: String, opener: Option<u64>) -> Self {
        Seat {
            name,
            opener,
            mode: ConsoleMode::default(),
            on_interrupt: None,
            cleaner: Cleaner::default(),
        }
    }
}

/// The number by which its opener names a seat; `None` for clients of the
/// supervisor, which nobody opened.
pub fn number(badge: u64) -> Option<u64> {
    badge.checked_sub(SERVER_BADGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use core::cell::Cell;

    struct Counter(Rc<Cell<u32>>);

    impl Interrupt for Counter {
        fn interrupt(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    const SHELL: u64 = 3;
    const OTHER: u64 = 4;

    fn seats() -> Seats<Counter> {
        let clients = ["client:3=shell", "client:4=other"];
        let clients = clients.map(|client| ClientArgument::parse(client).unwrap());
        Seats::new(&clients, [])
    }

    #[test]
    fn the_first_client_is_in_front_and_seats_others() {
        let mut seats = seats();
        assert_eq!((seats.front(), seats.name(SHELL)), (SHELL, "shell"));
        let job = seats.open(SHELL, "job").unwrap();
        let child = seats.open(job, "child").unwrap();
        assert_eq!(
            seats.put_in_front(job, number(child).unwrap()),
            Err(ConsoleError::NotInFront)
        );
        assert_eq!(
            seats.put_in_front(SHELL, number(child).unwrap()),
            Err(ConsoleError::NoSuchSeat)
        );
        seats.put_in_front(SHELL, number(job).unwrap()).unwrap();
        seats.put_in_front(job, number(child).unwrap()).unwrap();
        assert_eq!(seats.put_in_front(OTHER, 0), Err(ConsoleError::NotInFront));
        // Whoever seated it can always take it back.
        seats.put_in_front(SHELL, 0).unwrap();
        assert_eq!(seats.front(), SHELL);
        assert_eq!(
            seats.put_in_front(SHELL, u64::MAX),
            Err(ConsoleError::NoSuchSeat)
        );
    }

    #[test]
    fn closing_goes_back_to_the_opener() {
        let mut seats = seats();
        let job = seats.open(SHELL, "job").unwrap();
        let child = seats.open(job, "child").unwrap();
        seats.put_in_front(SHELL, number(job).unwrap()).unwrap();
        seats.put_in_front(job, number(child).unwrap()).unwrap();
        seats.close(job);
        assert_eq!(seats.front(), child);
        seats.close(child);
        assert_eq!(seats.front(), SHELL);
        seats.close(SHELL);
        assert_eq!(
            seats.front(),
            SHELL,
            "a restarted shell finds itself in front"
        );
    }

    #[test]
    fn ctrl_c_reaches_the_nearest_who_listens() {
        let mut seats = seats();
        let (shell, job) = (Rc::<Cell<u32>>::default(), Rc::<Cell<u32>>::default());
        let badge = seats.open(SHELL, "job").unwrap();
        seats.interrupt();
        seats.seat(SHELL).on_interrupt = Some(Counter(Rc::clone(&shell)));
        seats.put_in_front(SHELL, number(badge).unwrap()).unwrap();
        seats.interrupt();
        assert_eq!((shell.get(), job.get()), (1, 0));
        seats.seat(badge).on_interrupt = Some(Counter(Rc::clone(&job)));
        seats.interrupt();
        assert_eq!((shell.get(), job.get()), (1, 1));
    }

    #[test]
    fn names_and_seats_are_bounded() {
        let mut seats = seats();
        for bad in ["", "a\nb", "▶ console", "\u{9b}2J"] {
            assert_eq!(seats.open(SHELL, bad), Err(ConsoleError::BadName));
        }
        let opened = (0..MAX_SEATS).filter(|_| seats.open(SHELL, "job").is_ok());
        assert_eq!(opened.count(), MAX_SEATS - 2);
        assert_eq!(seats.open(SHELL, "job"), Err(ConsoleError::TooManySeats));
    }

    #[test]
    fn a_successor_keeps_old_seats_apart_from_new_ones() {
        let client = ClientArgument::parse("client:3=shell").unwrap();
        let mut seats: Seats<Counter> = Seats::new(&[client], [SERVER_BADGES + 7, u64::MAX - 9]);
        assert_eq!(seats.name(SERVER_BADGES + 7), "program 7");
        assert_eq!(seats.open(SHELL, "job"), Ok(u64::MAX - 8));
        seats.close(u64::MAX);
        assert!(seats.commands(SHELL));
    }
}
