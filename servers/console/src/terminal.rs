//! The terminal as a whole: typed bytes in, reads answered; writes in, shown
//! bytes out.

use crate::{
    clean::Cleaner,
    line::{Event, Line},
    questions::Questions,
    screen::Screen,
    seats::{Interrupt, Seats},
};
use alloc::collections::VecDeque;
use libipc::interfaces::{ConsoleError, ConsoleMode, StreamError, WindowSize};
use tessera_stream::{WaitingRead, WaitingWrite};

/// The key that always leads to the console's own prompt: Ctrl-].
const ATTENTION: u8 = 0x1d;

/// Typed keys that wait for a reader.
const INPUT: usize = 2048;

/// Calls that may wait for one seat, and for all.
const WAITING: usize = 4;
const ALL_WAITING: usize = 64;

/// Bytes that one read or one piece of a write moves.
const PIECE: usize = 256;

const BELL: &[u8] = b"\x07";

/// What waits for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Byte(u8),
    /// Ctrl-D on an empty line.
    End,
}

/// The terminal, over waiting calls and what is done at Ctrl-C.
#[derive(Debug)]
pub struct Terminal<R, W, I> {
    pub(crate) seats: Seats<I>,
    pub(crate) screen: Screen,
    line: Line,
    input: VecDeque<Key>,
    reads: VecDeque<(u64, R)>,
    writes: VecDeque<(u64, W)>,
    size: WindowSize,
    /// The console's own prompt is up: no client gets input or output.
    pub(crate) prompting: bool,
    pub(crate) questions: Questions,
    /// A piece of the log, on its way to lines.
    log: Cleaner,
}

impl<R: WaitingRead, W: WaitingWrite, I: Interrupt> Terminal<R, W, I> {
    /// A terminal with these seats; `None` if there is no memory.
    pub fn new(seats: Seats<I>) -> Option<Self> {
        Some(Terminal {
            seats,
            screen: Screen::new()?,
            line: Line::default(),
            input: VecDeque::with_capacity(INPUT),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            size: WindowSize {
                columns: 80,
                rows: 24,
            },
            prompting: false,
            questions: Questions::default(),
            log: Cleaner::default(),
        })
    }

    /// The way out, for the device to empty. Then call [`Self::drained`].
    pub fn screen(&mut self) -> &mut Screen {
        &mut self.screen
    }

    // Input.

    /// A byte was typed.
    pub fn typed(&mut self, byte: u8) {
        if self.prompting {
            return self.answer_prompt(byte);
        }
        if byte == ATTENTION {
            self.prompting = true;
            if !self.show_question() {
                self.show_prompt();
            }
            return;
        }
        if self.seats.mode() == ConsoleMode::Cooked {
            let screen = &mut self.screen;
            match self.line.input(byte, &mut |shown| screen.echo(shown)) {
                Event::None => {}
                Event::Line => self.enqueue_line(),
                Event::End => self.enqueue(Key::End),
                Event::Interrupt => self.interrupt(),
            }
        } else {
            self.enqueue(Key::Byte(byte));
        }
        self.serve_reads();
    }

    /// Whoever is in front wants to read.
    pub fn read(&mut self, badge: u64, read: R) {
        self.seats.seat(badge);
        self.reads.retain(|(_, read)| !read.is_cancelled());
        if is_full(&self.reads, badge) {
            return read.answer(Err(StreamError::Busy));
        }
        if read.wanted() == 0 {
            return read.answer(Ok(0));
        }
        self.reads.push_back((badge, read));
        self.serve_reads();
    }

    fn enqueue(&mut self, key: Key) {
        if self.input.len() < INPUT {
            self.input.push_back(key);
        } else {
            self.screen.echo(BELL);
        }
    }

    fn enqueue_line(&mut self) {
        for byte in self.line.take() {
            self.enqueue(Key::Byte(byte));
        }
    }

    /// Ctrl-C: what was typed is forgotten, who waits for it learns why, and
    /// whoever listens is told.
    pub(crate) fn interrupt(&mut self) {
        self.input.clear();
        let front = self.seats.front();
        while let Some(read) = take_first(&mut self.reads, front) {
            read.answer(Err(StreamError::Interrupted));
        }
        self.seats.interrupt();
    }

    /// Answers reads of whoever is in front with what was typed.
    pub(crate) fn serve_reads(&mut self) {
        let front = self.seats.front();
        while !self.input.is_empty() && !self.prompting {
            let Some(mut read) = take_first(&mut self.reads, front) else {
                return;
            };
            if read.is_cancelled() {
                continue;
            }
            let mut bytes = [0; PIECE];
            let (count, consumed) = self.peek(&mut bytes, read.wanted());
            let outcome = read.put(0, &bytes[..count]);
            if outcome.is_ok() {
                self.input.drain(..consumed);
            }
            read.answer(outcome.map(|()| count as u64));
        }
    }

    /// The next bytes, and how many keys they are: up to the end of the line for
    /// who reads lines, up to the end of input for all.
    fn peek(&self, bytes: &mut [u8], wanted: usize) -> (usize, usize) {
        let cooked = self.seats.mode() == ConsoleMode::Cooked;
        let mut count = 0;
        for key in self.input.iter().take(wanted.min(bytes.len())) {
            match key {
                Key::End if count == 0 => return (0, 1),
                Key::End => break,
                Key::Byte(byte) => bytes[count] = *byte,
            }
            count += 1;
            if cooked && bytes[count - 1] == b'\n' {
                break;
            }
        }
        (count, count)
    }

    // Output.

    /// Somebody writes.
    pub fn write(&mut self, badge: u64, write: W) {
        self.seats.seat(badge);
        self.writes.retain(|(_, write)| !write.is_cancelled());
        if is_full(&self.writes, badge) {
            return write.answer(Err(StreamError::Busy));
        }
        // Behind others of the same seat it waits for its turn.
        let first = !self.writes.iter().any(|(seat, _)| *seat == badge);
        let waits = if first {
            self.try_write(badge, write)
        } else {
            Some(write)
        };
        self.writes.extend(waits.map(|write| (badge, write)));
    }

    /// The device has taken bytes: writes that wait may go on.
    pub fn drained(&mut self) {
        if !self.screen.has_room() {
            return;
        }
        for _ in 0..self.writes.len() {
            let Some((badge, write)) = self.writes.pop_front() else {
                return;
            };
            if write.is_cancelled() {
                continue;
            }
            if let Some(waits) = self.try_write(badge, write) {
                self.writes.push_back((badge, waits));
            }
        }
    }

    /// Whether the log may go on.
    pub fn wants_log(&self) -> bool {
        self.screen.has_room() && self.others_are_shown()
    }

    /// Shows as much of the log as there is room for; returns how many bytes.
    pub fn log(&mut self, text: &[u8]) -> usize {
        let mut taken = 0;
        while taken < text.len() && self.wants_log() {
            taken += self.log.feed(&text[taken..]);
            if let Some(line) = self.log.line()
                && self.screen.marked_line(None, line)
            {
                self.log.next();
            }
        }
        taken
    }

    /// Takes what fits of a write and answers it; gives it back if nothing fits.
    fn try_write(&mut self, badge: u64, mut write: W) -> Option<W> {
        let offered = write.offered();
        let mut done = 0;
        while done < offered {
            let mut bytes = [0; PIECE];
            let count = PIECE.min(offered - done);
            if let Err(error) = write.get(done, &mut bytes[..count]) {
                write.answer(if done > 0 {
                    Ok(done as u64)
                } else {
                    Err(error)
                });
                return None;
            }
            let taken = self.show(badge, &bytes[..count]);
            done += taken;
            if taken < count {
                break;
            }
        }
        if done == 0 && offered > 0 {
            return Some(write);
        }
        write.answer(Ok(done as u64));
        None
    }

    /// Shows what fits of a client's output; returns how many bytes.
    fn show(&mut self, badge: u64, bytes: &[u8]) -> usize {
        if badge == self.seats.front() {
            return if self.prompting {
                0
            } else {
                self.screen.write(bytes)
            };
        }
        if !self.others_are_shown() {
            return 0;
        }
        let seat = self.seats.seat(badge);
        let mut taken = 0;
        while taken < bytes.len() {
            taken += seat.cleaner.feed(&bytes[taken..]);
            let Some(line) = seat.cleaner.line() else {
                continue;
            };
            if !self.screen.marked_line(Some(&seat.name), line) {
                break;
            }
            seat.cleaner.next();
        }
        taken
    }

    pub(crate) fn others_are_shown(&self) -> bool {
        !self.prompting && self.seats.mode() != ConsoleMode::Screen
    }

    // Seats.

    /// The seats, to look at or to open one.
    pub fn seats(&mut self) -> &mut Seats<I> {
        &mut self.seats
    }

    /// Puts a seat in front.
    pub fn put_in_front(&mut self, badge: u64, seat: u64) -> Result<(), ConsoleError> {
        let before = self.seats.front();
        self.seats.put_in_front(badge, seat)?;
        self.front_changed(before);
        Ok(())
    }

    /// Sets how a seat wants its input.
    pub fn set_mode(&mut self, badge: u64, mode: ConsoleMode) {
        self.seats.seat(badge).mode = mode;
        if badge == self.seats.front() {
            self.mode_changed();
        }
    }

    /// The terminal's size.
    pub fn size(&self) -> WindowSize {
        self.size
    }

    /// Sets the terminal's size.
    pub fn set_size(&mut self, badge: u64, size: WindowSize) -> Result<(), ConsoleError> {
        if !self.seats.commands(badge) {
            return Err(ConsoleError::NotInFront);
        }
        let possible = 1..=1000;
        if !possible.contains(&size.columns) || !possible.contains(&size.rows) {
            return Err(ConsoleError::BadSize);
        }
        self.size = size;
        Ok(())
    }

    /// The last capability of a seat is gone.
    pub fn closed(&mut self, badge: u64) {
        self.reads.retain(|(seat, _)| *seat != badge);
        self.writes.retain(|(seat, _)| *seat != badge);
        let before = self.seats.front();
        let Some(seat) = self.seats.close(badge) else {
            return;
        };
        if let Some(rest) = seat.cleaner.rest() {
            // Without room it is lost, as nobody is left to wait for it.
            let _ = self.screen.marked_line(Some(&seat.name), rest);
        }
        self.front_changed(before);
    }

    pub(crate) fn front_changed(&mut self, before: u64) {
        let front = self.seats.front();
        if front == before {
            return;
        }
        self.screen.change_front();
        // What he wrote without a newline while in the back belongs to a line of
        // the front now.
        let seat = self.seats.seat(front);
        if let Some(rest) = seat.cleaner.rest() {
            self.screen.write(rest.as_bytes());
            seat.cleaner.next();
        }
        self.mode_changed();
    }

    /// What was entered by the line so far goes to a reader of single keys.
    fn mode_changed(&mut self) {
        if self.seats.mode() != ConsoleMode::Cooked {
            self.enqueue_line();
        }
        self.serve_reads();
        self.drained();
    }
}

fn is_full<C>(calls: &VecDeque<(u64, C)>, badge: u64) -> bool {
    let own = calls.iter().filter(|(seat, _)| *seat == badge).count();
    own >= WAITING || calls.len() >= ALL_WAITING
}

/// Takes the first call of a seat out of the queue.
fn take_first<C>(calls: &mut VecDeque<(u64, C)>, badge: u64) -> Option<C> {
    let index = calls.iter().position(|(seat, _)| *seat == badge)?;
    calls.remove(index).map(|(_, call)| call)
}
