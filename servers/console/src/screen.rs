//! What goes out to the terminal: the output of whoever is in front as it is,
//! marked lines of the others above it, and the console's own words.

use crate::clean::{MARK, MarkFilter};
use alloc::vec::Vec;
use tessera_stream::Ring;

/// Bytes that wait for the device.
const CAPACITY: usize = 4096;

/// Most of the current line that is remembered to be shown again.
const TAIL: usize = 1024;

/// Room that a marked line needs at most: its text and mark, and the current
/// line again.
const LINE_ROOM: usize = 512 + TAIL;

/// Room that is left to echo and prompt, whatever clients write.
const RESERVE: usize = 512;

/// The way out.
#[derive(Debug)]
pub struct Screen {
    out: Ring,
    filter: MarkFilter,
    /// What was shown of the current line since its begin.
    tail: Vec<u8>,
    /// The line is longer than what is remembered.
    overflow: bool,
}

impl Screen {
    /// Nothing shown; `None` if there is no memory.
    pub fn new() -> Option<Self> {
        Some(Screen {
            out: Ring::new(CAPACITY)?,
            filter: MarkFilter::default(),
            tail: Vec::with_capacity(TAIL),
            overflow: false,
        })
    }

    /// What waits for the device.
    pub fn out(&mut self) -> &mut Ring {
        &mut self.out
    }

    /// Whether clients can write: half of the ring is free, so that each takes
    /// a good piece and not a byte at a time.
    pub fn has_room(&self) -> bool {
        self.out.free() >= CAPACITY / 2
    }

    /// Takes output of whoever is in front; returns how many bytes.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        // A byte becomes at most two, besides what the filter held back.
        let fits = self.out.free().saturating_sub(RESERVE) / 2;
        let taken = bytes.len().min(fits);
        let mut filter = core::mem::take(&mut self.filter);
        for &byte in &bytes[..taken] {
            filter.byte(byte, &mut |byte| self.show(byte));
        }
        self.filter = filter;
        taken
    }

    /// Shows what was typed. What does not fit is not shown.
    pub fn echo(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.out.free() >= 2 {
                self.show(byte);
            }
        }
    }

    /// Shows a whole line of somebody who is not in front, above the current
    /// one. `false` if there is no room now.
    #[must_use]
    pub fn marked_line(&mut self, name: Option<&str>, text: &str) -> bool {
        if self.out.free() < LINE_ROOM + RESERVE {
            return false;
        }
        self.leave_line();
        let mut mark = [0; 4];
        let pieces = [&*MARK.encode_utf8(&mut mark), " "];
        let name = name.map_or(["", ""], |name| [name, ": "]);
        for piece in pieces.into_iter().chain(name).chain([text, "\r\n"]) {
            self.out.push(piece.as_bytes());
        }
        self.out.push(&self.tail);
        true
    }

    /// Shows words of the console itself, in default colours. The line stays
    /// open until `resume`.
    pub fn prompt(&mut self, words: &[&str]) {
        self.leave_line();
        let mut mark = [0; 4];
        let begin = ["\x1b[0m", &*MARK.encode_utf8(&mut mark), " "];
        for piece in begin.iter().chain(words) {
            self.out.push(piece.as_bytes());
        }
    }

    /// Shows what was answered to the console's own words. It is no part of the line that is
    /// shown again.
    pub fn answered(&mut self, answer: &str) {
        self.out.push(answer.as_bytes());
    }

    /// Ends the console's own words and shows the current line again.
    pub fn resume(&mut self) {
        self.out.push(b"\r\n");
        self.out.push(&self.tail);
    }

    /// Somebody else is in front. A mark that was begun is not for him to end.
    pub fn change_front(&mut self) {
        let mut filter = core::mem::take(&mut self.filter);
        filter.abandon(&mut |byte| self.show(byte));
    }

    fn show(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.tail.clear();
                self.overflow = false;
                self.out.push(b"\r\n");
                return;
            }
            // The line begins anew; what follows overwrites it.
            b'\r' => {
                self.tail.clear();
                self.overflow = false;
            }
            _ if self.tail.len() < TAIL => self.tail.push(byte),
            _ => self.overflow = true,
        }
        self.out.push(&[byte]);
    }

    /// Leaves the current line: wiped, if it can be shown again.
    fn leave_line(&mut self) {
        if self.overflow {
            self.tail.clear();
            self.overflow = false;
            self.out.push(b"\r\n");
        } else if !self.tail.is_empty() {
            self.out.push(b"\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn screen() -> Screen {
        Screen::new().unwrap()
    }

    fn shown(screen: &mut Screen) -> String {
        let bytes: Vec<u8> = core::iter::from_fn(|| screen.out().pop()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_front_is_shown_as_it_is() {
        let mut screen = screen();
        assert_eq!(screen.write(b"\x1b[2Ja\nb"), 7);
        assert_eq!(shown(&mut screen), "\x1b[2Ja\r\nb");
    }

    #[test]
    fn a_marked_line_stands_above_the_current_one() {
        let mut screen = screen();
        screen.write(b"done\n$ ls");
        shown(&mut screen);
        assert!(screen.marked_line(Some("job"), "hello"));
        assert_eq!(shown(&mut screen), "\r\x1b[K▶ job: hello\r\n$ ls");
        screen.write(b" -l\n");
        shown(&mut screen);
        assert!(screen.marked_line(None, "hello"));
        assert_eq!(shown(&mut screen), "▶ hello\r\n");
    }

    #[test]
    fn a_line_too_long_to_be_shown_again_is_left() {
        let mut screen = screen();
        screen.write(&[b'x'; TAIL + 1]);
        shown(&mut screen);
        assert!(screen.marked_line(None, "hello"));
        assert_eq!(shown(&mut screen), "\r\n▶ hello\r\n");
    }

    #[test]
    fn a_full_ring_takes_no_more_and_still_echoes() {
        let mut screen = screen();
        let taken = screen.write(&[b'\n'; 2 * CAPACITY]);
        assert!(taken > 0 && taken < CAPACITY);
        assert!(!screen.has_room());
        assert!(!screen.marked_line(None, "hello"));
        assert!(screen.write(b"\n") <= 1);
        screen.echo(b"typed");
        assert!(shown(&mut screen).ends_with("typed"));
        assert!(screen.has_room());
    }

    #[test]
    fn no_client_draws_the_mark() {
        let mut screen = screen();
        screen.write("▶ trust me".as_bytes());
        assert_eq!(shown(&mut screen), "? trust me");
        // Neither in two pieces.
        screen.write(&"▶".as_bytes()[..2]);
        screen.write(&"▶".as_bytes()[2..]);
        assert_eq!(shown(&mut screen), "?");
    }

    #[test]
    fn two_clients_draw_no_mark_together() {
        let mut screen = screen();
        screen.write(&"▶".as_bytes()[..2]);
        screen.change_front();
        screen.write(&"▶".as_bytes()[2..]);
        let bytes: Vec<u8> = core::iter::from_fn(|| screen.out().pop()).collect();
        assert_eq!(bytes, [b'?', "▶".as_bytes()[2]]);
    }

    #[test]
    fn the_prompt_gives_the_line_back() {
        let mut screen = screen();
        screen.write(b"$ ed");
        shown(&mut screen);
        screen.prompt(&["shell", " is in front"]);
        screen.resume();
        let all = shown(&mut screen);
        assert_eq!(all, "\r\x1b[K\x1b[0m▶ shell is in front\r\n$ ed");
    }
}
