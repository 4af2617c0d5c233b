//! What the server asks of a device.

use libipc::{
    interfaces::link::{LinkError, LinkInfo},
    objects::{EndpointClient, MemoryClient},
};

/// A network device. Slots are named by where they begin in its client's memory.
pub trait Device {
    /// Resets it; from now on its client's frames are in this memory, and the client is
    /// told at the endpoint when something was received. Also the memory's bytes.
    fn start(
        &mut self,
        memory: MemoryClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<(LinkInfo, usize), LinkError>;

    /// Its client is gone: it is reset, and lets go what it was given.
    fn stop(&mut self);

    /// Takes a slot to be filled, if there is room for one more.
    fn receive(&mut self, slot: u16) -> bool;

    /// Takes a slot with a frame of this length to be sent, if there is room.
    fn send(&mut self, slot: u16, length: u16) -> bool;

    /// Begins what was taken since the last time.
    fn begin(&mut self) -> Result<(), LinkError>;

    /// A slot that was filled, with the length of its frame; 0 if there is none in it.
    fn received(&mut self) -> Option<(u16, u16)>;

    /// A slot that was sent.
    fn sent(&mut self) -> Option<u16>;

    /// The client waits for slots that are sent: whether it will be told.
    fn await_sent(&mut self) -> Result<(), LinkError>;
}
