//! `bus`: other devices, and what they lend.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use libipc::interfaces::bus::{BusName, Device, Listed, Standing, services};
use libipc::interfaces::{BusClient, BusError};
use libipc::note::DISK;
use libipc::{CallError, Text};
use tessera_tools::IoError;
use tessera_tools::format::{date, table};

use super::builtins::{fail, say};
use super::{Flow, Host, Shell, absolute, code};

/// What it is called with.
pub(super) const USAGE: &str = "bus [devices|services [DEVICE]|pair [DEVICE PIN]|trust|consents\
|forget DEVICE [SERVICE]|open [NAME=]DEVICE/SERVICE PROGRAM [ARGUMENT]...\
|mount DEVICE/SERVICE DIRECTORY|publish NAME DIRECTORY|@DISK|DEVICE/SERVICE [private]\
|withdraw NAME|revoke NAME|watch DEVICE|stats DEVICE|audit]";

/// Bytes of a list of services.
const LIST: usize = 8 << 10;

/// How long another device may take: more than the bus itself gives it.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long it may take until a device is heard that has just opened pairing.
const HEARD: Duration = Duration::from_secs(5);

/// How often it is looked at devices.
const LOOK: Duration = Duration::from_millis(200);

/// A service of a device, written as `DEVICE/SERVICE`.
pub fn remote(written: &str) -> Option<(&str, BusName)> {
    let (device, service) = written.split_once('/')?;
    let service = Text::new(service).filter(|service| !service.as_str().is_empty());
    (!device.is_empty()).then_some((device, service?))
}

/// `bus open` starts a program with a service of another device, and `bus mount` shows
/// files of one: as `run` and `mount` do, which are put in their place.
pub(super) fn write_out(words: &mut Vec<String>) {
    let [bus, verb, rest @ ..] = words.as_slice() else {
        return;
    };
    match (bus.as_str(), verb.as_str(), rest) {
        ("bus", "mount", [_, _, ..]) => {
            words.remove(0);
        }
        ("bus", "open", [service, _, ..]) if service.contains('/') => {
            let grant = match (service.contains('='), remote(service)) {
                (false, Some((_, name))) => format!("{}={service}", name.as_str()),
                _ => service.clone(),
            };
            words.splice(..3, ["run".into(), "--grant".into(), grant]);
        }
        _ => {}
    }
}

/// Why something of another device cannot be had, in words.
pub fn in_words(error: CallError<BusError>) -> IoError {
    match error {
        CallError::Server(error) => IoError::Failed(error.to_string()),
        CallError::Transport(error) => IoError::Failed(error.to_string()),
    }
}

pub(super) fn bus<H: Host>(shell: &mut Shell<H>, words: &[String]) -> (Flow, i32) {
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let client = match shell.host.bus() {
        Ok(client) => client,
        Err(error) => return fail(shell, &format!("bus: {error}")),
    };
    let told = match words.as_slice() {
        [] | ["devices"] => devices(&client),
        ["services"] => own(&client),
        ["services", device] => browse(&client, device),
        ["pair"] => open_pairing(&client),
        ["pair", device, pin] => pair(shell, &client, device, pin),
        ["trust"] => trusted(&client),
        ["consents"] => consents(&client),
        ["forget", device] => forget(&client, device),
        ["forget", device, service] => forget_consent(&client, device, service),
        ["publish", name, what, how @ ..] if matches!(how, [] | ["private"]) => {
            let is_private = !how.is_empty();
            match what.starts_with(['/', '.', '@']) {
                true => lend(shell, &client, name, what, is_private),
                false => publish(&client, name, what, is_private),
            }
        }
        ["withdraw", name] => named(name).and_then(|name| done(client.withdraw(name))),
        ["revoke", name] => named(name).and_then(|name| done(client.revoke(name))),
        ["watch", device] => return watch(shell, &client, device),
        ["stats", device] => stats(&client, device),
        ["audit"] => audit(&client),
        _ => {
            shell.complain(&format!("usage: {USAGE}"));
            return (Flow::Next, code::USAGE);
        }
    };
    match told {
        Ok(text) => say(shell, &text),
        Err(error) => fail(shell, &format!("bus: {error}")),
    }
}

type Told = Result<String, String>;

fn done(result: Result<(), CallError<BusError>>) -> Told {
    result.map(|()| String::new()).map_err(told)
}

fn told(error: CallError<BusError>) -> String {
    in_words(error).to_string()
}

fn named(name: &str) -> Result<BusName, String> {
    Text::new(name).ok_or_else(|| format!("{name}: not a possible name"))
}

/// The device of this name or number.
fn find(client: &BusClient, device: &str) -> Result<Device, String> {
    client
        .find(device)
        .map_err(|error| format!("{device}: {}", told(error)))
}

fn devices(client: &BusClient) -> Told {
    let own = client.myself().map_err(told)?;
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
    for device in client.devices().map_err(told)? {
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

fn trusted(client: &BusClient) -> Told {
    let all = client.devices().map_err(told)?;
    let trusted = all
        .iter()
        .filter(|device| device.standing == Standing::Trusted);
    let lines = trusted.map(|device| format!("{}  {}\n", number(device.id), device.name.as_str()));
    Ok(lines.collect())
}

fn own(client: &BusClient) -> Told {
    let mut list = [0; LIST];
    let length = client.published(&mut list).map_err(told)?;
    Ok(listed(&services(
        list.get(..length as usize).unwrap_or_default(),
    )))
}

fn browse(client: &BusClient, device: &str) -> Told {
    let device = find(client, device)?;
    let mut list = [0; LIST];
    let length = client.browse(device.id, &mut list).map_err(told)?;
    Ok(listed(&services(
        list.get(..length as usize).unwrap_or_default(),
    )))
}

fn listed(services: &[Listed]) -> String {
    let rows = services.iter().map(|one| row([&one.name, &one.interface]));
    table(&rows.collect::<Vec<_>>(), &[])
}

fn open_pairing(client: &BusClient) -> Told {
    let pin = client.open_pairing().map_err(told)?;
    let own = client.myself().map_err(told)?;
    let name = own.name.as_str();
    Ok(format!(
        "PIN {pin:06}\nFor a minute, another device pairs by `bus pair {name} {pin:06}`.\n"
    ))
}

fn pair<H: Host>(shell: &mut Shell<H>, client: &BusClient, device: &str, pin: &str) -> Told {
    let is_pin = pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit());
    let number = pin.parse().ok().filter(|_| is_pin);
    let pin = number.ok_or_else(|| format!("`{pin}` is no PIN, which has six digits"))?;
    // Its owner may just have opened pairing there.
    let mut looks = HEARD.as_millis() / LOOK.as_millis();
    let found = loop {
        let found = find(client, device);
        let is_open = |found: &Device| found.standing == Standing::Open;
        if found.as_ref().is_ok_and(is_open) || looks == 0 || shell.host.interrupted() {
            break found?;
        }
        shell.host.sleep(LOOK);
        looks -= 1;
    };
    client.pair(found.id, pin).map_err(told)?;
    Ok(format!("paired with {}\n", found.name.as_str()))
}

fn forget(client: &BusClient, device: &str) -> Told {
    done(client.distrust(find(client, device)?.id))
}

/// What the owner has said yes to.
fn consents(client: &BusClient) -> Told {
    let mut rows = Vec::from([row(["DEVICE", "SERVICE", "INTERFACE"])]);
    for index in 0.. {
        match client.consent(index) {
            Ok(agreed) => rows.push(row([
                agreed.name.as_str(),
                agreed.service.as_str(),
                agreed.interface.as_str(),
            ])),
            Err(CallError::Server(BusError::NoService)) => break,
            Err(error) => return Err(told(error)),
        }
    }
    Ok(table(&rows, &[]))
}

fn forget_consent(client: &BusClient, device: &str, service: &str) -> Told {
    let (device, service) = (find(client, device)?, named(service)?);
    done(client.forget_consent(device.id, service))
}

fn publish(client: &BusClient, name: &str, service: &str, is_private: bool) -> Told {
    let name = named(name)?;
    let missing = || format!("{service}: not a service of a device (write DEVICE/SERVICE)");
    let (device, wanted) = remote(service).ok_or_else(missing)?;
    let found = find(client, device)?;
    let mut list = [0; LIST];
    let length = client.browse(found.id, &mut list).map_err(told)?;
    let all = services(list.get(..length as usize).unwrap_or_default());
    let listed = all.iter().find(|one| one.name == wanted.as_str());
    let listed = listed.ok_or_else(|| format!("{service}: {}", BusError::NoService))?;
    let interface = named(&listed.interface)?;
    let opened = client.open(found.id, wanted, 0, &[]).map_err(told)?;
    done(client.publish(name, interface, 0, is_private, opened))
}

fn lend<H: Host>(
    shell: &mut Shell<H>,
    client: &BusClient,
    name: &str,
    path: &str,
    is_private: bool,
) -> Told {
    let path = match path.starts_with(DISK) {
        true => path.into(),
        false => absolute(&shell.directory, path),
    };
    let opened = shell.host.lend(&path);
    let (interface, opened) = opened.map_err(|error| format!("{path}: {error}"))?;
    let (name, interface) = (named(name)?, named(interface)?);
    done(client.publish(name, interface, 0, is_private, opened))
}

fn stats(client: &BusClient, device: &str) -> Told {
    let stats = client.stats(find(client, device)?.id).map_err(told)?;
    let noticed = match stats.losses {
        0 => String::new(),
        _ => format!(", the last after {} ms of silence", stats.silence),
    };
    Ok(format!(
        "calls there {}, calls here {}, failed {}, bytes held {}, lost {} times{noticed}\n",
        stats.calls_out, stats.calls_in, stats.failed, stats.held, stats.losses
    ))
}

fn audit(client: &BusClient) -> Told {
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
            Err(error) => return Err(told(error)),
        }
    }
    Ok(table(&rows, &[]))
}

/// Says how a device comes and goes, until Ctrl-C.
fn watch<H: Host>(shell: &mut Shell<H>, client: &BusClient, name: &str) -> (Flow, i32) {
    let found = find(client, name).and_then(|device| {
        client.watch(device.id, true).map_err(told)?;
        Ok(device)
    });
    let device = match found {
        Ok(device) => device,
        Err(error) => return fail(shell, &format!("bus: {error}")),
    };
    let mut last = None;
    while !shell.host.interrupted() {
        let now = client.devices().ok().and_then(|all| {
            let found = all.into_iter().find(|one| one.id == device.id)?;
            Some(found.connected)
        });
        if now != last {
            let state = match now {
                Some(true) => "connected",
                Some(false) => "lost",
                None => "forgotten",
            };
            say(shell, &format!("{name}: {state}\n"));
            last = now;
        }
        shell.host.sleep(LOOK);
    }
    // It may have been forgotten meanwhile.
    let _ = client.watch(device.id, false);
    (Flow::Abandon, code::INTERRUPTED)
}

fn number(id: u64) -> String {
    format!("{id:016x}")
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}

/// A client that waits as long as people do.
pub fn patient(client: BusClient) -> BusClient {
    client.with_timeout(PATIENCE)
}
