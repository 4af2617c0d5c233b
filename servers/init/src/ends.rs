//! What happens when a task ends: by itself, by a fault, or killed.

use crate::{
    restart::Next,
    slots::{Origin, Slot},
    supervisor::Supervisor,
};
use alloc::{format, string::String, vec::Vec};
use libipc::{
    interfaces::supervisor::{Ended, Outcome},
    time::Instant,
};

impl Supervisor {
    /// Ends the task of slot `number`, with everything that it started, and
    /// decides whether it comes back.
    pub(crate) fn end(&mut self, number: u64, outcome: Outcome) {
        let started: Vec<_> = self.slots.started_by(number).collect();
        for started in started {
            let killed = Outcome {
                ended: Ended::Killed,
                code: 0,
            };
            self.end(started, killed);
        }
        let now = self.now();
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let Some(running) = slot.running.take() else {
            return;
        };
        if let Origin::Page { index, .. } = slot.origin {
            // Whoever calls from now on waits for the successor.
            self.pause(index);
        }
        if let Err(error) = running.task.kill() {
            self.log(&format!(
                "init: task {} cannot be killed: {error}\n",
                running.id
            ));
        }
        for device in running.devices {
            // It no longer listens to the task, so what it reaches can go back.
            if !device.release() {
                self.log("init: a device cannot be reset; it keeps what it may write to\n");
            }
        }
        let Some(Slot { origin, name, .. }) = self.slots.get_mut(number) else {
            return;
        };
        match origin {
            Origin::Page { history, again, .. } => {
                let fault = outcome.ended != Ended::Exited || outcome.code != 0;
                let next = history.ended(now, fault);
                let then = match next {
                    Next::At(at) => {
                        *again = Some(at);
                        self.restarts = true;
                        format!("starts again in {} ms", at - now)
                    }
                    Next::Stays => String::from("stays down"),
                    Next::GivenUp => String::from("stays down, for it ended again and again"),
                };
                let how = match outcome.ended {
                    Ended::Exited => format!("ended with code {}", outcome.code),
                    Ended::Faulted => String::from("faulted"),
                    Ended::Killed => String::from("was killed"),
                };
                let line = format!("init: `{name}` {how}, {then}\n");
                let down = again.is_none();
                self.log(&line);
                if down {
                    self.set_down(number);
                }
            }
            Origin::Program(program) => {
                program.outcome = Some(outcome);
                for reply in program.waiting.drain(..) {
                    // Who no longer waits need not be told.
                    let _ = reply.answer(Ok(outcome));
                }
                if let Some((endpoint, signals)) = program.notify.take() {
                    let _ = endpoint.signal(signals);
                }
                if !program.held {
                    self.slots.remove(number);
                }
            }
        }
    }

    /// Starts all tasks again whose time has come. Returns when the receive loop must
    /// wake up for the next one.
    pub(crate) fn restart_due(&mut self) -> Instant {
        while self.restarts {
            let Some((at, number)) = self.slots.next_restart() else {
                self.restarts = false;
                break;
            };
            if at > self.now() {
                return self.started + core::time::Duration::from_millis(at);
            }
            match self.start_task(number) {
                Ok(()) => self.resume(number as usize - 1),
                Err(error) => self.failed_again(number, &format!("{error}")),
            }
        }
        Instant::FOREVER
    }

    /// A restart did not work out, which counts like a run that ended at once.
    fn failed_again(&mut self, number: u64, error: &str) {
        let now = self.now();
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let line = format!("init: cannot start `{}` again: {error}\n", slot.name);
        let mut down = true;
        if let Origin::Page { history, again, .. } = &mut slot.origin {
            history.started(now);
            *again = None;
            if let Next::At(at) = history.ended(now, true) {
                *again = Some(at);
                self.restarts = true;
                down = false;
            }
        }
        self.log(&line);
        if down {
            self.set_down(number);
        }
    }

    /// The task does not come back: its callers are told at once.
    pub(crate) fn set_down(&self, number: u64) {
        self.each_endpoint(number as usize - 1, |endpoint| {
            // Closed twice is closed.
            let _ = endpoint.close();
        });
    }

    fn pause(&self, index: usize) {
        self.each_endpoint(index, |endpoint| {
            // Only a closed endpoint refuses, which then needs no pause.
            let _ = endpoint.pause();
        });
    }

    fn resume(&self, index: usize) {
        self.each_endpoint(index, |endpoint| {
            let _ = endpoint.resume();
        });
    }

    fn each_endpoint(&self, index: usize, act: impl Fn(&libipc::objects::EndpointClient)) {
        let task = self.page.tasks.get(index);
        for name in task.into_iter().flat_map(|task| &task.provides) {
            if let Some(found) = self.page_endpoint(name) {
                act(&found.endpoint);
            }
        }
    }
}
