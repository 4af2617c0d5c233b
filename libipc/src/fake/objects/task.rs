//! Tasks and threads of the fake kernel.

use super::{Answer, Called, reduced};
use crate::{
    fake::world::Object,
    handle::{Handle, Rights},
};
use libipc_abi::objects::{
    self as abi, Capability, CapabilityInfo, EndpointClient, MemoryClient, ObjectError,
    RegistersInfo, TaskClient, TaskInfo, ThreadClient, ThreadInfo, ThreadState,
};

impl abi::Task for Called<'_> {
    fn create_task(&mut self, _: u64) -> Answer<TaskClient> {
        Err(ObjectError::WrongState)
    }
    fn create_thread(&mut self, _: u64, _: u64, _: u64, _: u64, _: u64) -> Answer<ThreadClient> {
        Err(ObjectError::WrongState)
    }
    fn start_thread(
        &mut self,
        _: u64,
        _: u64,
        _: u64,
        _: u64,
        _: &EndpointClient,
        _: u64,
    ) -> Answer<u64> {
        Err(ObjectError::WrongState)
    }
    fn create_program(
        &mut self,
        _: u64,
        _: u64,
        _: u64,
        _: &EndpointClient,
        _: u64,
    ) -> Answer<(TaskClient, MemoryClient, u64, u64)> {
        Err(ObjectError::WrongState)
    }
    fn started_thread(&mut self, _: u64) -> Answer<ThreadClient> {
        Err(ObjectError::WrongState)
    }
    fn create_endpoint(&mut self) -> Answer<EndpointClient> {
        self.need(Rights::CREATE)?;
        Ok(EndpointClient(self.world.create_endpoint(self.caller.task)))
    }
    fn create_memory(&mut self, pages: u64) -> Answer<MemoryClient> {
        self.need(Rights::CREATE)?;
        if pages == 0 || pages > 1 << 16 {
            return Err(ObjectError::QuotaExceeded);
        }
        Ok(MemoryClient(
            self.world.create_memory(self.caller.task, pages as usize),
        ))
    }
    fn map(&mut self, _: &MemoryClient, _: u64, _: u64, _: u64, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn unmap(&mut self, _: u64, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn protect(&mut self, _: u64, _: u64, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn install(&mut self, capability: &Capability, rights: u64) -> Answer<u64> {
        self.need(Rights::INSTALL)?;
        let from = self.world.lookup(self.caller.task, capability.0);
        let entry = from.filter(|entry| entry.rights.contains(Rights::GRANT));
        let entry = entry.ok_or(ObjectError::Denied)?;
        let rights = reduced(entry.rights, rights);
        Ok(self.world.install(self.id(), entry.object, rights).0)
    }
    fn derive(&mut self, handle: u64, rights: u64) -> Answer<u64> {
        self.need(Rights::INSTALL)?;
        let entry = self.world.lookup(self.id(), Handle(handle));
        let entry = entry.filter(|entry| !matches!(entry.object, Object::Reply(_)));
        let entry = entry.ok_or(ObjectError::Denied)?;
        let rights = reduced(entry.rights, rights);
        Ok(self.world.install(self.id(), entry.object, rights).0)
    }
    fn delete(&mut self, handle: u64) -> Answer<()> {
        self.need(Rights::INSTALL)?;
        let task = self.id();
        match self.world.delete(task, Handle(handle)) {
            true => Ok(()),
            false => Err(ObjectError::Denied),
        }
    }
    fn set_fault_handler(&mut self, _: &EndpointClient) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn kill(&mut self) -> Answer<()> {
        self.need(Rights::CONTROL)?;
        let task = self.id();
        self.world.kill(task);
        Ok(())
    }
    fn info(&mut self) -> Answer<TaskInfo> {
        self.need(Rights::INSPECT)?;
        let (id, threads) = (self.id(), self.world.threads.values());
        Ok(TaskInfo {
            id,
            capabilities: self.world.count(id) as u64,
            threads: threads.filter(|thread| thread.task == id).count() as u64,
            ..TaskInfo::default()
        })
    }
    fn thread(&mut self, _: u64) -> Answer<ThreadInfo> {
        Err(ObjectError::WrongState)
    }
    fn capability(&mut self, index: u64) -> Answer<CapabilityInfo> {
        self.need(Rights::INSPECT)?;
        let found = self.world.capability(self.id(), index);
        let (index, handle, entry) = found.ok_or(ObjectError::NotFound)?;
        let next = self.world.capability(self.id(), index + 1);
        Ok(CapabilityInfo {
            handle: handle.0,
            object: entry.object.number(),
            badge: match entry.object {
                Object::Endpoint { badge, .. } => badge,
                _ => 0,
            },
            next: next.map_or(0, |(index, ..)| index),
        })
    }
    fn registers(&mut self, _: u64) -> Answer<RegistersInfo> {
        Err(ObjectError::WrongState)
    }
    fn history(&mut self, _: u64) -> Answer<[u64; 16]> {
        Err(ObjectError::WrongState)
    }
    fn peek(&mut self, _: u64, _: u64, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn set_shared(&mut self) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn revoke(&mut self, _: u64) -> Answer<()> {
        // The fake kernel does not remember what came from what.
        Err(ObjectError::WrongState)
    }
}

impl abi::Thread for Called<'_> {
    fn resume(&mut self) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn suspend(&mut self) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn cancel(&mut self) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn set_priority(&mut self, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn exit(&mut self, code: u64) -> Answer<()> {
        // The host can end a thread from inside in no other way.
        panic!("the thread ended itself with the code {code}")
    }
    fn set_passive(&mut self, _: bool) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
    fn yield_now(&mut self) -> Answer<()> {
        std::thread::yield_now();
        Ok(())
    }
    fn info(&mut self) -> Answer<ThreadInfo> {
        Ok(ThreadInfo {
            id: self.caller.thread,
            state: ThreadState::Ready,
            priority: 0,
            time: 0,
            endpoint: 0,
            label: 0,
            server: 0,
            server_task: 0,
            deadline: crate::FOREVER,
            pc: 0,
            core: 0,
            next: 0,
        })
    }
    fn panic(&mut self, _: u64, _: u64) -> Answer<()> {
        panic!("the thread says that it cannot go on")
    }
    fn set_core(&mut self, _: u64) -> Answer<()> {
        Err(ObjectError::WrongState)
    }
}
