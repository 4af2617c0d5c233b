//! What there is: devices, what they lend, what was allowed and used.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::CallError;
use libipc::interfaces::bus::{Listed, Standing, services};
use libipc::interfaces::{BusClient, BusError};
use tessera_tools::format::{date, table};

use super::{LIST, Told, find, in_words};

pub(super) fn devices(client: &BusClient) -> Told {
    let own = client.myself().map_err(in_words)?;
    let mut rows = Vec::from([row(["DEVICE", "NAME", "STANDING", "STATE"])]);
    rows.push(row([
        &number(own.id),
        own.name.as_str(),
        match own.standing {
            Standing::Doubled => "another has its key",
            _ => "this one",
        },
        "here",
    ]));
    for device in client.devices().map_err(in_words)? {
        let standing = match device.standing {
            Standing::Stranger => "stranger",
            Standing::Open => "open to pair",
            Standing::Trusted | Standing::Doubled => "trusted",
        };
        let state = match (device.present, device.connected) {
            (_, true) => "connected",
            (true, false) => "here",
            (false, false) => "away",
        };
        rows.push(row([
            &number(device.id),
            device.name.as_str(),
            standing,
            state,
        ]));
    }
    Ok(table(&rows, &[]))
}

pub(super) fn trusted(client: &BusClient) -> Told {
    let all = client.devices().map_err(in_words)?;
    let trusted = all
        .iter()
        .filter(|device| device.standing == Standing::Trusted);
    let lines = trusted.map(|device| format!("{}  {}\n", number(device.id), device.name.as_str()));
    Ok(lines.collect())
}

pub(super) fn own_services(client: &BusClient) -> Told {
    let mut list = [0; LIST];
    let length = client.published(&mut list).map_err(in_words)?;
    Ok(listed(&services(
        list.get(..length as usize).unwrap_or_default(),
    )))
}

pub(super) fn browse(client: &BusClient, device: &str) -> Told {
    let device = find(client, device)?;
    let mut list = [0; LIST];
    let length = client.browse(device.id, &mut list).map_err(in_words)?;
    Ok(listed(&services(
        list.get(..length as usize).unwrap_or_default(),
    )))
}

fn listed(services: &[Listed]) -> String {
    let rows = services.iter().map(|one| row([&one.name, &one.interface]));
    table(&rows.collect::<Vec<_>>(), &[])
}

/// What the owner has said yes to.
pub(super) fn consents(client: &BusClient) -> Told {
    let mut rows = Vec::from([row(["DEVICE", "SERVICE", "INTERFACE"])]);
    for index in 0.. {
        match client.consent(index) {
            Ok(agreed) => rows.push(row([
                agreed.name.as_str(),
                agreed.service.as_str(),
                agreed.interface.as_str(),
            ])),
            Err(CallError::Server(BusError::NoService)) => break,
            Err(error) => return Err(in_words(error)),
        }
    }
    Ok(table(&rows, &[]))
}

pub(super) fn stats(client: &BusClient, device: &str) -> Told {
    let stats = client.stats(find(client, device)?.id).map_err(in_words)?;
    let noticed = match stats.losses {
        0 => String::new(),
        _ => format!(", the last after {} ms of silence", stats.silence),
    };
    Ok(format!(
        "calls there {}, calls here {}, failed {}, bytes held {}, lost {} times{noticed}\n",
        stats.calls_out, stats.calls_in, stats.failed, stats.held, stats.losses
    ))
}

pub(super) fn audit(client: &BusClient) -> Told {
    let mut rows = Vec::from([row(["TIME", "DEVICE", "SERVICE", "CALLS"])]);
    for index in 0.. {
        match client.used(index) {
            Ok(used) => rows.push(row([
                &match used.time {
                    0 => "-".to_string(),
                    time => date(time.saturating_mul(1_000_000_000)),
                },
                used.name.as_str(),
                used.service.as_str(),
                &format!("{}", used.calls),
            ])),
            Err(CallError::Server(BusError::NoService)) => break,
            Err(error) => return Err(in_words(error)),
        }
    }
    Ok(table(&rows, &[]))
}

fn number(id: u64) -> String {
    format!("{id:016x}")
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}
