//! The console's own prompt, to which the attention key leads.

use crate::{
    seats::{Interrupt, number},
    terminal::Terminal,
};
use alloc::{format, string::ToString};
use tessera_stream::{WaitingRead, WaitingWrite};

impl<R: WaitingRead, W: WaitingWrite, I: Interrupt> Terminal<R, W, I> {
    pub(crate) fn show_prompt(&mut self) {
        let name = self.seats.name(self.seats.front()).to_string();
        let host = self.seats.name(self.seats.host()).to_string();
        self.screen.prompt(&[
            "console: ",
            &name,
            " is in front. c: interrupt it, b: back to ",
            &host,
            ", s: who is seated, any other key: go on > ",
        ]);
    }

    pub(crate) fn answer_prompt(&mut self, key: u8) {
        match key {
            _ if self.questions.answer(matches!(key, b'y' | b'Y')) => {
                self.screen.answered(if matches!(key, b'y' | b'Y') {
                    "yes"
                } else {
                    "no"
                });
                self.leave_prompt();
            }
            b's' => {
                self.screen.answered("s\r\n");
                for (badge, name) in self.seats.names() {
                    let what = match number(badge) {
                        Some(number) => format!("seat {number}"),
                        None => format!("client {badge}"),
                    };
                    // Those that do not fit now are left out.
                    if !self.screen.marked_line(Some(name), &what) {
                        break;
                    }
                }
                return self.show_prompt();
            }
            b'c' => {
                self.leave_prompt();
                self.interrupt();
            }
            b'b' => {
                self.leave_prompt();
                let before = self.seats.front();
                self.seats.put_host_in_front();
                self.front_changed(before);
            }
            _ => self.leave_prompt(),
        }
        self.serve_reads();
        self.drained();
    }

    fn leave_prompt(&mut self) {
        self.prompting = false;
        self.screen.resume();
    }
}
