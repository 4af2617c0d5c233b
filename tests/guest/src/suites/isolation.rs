//! Console, files, log and shell are tasks of their own, and so is this one.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, number},
    raw,
    run::{Case, World, cases},
};
use alloc::vec::Vec;
use libipc::{
    Start,
    handle::ObjectType,
    interfaces::supervisor::{CapsClient, Holding, InspectClient, Name, TaskLine, TaskState},
    objects::FaultKind,
};

pub(crate) const CASES: &[Case] = cases![
    servers_and_shell_are_tasks_of_their_own,
    reading_anothers_page_faults,
    writing_anothers_page_faults,
    nobody_holds_a_capability_for_another_task,
    only_the_console_holds_its_device,
    memory_is_held_by_one_task_alone,
];

const TASKS: [&str; 4] = ["console", "files", "log", "shell"];

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_else(|| panic!("{text} is too long"))
}

fn inspect(world: &mut World) -> Result<InspectClient, Failure> {
    world.power("inspect")
}

fn task(inspect: &InspectClient, wanted: &str) -> Result<TaskLine, Failure> {
    let mut index = 0;
    loop {
        let line = inspect.task(index)?;
        if line.name.as_str() == wanted {
            return Ok(line);
        }
        index += 1;
    }
}

fn holdings(world: &mut World, of: &str) -> Result<Vec<Holding>, Failure> {
    let caps: CapsClient = world.power("caps")?;
    let (mut found, mut index) = (Vec::new(), 0);
    while let Ok(holding) = caps.capability(name(of), index) {
        found.push(holding);
        index = holding.next;
        if index == 0 {
            break;
        }
    }
    Ok(found)
}

fn servers_and_shell_are_tasks_of_their_own(world: &mut World) -> Verdict {
    let inspect = inspect(world)?;
    let mut ids = alloc::vec![libipc::task().info()?.id];
    for wanted in TASKS {
        let line = task(&inspect, wanted)?;
        check_eq!(line.state, TaskState::Running);
        check!(line.info.threads >= 1);
        check!(!ids.contains(&line.info.id));
        ids.push(line.info.id);
    }
    Ok(())
}

fn touch(start: Start) -> Verdict {
    let (write, address) = (number(&start, 0)?, number(&start, 1)?);
    if write == 1 {
        raw::store(address, 1);
    } else {
        raw::load(address);
    }
    Ok(())
}

/// Touches, in each of the other tasks' address spaces, a page that is certainly
/// there: the one that its first thread executes.
fn touching(world: &mut World, write: bool, kind: FaultKind) -> Verdict {
    let inspect = inspect(world)?;
    let mut touched = 0;
    for wanted in TASKS {
        let pc = inspect.thread(name(wanted), 0)?.info.pc & !7;
        check!(pc > 4096);
        let child = Plan::new(touch)
            .tell(&[u64::from(write), pc])
            .make(&world.image)?;
        // Programs lie at random places: the child may have something of its own
        // there.
        if child.task.peek_into(pc, &mut [0]).is_ok() {
            continue;
        }
        touched += 1;
        child.thread.resume()?;
        let report = child.fault(false)?;
        check_eq!((report.kind, report.address), (kind, pc));
        check_eq!(task(&inspect, wanted)?.state, TaskState::Running);
    }
    check!(touched >= 2);
    Ok(())
}

fn reading_anothers_page_faults(world: &mut World) -> Verdict {
    touching(world, false, FaultKind::Read)
}

fn writing_anothers_page_faults(world: &mut World) -> Verdict {
    touching(world, true, FaultKind::Write)
}

fn nobody_holds_a_capability_for_another_task(world: &mut World) -> Verdict {
    let inspect = inspect(world)?;
    for wanted in TASKS {
        let own = task(&inspect, wanted)?.info.id;
        let held = holdings(world, wanted)?;
        check!(!held.is_empty());
        for holding in held {
            if holding.kind == ObjectType::Task as u8 {
                check_eq!(holding.object, own);
            }
        }
    }
    Ok(())
}

fn only_the_console_holds_its_device(world: &mut World) -> Verdict {
    for wanted in TASKS {
        let held = holdings(world, wanted)?;
        let interrupts = held
            .iter()
            .filter(|held| held.kind == ObjectType::Interrupt as u8);
        check_eq!(interrupts.count(), usize::from(wanted == "console"));
    }
    Ok(())
}

fn memory_is_held_by_one_task_alone(world: &mut World) -> Verdict {
    let mut seen: Vec<(u64, &str)> = Vec::new();
    for wanted in TASKS {
        for holding in holdings(world, wanted)? {
            if holding.kind != ObjectType::Memory as u8 {
                continue;
            }
            let other = seen.iter().find(|(object, _)| *object == holding.object);
            if let Some((_, other)) = other.filter(|(_, other)| *other != wanted) {
                return Err(Failure::new(format_args!(
                    "{wanted} and {other} share memory"
                )));
            }
            seen.push((holding.object, wanted));
        }
    }
    Ok(())
}
