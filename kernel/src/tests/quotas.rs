//! Quotas: everything is charged, and everything comes back.

use super::{invariants, machine::*};
use crate::{
    arch::{Access, host},
    capability::object::Target,
    memory::space,
    object::{task::Task, thread::Thread},
};
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::Label,
    objects::{ObjectError, endpoint, system},
};

const AT: u64 = 0x40_0000;
const LABEL: Label = Label::call(0, HASH);

/// A task with a thread and a handle of itself, in a machine of its own.
struct Payer {
    m: Machine,
    task: &'static Task,
    thread: &'static Thread,
    own: Handle,
}

impl Payer {
    fn new() -> Payer {
        let m = Machine::new(512);
        let task = m.task(200);
        let thread = m.thread(task);
        let own = m.give(task, Target::Task(task), Rights::all());
        Payer {
            m,
            task,
            thread,
            own,
        }
    }

    fn call(&self, operation: u8, capabilities: &[Handle], words: &[u64]) -> Answer {
        let (m, thread) = (&self.m, self.thread);
        m.task_call(thread, self.own, operation, capabilities, words)
    }

    fn make(&self, operation: u8, words: &[u64]) -> Handle {
        self.m.make(self.thread, self.own, operation, words)
    }

    fn delete(&self, handle: Handle) {
        assert!(self.call(on_task::DELETE, &[], &[handle.0]).is_ok());
    }

    fn mint(&self, endpoint: Handle) -> Answer {
        self.m.open(self.thread, 1);
        let hash = endpoint::INTERFACE.hash;
        Answer::of(&self.m.object(self.thread, endpoint, 0, hash, &[1, 1, 1]))
    }
}

#[test]
fn every_type_of_object_is_charged_and_returned() {
    let payer = Payer::new();
    let (m, task) = (&payer.m, payer.task);
    let system = m.give(task, Target::System, Rights::all());
    let endpoint = payer.make(on_task::CREATE_ENDPOINT, &[]);
    type Make<'p> = &'p dyn Fn() -> Handle;
    let kinds: [(Make<'_>, u64); 7] = [
        (&|| payer.make(on_task::CREATE_TASK, &[5]), 5),
        (
            &|| payer.make(on_task::CREATE_THREAD, &[0x1000, 0, 0, 0, 1]),
            1,
        ),
        (&|| payer.make(on_task::CREATE_ENDPOINT, &[]), 0),
        (&|| payer.make(on_task::CREATE_MEMORY, &[9]), 9 + 1),
        (
            &|| {
                assert!(payer.mint(endpoint).is_ok());
                m.received(payer.thread)
            },
            0,
        ),
        (
            &|| {
                m.open(payer.thread, 1);
                let line = 1 + task.table.count.get() % 60;
                let out = m.object(payer.thread, system, 7, system::INTERFACE.hash, &[line]);
                assert!(Answer::of(&out).is_ok());
                m.received(payer.thread)
            },
            0,
        ),
        (
            &|| {
                m.open(payer.thread, 1);
                let words = [0x1000_0000, 4];
                let out = m.object(payer.thread, system, 6, system::INTERFACE.hash, &words);
                assert!(Answer::of(&out).is_ok());
                m.received(payer.thread)
            },
            0,
        ),
    ];
    for (index, (make, least)) in kinds.iter().enumerate() {
        // Slabs and tables that are there anyway are no part of the price.
        let kept = make();
        let mut handles = [Handle::NULL; 8];
        let before = task.used.get();
        for handle in &mut handles {
            let used = task.used.get();
            *handle = make();
            assert!(task.used.get() >= used + least, "kind {index}");
        }
        invariants::check(m, |of| held(m, task, of));
        assert!(task.used.get() > before || *least == 0);
        for handle in handles {
            end(&payer, handle);
        }
        // A session lives until its end was received.
        while m.receive_until(payer.thread, endpoint, 0).unwrap().status == CLOSED {}
        end(&payer, kept);
    }
    invariants::check(m, |of| held(m, task, of));
}

/// Uses that the fixture has of a task.
fn held(m: &Machine, task: &Task, of: &Task) -> u64 {
    u64::from(core::ptr::eq(of, m.root) || core::ptr::eq(of, task))
}

/// Ends an object and checks that its payer's account does not grow.
fn end(payer: &Payer, handle: Handle) {
    let used = payer.task.used.get();
    if handle.object_type() == Some(ObjectType::Thread) {
        let hash = libipc_abi::objects::thread::INTERFACE.hash;
        let out = payer.m.object(payer.thread, handle, 4, hash, &[0]);
        assert!(Answer::of(&out).is_ok());
    }
    payer.delete(handle);
    assert!(payer.task.used.get() <= used);
}

#[test]
fn a_quota_is_exact() {
    let payer = Payer::new();
    let task = payer.task;
    let left = |task: &Task| task.limit.get() - task.used.get();
    payer.make(on_task::CREATE_MEMORY, &[1]);
    let memory = payer.make(on_task::CREATE_MEMORY, &[left(task) - 1]);
    assert_eq!(left(task), 0, "the directory was the last");
    let quota = Answer::error(ObjectError::QuotaExceeded);
    assert_eq!(payer.call(on_task::CREATE_MEMORY, &[], &[1]), quota);
    assert_eq!(payer.call(on_task::CREATE_TASK, &[], &[1]), quota);
    let thread = [0x1000, 0, 0, 0, 1];
    assert_eq!(payer.call(on_task::CREATE_THREAD, &[], &thread), quota);
    let map = [AT, 0, 1, 1];
    assert_eq!(payer.call(on_task::MAP, &[memory], &map), quota);
    payer.delete(memory);
    assert!(left(task) > 0);
    assert!(payer.call(on_task::CREATE_TASK, &[], &[1]).is_ok());
}

#[test]
fn a_child_s_quota_is_its_parent_s() {
    let payer = Payer::new();
    let m = &payer.m;
    let used = payer.task.used.get();
    let child = payer.make(on_task::CREATE_TASK, &[50]);
    assert!(payer.task.used.get() >= used + 50);
    let info = m.task_call(payer.thread, child, on_task::INFO, &[], &[]);
    let Answer::Ok([_, quota, child_used, ..]) = info else {
        panic!("{info:?}");
    };
    assert_eq!((quota, child_used), (50, 1));
    // A grandchild cannot be more than the child.
    let answer = m.task_call(payer.thread, child, on_task::CREATE_TASK, &[], &[50]);
    assert_eq!(answer, Answer::error(ObjectError::QuotaExceeded));
    m.make(payer.thread, child, on_task::CREATE_TASK, &[40]);
    invariants::check(m, |of| held(m, payer.task, of));
    assert!(
        m.task_call(payer.thread, child, on_task::KILL, &[], &[])
            .is_ok()
    );
    let died = Answer::error(ObjectError::Died);
    let answer = m.task_call(payer.thread, child, on_task::CREATE_TASK, &[], &[1]);
    assert_eq!(answer, died);
    assert!(payer.task.used.get() > used, "the grandchild lives");
    payer.delete(m.received(payer.thread));
    payer.delete(child);
    assert_eq!(payer.task.used.get(), used);
}

/// Whatever a task can do with its quota, as far as it gets.
fn spend(m: &Machine, task: &'static Task, slots: u64) {
    for _ in 0..slots {
        if task
            .table
            .insert(m.k, task, &Target::System, Rights::LOG)
            .is_err()
        {
            return;
        }
    }
    let target = Target::Task(task);
    let Ok(own) = task.table.insert(m.k, task, &target, Rights::all()) else {
        return;
    };
    let start = crate::object::thread::Start {
        entry: 0x1000,
        stack: 0,
        arguments: [0; 2],
        priority: 9,
    };
    let Ok(thread) = Thread::create(m.k, task, &start) else {
        return;
    };
    crate::schedule::ready::wake(m.k, thread);
    let call = |operation, capabilities: &[Handle], words: &[u64]| {
        let answer = m.task_call(thread, own, operation, capabilities, words);
        invariants::check(m, |of| held(m, task, of));
        answer.is_ok().then(|| m.received(thread))
    };
    let child = call(on_task::CREATE_TASK, &[], &[4]);
    let endpoint = call(on_task::CREATE_ENDPOINT, &[], &[]);
    if let Some(endpoint) = endpoint {
        m.open(thread, 1);
        m.object(thread, endpoint, 0, endpoint::INTERFACE.hash, &[5, 255, 2]);
        call(on_task::SET_FAULT_HANDLER, &[endpoint], &[]);
    }
    call(on_task::CREATE_THREAD, &[], &[0x1000, 0, 0, 0, 1]);
    if let Some(memory) = call(on_task::CREATE_MEMORY, &[], &[2]) {
        call(on_task::MAP, &[memory], &[AT, 0, 2, 1]);
        call(on_task::MAP, &[memory], &[AT << 10, 0, 2, 1]);
        if let Some(child) = child {
            m.task_call(thread, child, on_task::MAP, &[memory], &[AT, 0, 1, 1]);
            m.task_call(thread, child, on_task::INSTALL, &[memory], &[255]);
        }
    }
    call(on_task::CREATE_MEMORY, &[], &[10]);
    if let Some(endpoint) = endpoint {
        m.call(thread, endpoint, LABEL, &[]);
    }
    invariants::check(m, |of| held(m, task, of));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn no_size_of_quota_leaks_a_frame() {
    for slots in [0, 58, 61, 62, 63] {
        let m = Machine::new(256);
        let (free, used) = (m.k.kernel.frames.free(), m.root.used.get());
        for frames in 1..50 {
            let task = Task::create(m.k, m.root, frames).unwrap();
            task.uses.add(1);
            spend(&m, task, slots);
            m.kill(task);
            assert_eq!(task.used.get(), 0, "quota {frames}");
            task.release(m.k);
            m.leave();
            assert_eq!(m.root.used.get(), used, "quota {frames}");
            assert_eq!(m.k.kernel.frames.free(), free, "quota {frames}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_kill_that_is_interrupted_goes_on() {
    for after in 0..40 {
        let m = Machine::new(512);
        let (free, used) = (m.k.kernel.frames.free(), m.root.used.get());
        let task = m.task(200);
        spend(&m, task, 100);
        m.map(task, AT << 3, 100, Access::READ | Access::WRITE);
        for page in 0..100 {
            m.poke(task, (AT << 3) + page * 4096, &[1]);
        }
        task.kill(m.k);
        let mut times = 0;
        while !task.reaped.get() || !m.k.kernel.dying_memory.is_empty() {
            host::interrupt_after(after);
            m.leave();
            host::interrupt_after(u32::MAX);
            times += 1;
            assert!(times < 500, "each time something is taken apart");
        }
        assert!(times > 1 || after > 5);
        task.release(m.k);
        m.leave();
        assert_eq!((m.k.kernel.frames.free(), m.root.used.get()), (free, used));
    }
}

#[test]
fn what_a_survivor_uses_is_returned_when_it_lets_go() {
    let payer = Payer::new();
    let m = &payer.m;
    let survivor = m.task(64);
    let (free, used) = (m.k.kernel.frames.free(), m.root.used.get());
    let victim = m.task(100);
    let thread = m.thread(victim);
    let own = m.give(victim, Target::Task(victim), Rights::all());
    let memory = m.make(thread, own, on_task::CREATE_MEMORY, &[20]);
    let there = m.give(victim, Target::Task(survivor), Rights::MAP);
    let words = [AT, 0, 20, 3];
    assert!(
        m.task_call(thread, there, on_task::MAP, &[memory], &words)
            .is_ok()
    );
    m.poke(survivor, AT, b"still here");
    m.kill(victim);
    victim.release(m.k);
    m.leave();
    let mut bytes = [0; 10];
    m.peek(survivor, AT, &mut bytes);
    assert_eq!(&bytes, b"still here");
    assert!(m.root.used.get() > used, "the victim's quota is in use");
    assert_eq!(victim.used.get(), 20 + 1 + 1, "pages, directory, slab");
    invariants::check(m, |of| u64::from(!core::ptr::eq(of, victim)));
    assert_eq!(
        space::unmap(m.k, survivor, AT, 20),
        Ok(space::Progress::Done)
    );
    m.leave();
    m.leave();
    assert_eq!(m.root.used.get(), used);
    // The survivor's own table and the slab of its region stay.
    assert!(free - m.k.kernel.frames.free() <= 2);
    invariants::check(m, |_| 1);
}

#[test]
fn a_task_that_nobody_names_is_killed_with_its_children() {
    let payer = Payer::new();
    let m = &payer.m;
    let (free, used) = (m.k.kernel.frames.free(), payer.task.used.get());
    let child = payer.make(on_task::CREATE_TASK, &[90]);
    // Each names its own child, and the last one itself.
    let mut chain = std::vec![child];
    for depth in (1..8).rev() {
        let parent = chain[chain.len() - 1];
        let next = m.make(payer.thread, parent, on_task::CREATE_TASK, &[depth * 10]);
        for into in [parent, next] {
            let installed = m.task_call(payer.thread, into, on_task::INSTALL, &[next], &[255]);
            assert!(installed.is_ok());
        }
        chain.push(next);
    }
    for handle in chain.into_iter().rev() {
        payer.delete(handle);
    }
    m.leave();
    assert_eq!(payer.task.used.get(), used);
    assert_eq!(m.k.kernel.frames.free(), free);
    invariants::check(m, |of| held(m, payer.task, of));
}

#[test]
fn a_task_kills_itself() {
    let payer = Payer::new();
    let m = &payer.m;
    let label = Label::call(on_task::KILL, libipc_abi::objects::task::INTERFACE.hash);
    assert_eq!(m.call(payer.thread, payer.own, label, &[]), None);
    assert!(payer.task.reaped.get());
    assert_eq!(payer.task.used.get(), 0);
    invariants::check(m, |of| held(m, payer.task, of));
}

#[test]
fn a_killed_task_ends_what_others_wait_for() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let boss = m.thread(m.root);
    let victim = m.give(m.root, Target::Task(pair.server_task), Rights::CONTROL);
    let weak = m.give(m.root, Target::Task(pair.server_task), Rights::INSPECT);
    let denied = Answer::error(ObjectError::Denied);
    assert_eq!(m.task_call(boss, weak, on_task::KILL, &[], &[]), denied);
    assert!(m.task_call(boss, victim, on_task::KILL, &[], &[]).is_ok());
    assert_eq!(
        m.result(pair.client).status,
        delivered(libipc_abi::status::Cause::Died)
    );
    // Its endpoint's object stays while the client names it, and pays for it.
    assert_eq!(pair.server_task.used.get(), 1);
    invariants::check(m, |_| 1);
    let slot = pair.client_task.table.find(m.k, pair.use_).unwrap();
    pair.client_task.table.delete(m.k, slot);
    m.leave();
    assert_eq!(pair.server_task.used.get(), 0);
    assert!(
        m.task_call(boss, victim, on_task::KILL, &[], &[]).is_ok(),
        "again"
    );
}
