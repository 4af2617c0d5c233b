//! One file for each parser. A target takes an input, and panics if something does not
//! hold that must; what it returns tells inputs apart that led to something else.

pub mod datagrams;
pub mod disk;
pub mod messages;
pub mod nodes;
pub mod noise;
pub mod pairing;
pub mod peers;
pub mod streams;
pub mod tables;

use tessera_bus_lab::random::Rng;

/// A parser under attack.
pub trait Target {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Executes it once with an input of the generator's choice. Bytes of the input are
    /// appended to `input`, so that what went wrong can be told.
    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(datagrams::Datagrams::new()),
        Box::new(streams::Streams),
        Box::new(messages::Messages),
        Box::new(peers::Peers),
        Box::new(nodes::Nodes::new()),
        Box::new(pairing::Pairing),
        Box::new(disk::Disk),
        Box::new(tables::Tables::new()),
        Box::new(noise::Noise::new()),
    ]
}
