//! `Fault`: the kernel tells that a thread faulted, or that a task ended.

use super::Session;
use crate::{
    backtrace,
    report::{self, Allowed, Details, Fault as Report},
    slots::Slot,
    supervisor::Supervisor,
};
use alloc::{format, string::String, vec, vec::Vec};
use libipc::{
    fault::Fault,
    interfaces::supervisor::{Ended, Outcome},
    objects::{FaultKind, ObjectError, TaskClient},
};
use tessera_loader::Machine;

/// Most bytes of a program's reason for a panic.
const REASON: u64 = 512;

/// The answer that does not let the thread go on.
const ENDS: Result<(), ObjectError> = Err(ObjectError::WrongState);

impl Fault for Session<'_> {
    fn fault(
        &mut self,
        task: u64,
        thread: u64,
        kind: FaultKind,
        address: u64,
        code: u64,
        pc: u64,
        _sp: u64,
    ) -> Result<(), ObjectError> {
        let slot = self.supervisor.slots.get(self.number);
        let running = slot.and_then(|slot| slot.running.as_ref());
        if running.is_none_or(|running| running.id != task) {
            // It tells of a task that has been killed since.
            return ENDS;
        }
        let outcome = if kind == FaultKind::Exit {
            Outcome {
                ended: Ended::Exited,
                code: address,
            }
        } else {
            let report = Report {
                task,
                thread,
                kind,
                address,
                code,
                pc,
            };
            self.supervisor.tell(self.number, &report);
            Outcome {
                ended: Ended::Faulted,
                code: kind as u64,
            }
        };
        self.supervisor.end(self.number, outcome);
        ENDS
    }
}

impl Supervisor {
    /// Writes to the log what is known of a fault, as far as the rate allows.
    fn tell(&mut self, number: u64, fault: &Report) {
        let now = self.now();
        let (allowed, silent) = self.rate.next(now);
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let text = match allowed {
            Allowed::Full => self.describe(slot, fault),
            Allowed::Headline => report::headline(&slot.name, fault),
            Allowed::Nothing => return,
        };
        if silent > 0 {
            self.log(&format!("init: {silent} more faults were not told\n"));
        }
        self.log(&text);
    }

    fn describe(&self, slot: &Slot, fault: &Report) -> String {
        let Some(running) = &slot.running else {
            return report::headline(&slot.name, fault);
        };
        let task = &running.task;
        let cursor = cursor(task, fault.thread);
        let registers = cursor.and_then(|cursor| task.registers(cursor).ok());
        let history = cursor.and_then(|cursor| task.history(cursor).ok());
        let read = |at| words(task, at);
        let trace = match &registers {
            Some(registers) if fault.kind == FaultKind::Execute => {
                backtrace::walk_from_nowhere(Machine::THIS, registers, read)
            }
            Some(registers) => backtrace::walk(Machine::THIS, registers, read),
            None => vec![fault.pc],
        };
        let reason = match fault.kind {
            FaultKind::Panic => text(task, fault.address, fault.code),
            _ => String::new(),
        };
        let details = Details {
            reason: &reason,
            registers,
            backtrace: &trace,
            base: running.layout.program,
            symbols: self.symbols(slot.program),
            history: history.as_ref().map_or(&[], |labels| labels),
            interfaces: self.interfaces(),
        };
        report::full(Machine::THIS, &slot.name, fault, &details)
    }
}

/// How often the threads of a task are looked through whose others end meanwhile.
const LOOKS: u32 = 8;

/// Cursor of the thread with this number.
fn cursor(task: &TaskClient, thread: u64) -> Option<u64> {
    (0..LOOKS).find_map(|_| {
        let mut cursor = 0;
        loop {
            let info = task.thread(cursor).ok()?;
            if info.id == thread {
                return Some(cursor);
            }
            cursor = (info.next != 0).then_some(info.next)?;
        }
    })
}

/// Two words of a task's memory.
fn words(task: &TaskClient, address: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    task.peek_into(address, &mut bytes).ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    Some([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])])
}

/// Text in a task's memory, without control characters that would forge lines.
fn text(task: &TaskClient, address: u64, length: u64) -> String {
    let mut bytes: Vec<u8> = vec![0; length.min(REASON) as usize];
    if task.peek_into(address, &mut bytes).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let plain = |c: &char| *c == '\n' || !c.is_control();
    text.chars().filter(plain).collect()
}
