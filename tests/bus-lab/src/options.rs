//! How large a simulation is, how long, and how bad its network.

use clap::Parser;

/// Simulates devices on the soft bus.
#[derive(Clone, Debug, Parser)]
#[command(name = "bus-lab")]
pub struct Options {
    /// Devices
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub nodes: u32,
    /// Datagrams and segments that are lost
    #[arg(long, value_name = "P%", default_value = "5%", value_parser = per_cent)]
    pub loss: u32,
    /// Seed of the first simulation; each further one has the next
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Simulations
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub seeds: u64,
    /// Simulated minutes of each
    #[arg(long, value_name = "M", default_value_t = 10)]
    pub minutes: u64,
    /// Calls that each device makes
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub calls: u32,
    /// Partitions of the network
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub partitions: u32,
    /// Crashes and restarts of devices, in all [default: for every tenth device, at least 10]
    #[arg(long, value_name = "N")]
    crashes: Option<u32>,
    /// Nobody tries what must not work
    #[arg(long)]
    pub peaceful: bool,
    /// The cryptography of devices, not the cheap one
    #[arg(long)]
    pub real_crypto: bool,
    /// Print each event
    #[arg(long)]
    pub trace: bool,
}

impl Options {
    /// Crashes and restarts of devices, in all.
    pub fn crashes(&self) -> u32 {
        self.crashes.unwrap_or((self.nodes / 10).max(10))
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::parse_from(["bus-lab"])
    }
}

/// `5%` or `0.5%`, in millionths.
fn per_cent(text: &str) -> Result<u32, String> {
    let number: f64 = text
        .trim_end_matches('%')
        .parse()
        .map_err(|_| "not a number".to_string())?;
    if (0.0..=50.0).contains(&number) {
        Ok((number * 10_000.0) as u32)
    } else {
        Err("from 0% to 50%".into())
    }
}
