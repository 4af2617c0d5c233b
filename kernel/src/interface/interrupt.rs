//! Calls on interrupt lines.

use super::Caller;
use crate::{
    arch::{Arch, Port},
    object::interrupt::Interrupt,
};
use libipc_abi::{
    handle::Rights,
    objects::{self, EndpointClient, ObjectError},
};

/// An interrupt line that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) interrupt: &'k Interrupt,
}

impl objects::Interrupt for On<'_, '_> {
    fn bind(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError> {
        self.caller.need(Rights::BIND)?;
        let binding = &self.interrupt.binding;
        self.caller.bind(binding, endpoint.0, signals)?;
        Port::unmask(self.interrupt.line.get());
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::BIND)?;
        if self.interrupt.binding.endpoint(self.caller.k).is_none() {
            return Err(ObjectError::WrongState);
        }
        Port::unmask(self.interrupt.line.get());
        Ok(())
    }

    fn unbind(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::BIND)?;
        self.interrupt.unbind(self.caller.k);
        Ok(())
    }
}
