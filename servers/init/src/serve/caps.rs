//! `Caps`: what authority each task holds, in words.

use super::{Session, inspect::not_found};
use crate::{badge::Badge, supervisor::Supervisor};
use alloc::{
    format,
    string::{String, ToString},
};
use libipc::{
    Text,
    handle::{Handle, ObjectType},
    interfaces::{
        clients::SERVER_BADGES,
        supervisor::{CapabilityName, Caps, Holding, Name, SupervisorError},
    },
    objects::CapabilityInfo,
};
use tessera_page::SUPERVISOR;

impl Caps for Session<'_> {
    fn capability(&mut self, task: Name, index: u64) -> Result<Holding, SupervisorError> {
        let supervisor = &*self.supervisor;
        let number = supervisor.named(task.as_str())?;
        let info =
            supervisor.with_task(number, |task| task.capability(index).map_err(not_found))?;
        let handle = Handle(info.handle);
        let kind = handle.object_type().ok_or(SupervisorError::Internal)?;
        let slot = supervisor.slots.get(number);
        let running = slot.and_then(|slot| slot.running.as_ref());
        let mut given = running.into_iter().flat_map(|running| &running.given);
        let name = given.find(|(_, given)| *given == info.handle);
        let what = supervisor.in_words(kind, &info);
        let own =
            kind == ObjectType::Endpoint && supervisor.endpoint_name(info.object) == SUPERVISOR;
        Ok(Holding {
            name: name
                .and_then(|(name, _)| CapabilityName::new(name))
                .unwrap_or_default(),
            kind: kind as u8,
            rights: handle.rights().bits(),
            object: info.object,
            // What the supervisor's own badges mean is said in words.
            badge: if own { 0 } else { info.badge },
            what: Text::new(&what[..what.floor_char_boundary(64)]).unwrap_or_default(),
            next: info.next,
        })
    }
}

impl Supervisor {
    /// Which object a capability leads to.
    fn in_words(&self, kind: ObjectType, info: &CapabilityInfo) -> String {
        match kind {
            ObjectType::Task => match self.slots.by_id(info.object) {
                Some((_, slot)) => format!("task `{}`", slot.name),
                None => format!("task {}", info.object),
            },
            ObjectType::Endpoint => self.endpoint_in_words(info),
            ObjectType::Thread => format!("thread {}", info.object),
            ObjectType::Memory => format!("memory {}", info.object),
            ObjectType::Interrupt => format!("interrupt {}", info.object),
            ObjectType::Reservation => format!("reservation {}", info.object),
            ObjectType::Dma => format!("DMA {}", info.object),
            ObjectType::System => "the machine".to_string(),
            ObjectType::Reply => "a caller who waits".to_string(),
        }
    }

    fn endpoint_in_words(&self, info: &CapabilityInfo) -> String {
        let name = self.endpoint_name(info.object);
        if name == SUPERVISOR {
            return match Badge::from_word(info.badge) {
                Some(Badge::Power(power, _)) => format!("supervisor: {}", power.name()),
                Some(Badge::Program(number)) => match self.slots.get(number) {
                    Some(slot) => format!("supervisor: program `{}`", slot.name),
                    None => "supervisor: a program that is over".to_string(),
                },
                _ => "supervisor".to_string(),
            };
        }
        match (name, info.badge) {
            ("", 0) => format!("endpoint {}", info.object),
            ("", badge) => format!("endpoint {}, session {badge}", info.object),
            (name, 0) => format!("endpoint `{name}`"),
            (name, badge) if badge < SERVER_BADGES => {
                let client = self.slots.get(badge);
                format!(
                    "endpoint `{name}` as `{}`",
                    client.map_or("", |slot| &slot.name)
                )
            }
            (name, badge) => format!("endpoint `{name}`, session {badge:#x}"),
        }
    }
}
