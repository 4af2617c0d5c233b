//! A machine for tests: a kernel of its own, and threads whose system calls the
//! test makes.

use crate::{
    Entered, Kernel,
    arch::{Access, Arch, Port, Trap, host},
    capability::object::Target,
    cell::Word,
    ipc::{
        fast::{self, Next},
        plain,
    },
    memory::{
        copy::{self, Place},
        space::{self, Mapping, Progress},
    },
    object::{
        endpoint::Endpoint,
        memory::Memory,
        task::Task,
        thread::{Start, State, Thread},
    },
    run,
    schedule::ready,
    syscall,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    FOREVER, PAGE,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{ObjectError, task},
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
    wire::ErrorCode,
};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    boxed::Box,
};

/// Where each task of a test has memory.
pub(super) const DATA: u64 = 0x10_0000;

/// An interface hash that no kernel object has.
pub(super) const HASH: u32 = 0x7e57;

pub(super) struct Machine {
    pub(super) k: Entered<'static>,
    pub(super) root: &'static Task,
    kernel: *mut Kernel,
    ram: *mut u8,
    layout: Layout,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: made by `new`; a test uses nothing of its machine afterwards.
        #[allow(unsafe_code, reason = "exploring makes thousands of machines")]
        drop(unsafe { Box::from_raw(self.kernel) });
        // SAFETY: allocated by `new` with this layout; only the kernel used it.
        #[allow(unsafe_code, reason = "the RAM of a test machine")]
        unsafe {
            dealloc(self.ram, self.layout);
        }
    }
}

impl Machine {
    /// A machine with so many frames, and a first task that owns them all.
    pub(super) fn new(frames: usize) -> Machine {
        let layout = Layout::from_size_align(frames * PAGE, PAGE).unwrap();
        // SAFETY: the layout's size is not zero.
        #[allow(unsafe_code, reason = "the RAM of a test machine")]
        let ram = unsafe { alloc_zeroed(layout) };
        let start = ram.expose_provenance() as u64;
        let pointer = Box::into_raw(Box::new(Kernel::new()));
        // SAFETY: it lives until the machine is dropped, the last that uses it.
        #[allow(unsafe_code, reason = "objects refer to the kernel for ever")]
        let kernel: &'static Kernel = unsafe { &*pointer };
        host::set_now(1000);
        host::interrupt_after(u32::MAX);
        assert!(
            kernel
                .frames
                .take_over(start..start + (frames * PAGE) as u64, &[])
        );
        kernel.core_count.set(1);
        kernel.set_fast(true);
        for core in &kernel.cores {
            core.begin(0);
        }
        let k = Entered::as_core(kernel, 0);
        let root = Task::create_first(k).unwrap();
        root.uses.add(1);
        Machine {
            k,
            root,
            kernel: pointer,
            ram,
            layout,
        }
    }

    /// The same with so many cores. The test is each of them in turn, and what
    /// it does is done by the core that the thread belongs to.
    pub(super) fn with_cores(frames: usize, cores: usize) -> Machine {
        let machine = Machine::new(frames);
        machine.k.kernel.core_count.set(cores);
        host::interrupted();
        machine
    }

    /// Number of the core that a thread belongs to.
    pub(super) fn core_of(&self, thread: &Thread) -> usize {
        thread.core(self.k).number
    }

    /// The proof that this core is inside the kernel.
    pub(super) fn on(&self, core: usize) -> Entered<'static> {
        Entered::as_core(self.k.kernel, core)
    }

    /// A core enters the kernel for this reason, and leaves it again.
    pub(super) fn trap(&self, core: usize, trap: Trap) -> Option<&'static Thread> {
        let k = self.on(core);
        k.core.attend(k);
        run::handle(k, trap);
        leave(k, trap)
    }

    /// All cores but this one are interrupted.
    pub(super) fn others(&self, core: usize) {
        for other in (0..self.k.kernel.cores().len()).filter(|other| *other != core) {
            self.trap(other, Trap::Interrupt);
        }
    }

    /// A task with a page of memory at `DATA`.
    pub(super) fn task(&self, frames: u64) -> &'static Task {
        let task = Task::create(self.k, self.root, frames).unwrap();
        task.uses.add(1);
        self.map(task, DATA, 1, Access::READ | Access::WRITE);
        task
    }

    pub(super) fn map(&self, task: &'static Task, address: u64, pages: u64, access: Access) {
        let memory = Memory::create(self.k, task, pages).unwrap();
        let mapping = Mapping {
            memory,
            source: None,
            address,
            offset: 0,
            pages,
            access,
            most: access,
            tables: Word::default(),
        };
        assert_eq!(space::map(self.k, task, &mapping), Ok(Progress::Done));
    }

    /// A ready thread.
    pub(super) fn thread(&self, task: &'static Task) -> &'static Thread {
        self.thread_of(task, 100)
    }

    pub(super) fn thread_of(&self, task: &'static Task, priority: u8) -> &'static Thread {
        let start = Start {
            entry: 0x1000,
            stack: 0x2000,
            arguments: [0, 0],
            priority,
        };
        let thread = Thread::create(self.k, task, &start).unwrap();
        ready::wake(self.k, thread);
        thread
    }

    /// A capability in the task's table.
    pub(super) fn give(&self, task: &Task, target: Target<'_>, rights: Rights) -> Handle {
        task.table.insert(self.k, task, &target, rights).unwrap()
    }

    /// An endpoint: the object and a handle with all rights.
    pub(super) fn endpoint(&self, task: &'static Task) -> (&'static Endpoint, Handle) {
        let endpoint = Endpoint::create(self.k, task).unwrap();
        let rights = Rights::all() - Rights::FAR_ONLY;
        (
            endpoint,
            self.give(task, Target::Endpoint(endpoint, None, 0), rights),
        )
    }

    /// Faults of `task` are told at the endpoint of this capability of `holder`'s.
    pub(super) fn handle_faults(&self, task: &Task, holder: &Task, handle: Handle) {
        let slot = holder.table.find(self.k, handle).unwrap();
        let Some(Target::Endpoint(endpoint, session, _)) = slot.target(self.k) else {
            panic!("no endpoint");
        };
        task.fault_handler.bind(self.k, slot, endpoint, session, 0);
    }

    /// Makes a ready thread the one that runs.
    pub(super) fn run(&self, thread: &'static Thread) {
        let k = self.on(self.core_of(thread));
        let core = k.core;
        assert_eq!(
            thread.state.get(),
            State::Ready,
            "only a ready thread makes calls"
        );
        if !core.current.is(thread) {
            core.queue.remove(k, thread);
            if let Some(current) = core.current.take(k) {
                if current.state.get() == State::Ready {
                    core.queue.push(k, current);
                }
                // One that was to move does so now.
                ready::set_core(k, current, current.next_core.get());
            }
            core.current.set(Some(thread));
        }
    }

    /// Whether the system call of the current thread takes the fast path; done as
    /// a port does it.
    pub(super) fn passes(
        &self,
        k: Entered<'static>,
        thread: &'static Thread,
        call: &CallIn,
    ) -> bool {
        let next = fast::pass(k, thread, call);
        match next {
            Some(Next::Hears(next, heard, _)) => host::hear(&thread.context, &next.context, heard),
            Some(Next::Ends(status)) => Port::call_out(&thread.context, &plain(status)),
            _ => {}
        }
        if next.is_some() && !k.core.current.is(thread) {
            Port::fp_keep(&thread.context);
        }
        k.core.gate.leave();
        next.is_some()
    }

    /// Lets `thread` make a system call. `None` if it blocked.
    pub(super) fn enter(&self, thread: &'static Thread, call: CallIn) -> Option<CallOut> {
        self.run(thread);
        let k = self.on(self.core_of(thread));
        host::set_call(&thread.context, &call);
        let before = Port::registers(&thread.context).pc;
        if self.passes(k, thread, &call) {
            return (thread.state.get() == State::Ready).then(|| host::results(&thread.context));
        }
        loop {
            syscall::syscall(k, thread);
            leave(k, Trap::Call);
            if Port::registers(&thread.context).pc == before {
                break;
            }
            // It was interrupted: the program makes the same call once more.
            host::advance(&thread.context);
            host::interrupt_after(u32::MAX);
            self.others(k.core.number);
            // Another one may have had its turn.
            self.run(thread);
        }
        (thread.state.get() == State::Ready).then(|| host::results(&thread.context))
    }

    /// A call of a server.
    pub(super) fn call(
        &self,
        thread: &'static Thread,
        handle: Handle,
        label: Label,
        words: &[u64],
    ) -> Option<CallOut> {
        self.enter(thread, call_in(handle, label, words, FOREVER))
    }

    /// A call of a kernel object.
    pub(super) fn object(
        &self,
        thread: &'static Thread,
        handle: Handle,
        operation: u8,
        hash: u32,
        words: &[u64],
    ) -> CallOut {
        let mut label = Label::call(operation, hash);
        if handle.object_type() == Some(libipc_abi::handle::ObjectType::Endpoint) {
            label = label.with_flags(Flags::OBJECT);
        }
        self.call(thread, handle, label, words)
            .expect("kernel objects answer at once")
    }

    /// A call of a task with capabilities as arguments; one slot is open.
    pub(super) fn task_call(
        &self,
        thread: &'static Thread,
        task: Handle,
        operation: u8,
        capabilities: &[Handle],
        words: &[u64],
    ) -> Answer {
        self.open(thread, 1);
        for (index, handle) in capabilities.iter().enumerate() {
            self.set_buffer(thread, word::CAPABILITIES + index, handle.0);
        }
        let label = Label::call(operation, task::INTERFACE.hash);
        let label = label.with_capabilities(capabilities.len());
        let out = self.call(thread, task, label, words);
        Answer::of(&out.expect("kernel objects answer at once"))
    }

    /// The capability that the last answer carried.
    pub(super) fn received(&self, thread: &Thread) -> Handle {
        Handle(self.buffer(thread, word::CAPABILITIES))
    }

    /// Makes an object of the task and returns its handle.
    pub(super) fn make(
        &self,
        thread: &'static Thread,
        task: Handle,
        operation: u8,
        words: &[u64],
    ) -> Handle {
        let answer = self.task_call(thread, task, operation, &[], words);
        assert!(answer.is_ok(), "{answer:?}");
        self.received(thread)
    }

    pub(super) fn receive(&self, thread: &'static Thread, handle: Handle) -> Option<CallOut> {
        self.receive_until(thread, handle, FOREVER)
    }

    pub(super) fn receive_until(
        &self,
        thread: &'static Thread,
        handle: Handle,
        deadline: u64,
    ) -> Option<CallOut> {
        self.enter(
            thread,
            call_in(handle, Label::control(Flags::RECEIVE, 0), &[], deadline),
        )
    }

    /// Answers the request being served with words.
    pub(super) fn reply(&self, thread: &'static Thread, words: &[u64]) -> CallOut {
        let label = Label::control(Flags::REPLY, Label::OK);
        self.enter(thread, call_in(Handle::NULL, label, words, FOREVER))
            .unwrap()
    }

    pub(super) fn signal(&self, thread: &'static Thread, handle: Handle, bits: u64) -> CallOut {
        let label = Label::control(Flags::SIGNAL, 0);
        self.enter(thread, call_in(handle, label, &[bits], FOREVER))
            .unwrap()
    }

    /// The outcome of a call whose thread was blocked.
    pub(super) fn result(&self, thread: &Thread) -> CallOut {
        assert_eq!(thread.state.get(), State::Ready, "the thread still waits");
        host::results(&thread.context)
    }

    pub(super) fn buffer(&self, thread: &Thread, index: usize) -> u64 {
        thread.buffer(self.k)[index].load(Relaxed)
    }

    pub(super) fn set_buffer(&self, thread: &Thread, index: usize, value: u64) {
        thread.buffer(self.k)[index].store(value, Relaxed);
    }

    /// Slots that the thread opens to receive capabilities.
    pub(super) fn open(&self, thread: &Thread, slots: u64) {
        self.set_buffer(thread, word::OPEN, slots);
    }

    pub(super) fn poke(&self, task: &Task, address: u64, bytes: &[u8]) {
        copy::write(self.k, bytes, Place::Task(task, address)).unwrap();
    }

    pub(super) fn peek(&self, task: &Task, address: u64, bytes: &mut [u8]) {
        copy::read(self.k, Place::Task(task, address), bytes).unwrap();
    }

    /// Leaves the kernel as after an interrupt.
    pub(super) fn leave(&self) {
        leave(self.k, Trap::Interrupt);
    }

    /// Lets time pass.
    pub(super) fn at(&self, now: u64) {
        host::set_now(now);
        leave(self.k, Trap::Interrupt);
    }

    /// Kills a task and takes it apart.
    pub(super) fn kill(&self, task: &Task) {
        task.kill(self.k);
        leave(self.k, Trap::Interrupt);
    }
}

/// Leaves the kernel. A timer that is due has interrupted before.
pub(super) fn leave(k: Entered<'static>, trap: Trap) -> Option<&'static Thread> {
    k.core.ring_if_due();
    if trap == Trap::Interrupt {
        k.core.look_around();
    }
    run::leave(k)
}

pub(super) fn call_in(handle: Handle, label: Label, words: &[u64], deadline: u64) -> CallIn {
    let mut all = [0; WORDS];
    all[..words.len()].copy_from_slice(words);
    CallIn {
        handle,
        label,
        words: all,
        deadline,
        request: Handle::NULL,
    }
}

/// Operations of a task, by number.
pub(super) mod on_task {
    pub(crate) const CREATE_TASK: u8 = 0;
    pub(crate) const CREATE_THREAD: u8 = 1;
    pub(crate) const CREATE_ENDPOINT: u8 = 2;
    pub(crate) const CREATE_MEMORY: u8 = 3;
    pub(crate) const MAP: u8 = 4;
    pub(crate) const UNMAP: u8 = 5;
    pub(crate) const PROTECT: u8 = 6;
    pub(crate) const INSTALL: u8 = 7;
    pub(crate) const DERIVE: u8 = 8;
    pub(crate) const DELETE: u8 = 9;
    pub(crate) const SET_FAULT_HANDLER: u8 = 10;
    pub(crate) const KILL: u8 = 11;
    pub(crate) const INFO: u8 = 12;
    pub(crate) const PEEK: u8 = 17;
    pub(crate) const START_THREAD: u8 = 20;
}

/// What a kernel object answers: its words, its own error, or a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok([u64; WORDS]),
    Error(u64),
    Status(u64),
}

impl Answer {
    pub(super) fn of(out: &CallOut) -> Answer {
        match (out.status, out.label.operation()) {
            (MESSAGE, Label::OK) => Answer::Ok(out.words),
            (MESSAGE, _) => Answer::Error(out.words[0]),
            (status, _) => Answer::Status(status),
        }
    }

    /// How `error` arrives.
    pub(super) fn error(error: ObjectError) -> Answer {
        match error.cause() {
            Some(cause) => Answer::Status(refused(cause)),
            None => Answer::Error(error.to_code()),
        }
    }

    /// The first word of an answer that is none of the errors.
    pub(super) fn word(self) -> u64 {
        match self {
            Answer::Ok(words) => words[0],
            other => panic!("refused: {other:?}"),
        }
    }

    pub(super) fn is_ok(self) -> bool {
        matches!(self, Answer::Ok(_))
    }
}

pub(super) fn refused(cause: Cause) -> u64 {
    Status::Error(TransportError::refused(cause)).to_word()
}

pub(super) fn delivered(cause: Cause) -> u64 {
    Status::Error(TransportError::delivered(cause)).to_word()
}

pub(super) const MESSAGE: u64 = 0;
pub(super) const SIGNALS: u64 = 1;
pub(super) const CLOSED: u64 = 2;

/// A client and a server in tasks of their own, with an endpoint between them.
pub(super) struct Pair {
    pub(super) machine: Machine,
    pub(super) client: &'static Thread,
    pub(super) server: &'static Thread,
    pub(super) client_task: &'static Task,
    pub(super) server_task: &'static Task,
    pub(super) endpoint: &'static Endpoint,
    /// The server's handle, with all rights.
    pub(super) serve: Handle,
    /// The client's handle, to call and pass on.
    pub(super) use_: Handle,
}

impl Pair {
    pub(super) fn new() -> Pair {
        Pair::in_machine(512, 64)
    }

    /// In a machine with so many frames, so many of them for each task.
    pub(super) fn in_machine(frames: usize, quota: u64) -> Pair {
        Pair::of(Machine::new(frames), quota)
    }

    /// In a machine with so many cores, both on the first.
    pub(super) fn on_cores(cores: usize) -> Pair {
        Pair::of(Machine::with_cores(512, cores), 64)
    }

    fn of(machine: Machine, quota: u64) -> Pair {
        let (client_task, server_task) = (machine.task(quota), machine.task(quota));
        let (client, server) = (machine.thread(client_task), machine.thread(server_task));
        let (endpoint, serve) = machine.endpoint(server_task);
        let rights = Rights::CALL | Rights::SIGNAL | Rights::GRANT;
        let use_ = machine.give(client_task, Target::Endpoint(endpoint, None, 0), rights);
        Pair {
            machine,
            client,
            server,
            client_task,
            server_task,
            endpoint,
            serve,
            use_,
        }
    }

    /// The client calls and the server has the request.
    pub(super) fn called(label: Label, words: &[u64]) -> Pair {
        let pair = Pair::new();
        assert_eq!(pair.machine.receive(pair.server, pair.serve), None);
        assert_eq!(
            pair.machine.call(pair.client, pair.use_, label, words),
            None
        );
        pair
    }
}
