//! What a capability leads to, taken out of its slot.

use crate::{
    Entered, ipc,
    object::{
        dma::Dma, endpoint::Endpoint, interrupt::Interrupt, memory::Memory,
        reservation::Reservation, session::Session, task::Task, thread::Thread,
    },
};
use libipc_abi::{
    handle::{ObjectType, Rights},
    status::Cause,
};

/// What a capability leads to.
#[derive(Clone, Copy)]
pub enum Target<'k> {
    /// A task.
    Task(&'k Task),
    /// A thread.
    Thread(&'k Thread),
    /// An endpoint, the badge's session, and the endpoint's epoch then.
    Endpoint(&'k Endpoint, Option<&'k Session>, u64),
    /// Memory.
    Memory(&'k Memory),
    /// An interrupt line.
    Interrupt(&'k Interrupt),
    /// Processor time.
    Reservation(&'k Reservation),
    /// The machine.
    System,
    /// The duty to answer this call of this thread.
    Reply(&'k Thread, u64),
    /// Memory that a device may reach.
    Dma(&'k Dma),
}

impl<'k> Target<'k> {
    /// The type in its handles.
    pub fn object_type(&self) -> ObjectType {
        match self {
            Target::Task(_) => ObjectType::Task,
            Target::Thread(_) => ObjectType::Thread,
            Target::Endpoint(..) => ObjectType::Endpoint,
            Target::Memory(_) => ObjectType::Memory,
            Target::Interrupt(_) => ObjectType::Interrupt,
            Target::Reservation(_) => ObjectType::Reservation,
            Target::Dma(_) => ObjectType::Dma,
            Target::System => ObjectType::System,
            Target::Reply(..) => ObjectType::Reply,
        }
    }

    /// The object's unique number; 0 for the machine.
    pub fn id(&self) -> u64 {
        match self {
            Target::Task(task) => task.id.get(),
            Target::Thread(thread) | Target::Reply(thread, _) => thread.id.get(),
            Target::Endpoint(endpoint, ..) => endpoint.id.get(),
            Target::Memory(memory) => memory.id.get(),
            Target::Interrupt(interrupt) => interrupt.id.get(),
            Target::Reservation(reservation) => reservation.id.get(),
            Target::Dma(dma) => dma.id.get(),
            Target::System => 0,
        }
    }

    /// Counts a new capability with these rights.
    #[inline(always)]
    pub fn acquire(&self, rights: Rights) {
        match self {
            Target::Task(task) => _ = task.uses.add(1),
            Target::Thread(thread) | Target::Reply(thread, _) => _ = thread.uses.add(1),
            Target::Memory(memory) => _ = memory.uses.add(1),
            Target::Interrupt(interrupt) => _ = interrupt.uses.add(1),
            Target::Reservation(reservation) => _ = reservation.uses.add(1),
            Target::Dma(dma) => _ = dma.uses.add(1),
            Target::System => {}
            Target::Endpoint(endpoint, session, _) => {
                endpoint.uses.add(1);
                if rights.contains(Rights::RECEIVE) {
                    endpoint.receive_uses.add(1);
                }
                if let Some(session) = session {
                    session.copies.add(1);
                }
            }
        }
    }

    /// A capability with these rights is gone.
    pub fn release(&self, k: Entered<'k>, rights: Rights) {
        match self {
            Target::Task(task) => task.release(k),
            Target::Thread(thread) => thread.release(k),
            Target::Memory(memory) => memory.release(k),
            Target::Interrupt(interrupt) => interrupt.release(k),
            Target::Reservation(reservation) => reservation.release(k),
            Target::Dma(dma) => dma.release(k),
            Target::System => {}
            Target::Reply(thread, number) => {
                ipc::end::unanswered(k, thread, *number, Cause::Dropped);
                thread.release(k);
            }
            Target::Endpoint(endpoint, session, _) => {
                if let Some(session) = session {
                    ipc::session::drop_copy(k, session);
                }
                // The last capability to receive: nobody will ever answer.
                if rights.contains(Rights::RECEIVE) && endpoint.receive_uses.take(1) == 0 {
                    ipc::end::close(k, endpoint);
                }
                endpoint.release(k);
            }
        }
    }
}
