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
        let k = self.caller.k;
        let endpoint = self.caller.signalled(endpoint.0)?;
        self.interrupt.unbind(k);
        self.interrupt.endpoint.set(Some(endpoint));
        self.interrupt.signals.set(signals);
        Port::unmask(self.interrupt.line.get());
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::BIND)?;
        if self.interrupt.endpoint.is_none() {
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
