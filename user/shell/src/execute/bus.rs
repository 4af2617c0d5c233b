//! `bus`: other devices, and what they lend.

mod lists;
mod pair;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use libipc::interfaces::bus::{BusName, Device, services};
use libipc::interfaces::{BusClient, BusError};
use libipc::note::DISK;
use libipc::{CallError, Text};
use tessera_tools::IoError;

use super::builtins::{fail, say};
use super::{Flow, Host, Shell, absolute, code};

/// What it is called with.
pub(super) const USAGE: &str = "bus [COMMAND [ARGUMENT]...]";

/// Its commands.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    (
        "devices",
        "the devices that are here or trusted, as without a command",
    ),
    ("services [DEVICE]", "what a device lends, or this one"),
    (
        "pair",
        "show a PIN with which another device pairs for a minute",
    ),
    (
        "pair DEVICE PIN",
        "pair with the device that shows this PIN",
    ),
    ("trust", "the devices that are trusted"),
    ("forget DEVICE", "trust it no longer"),
    (
        "open [NAME=]DEVICE/SERVICE PROGRAM",
        "run a program with what a device lends",
    ),
    (
        "mount DEVICE/SERVICE DIRECTORY",
        "show its files in the place of a directory",
    ),
    (
        "publish NAME PATH [private]",
        "lend a directory, or a disk as @DISK",
    ),
    (
        "publish NAME DEVICE/SERVICE",
        "lend what another device lends",
    ),
    (
        "withdraw NAME",
        "lend it to nobody else; who has it keeps it",
    ),
    (
        "revoke NAME",
        "take it back from everybody, with all that came of it",
    ),
    ("consents", "what you allowed others to use that is private"),
    ("forget DEVICE SERVICE", "be asked about that again"),
    ("watch DEVICE", "say how it comes and goes, until Ctrl-C"),
    ("stats DEVICE", "what was counted of it"),
    ("audit", "who used what, the latest first"),
];

/// Bytes of a list of services.
const LIST: usize = 8 << 10;

/// How long another device may take: more than the bus itself gives it.
const PATIENCE: Duration = Duration::from_secs(90);

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
    let own = |word: &str| word.to_string();
    let host = &mut shell.host;
    let told = match words.as_slice() {
        [] | ["devices"] => host.ask_bus(lists::devices),
        ["services"] => host.ask_bus(lists::own_services),
        ["services", device] => {
            let device = own(device);
            host.ask_bus(move |bus| lists::browse(bus, &device))
        }
        ["pair"] => host.ask_bus(pair::open_pairing),
        ["pair", device, pin] => return pair::pair(shell, device, pin),
        ["trust"] => host.ask_bus(lists::trusted),
        ["consents"] => host.ask_bus(lists::consents),
        ["forget", device] => {
            let device = own(device);
            host.ask_bus(move |bus| done(bus.distrust(find(bus, &device)?.id)))
        }
        ["forget", device, service] => {
            let (device, service) = (own(device), own(service));
            host.ask_bus(move |bus| forget_consent(bus, &device, &service))
        }
        ["publish", name, what, how @ ..] if matches!(how, [] | ["private"]) => {
            let is_private = !how.is_empty();
            match what.split_once('/') {
                Some((device, _)) if !device.is_empty() && !what.starts_with(['.', '@']) => {
                    let (name, what) = (own(name), own(what));
                    host.ask_bus(move |bus| publish(bus, &name, &what, is_private))
                }
                _ => lend(shell, name, what, is_private),
            }
        }
        ["withdraw", name] => {
            let name = own(name);
            host.ask_bus(move |bus| done(bus.withdraw(named(&name)?)))
        }
        ["revoke", name] => {
            let name = own(name);
            host.ask_bus(move |bus| done(bus.revoke(named(&name)?)))
        }
        ["watch", device] => return watch(shell, device),
        ["stats", device] => {
            let device = own(device);
            host.ask_bus(move |bus| lists::stats(bus, &device))
        }
        ["audit"] => host.ask_bus(lists::audit),
        _ => {
            shell.complain(&format!("usage: {USAGE}\n`bus --help` tells the commands"));
            return (Flow::Next, code::USAGE);
        }
    };
    ends(shell, told)
}

type Told = Result<String, IoError>;

fn ends<H: Host>(shell: &mut Shell<H>, told: Told) -> (Flow, i32) {
    match told {
        Ok(text) => say(shell, &text),
        Err(error) => fail(shell, &format!("bus: {error}")),
    }
}

fn done(result: Result<(), CallError<BusError>>) -> Told {
    result.map(|()| String::new()).map_err(in_words)
}

fn failed(text: String) -> IoError {
    IoError::Failed(text)
}

fn named(name: &str) -> Result<BusName, IoError> {
    Text::new(name).ok_or_else(|| failed(format!("{name}: not a possible name")))
}

/// The device of this name or number.
fn find(client: &BusClient, device: &str) -> Result<Device, IoError> {
    let found = client.find(device);
    found.map_err(|error| failed(format!("{device}: {}", in_words(error))))
}

fn forget_consent(client: &BusClient, device: &str, service: &str) -> Told {
    let (device, service) = (find(client, device)?, named(service)?);
    done(client.forget_consent(device.id, service))
}

fn publish(client: &BusClient, name: &str, service: &str, is_private: bool) -> Told {
    let name = named(name)?;
    let missing = || {
        failed(format!(
            "{service}: not a service of a device (write DEVICE/SERVICE)"
        ))
    };
    let (device, wanted) = remote(service).ok_or_else(missing)?;
    let found = find(client, device)?;
    let mut list = [0; LIST];
    let length = client.browse(found.id, &mut list).map_err(in_words)?;
    let all = services(list.get(..length as usize).unwrap_or_default());
    let listed = all.iter().find(|one| one.name == wanted.as_str());
    let missing = || failed(format!("{service}: {}", BusError::NoService));
    let listed = listed.ok_or_else(missing)?;
    let interface = named(&listed.interface)?;
    let opened = client.open(found.id, wanted, 0, &[]).map_err(in_words)?;
    done(client.publish(name, interface, 0, is_private, opened))
}

fn lend<H: Host>(shell: &mut Shell<H>, name: &str, path: &str, is_private: bool) -> Told {
    let path = match path.starts_with(DISK) {
        true => path.into(),
        false => absolute(&shell.directory, path),
    };
    let opened = shell.host.lend(&path);
    let (interface, opened) = opened.map_err(|error| failed(format!("{path}: {error}")))?;
    let (name, interface) = (named(name)?, named(interface)?);
    let publish = move |bus: &BusClient| done(bus.publish(name, interface, 0, is_private, opened));
    shell.host.ask_bus(publish)
}

/// Says how a device comes and goes, until Ctrl-C.
fn watch<H: Host>(shell: &mut Shell<H>, name: &str) -> (Flow, i32) {
    let wanted = name.to_string();
    let found = shell.host.ask_bus(move |bus| {
        let device = find(bus, &wanted)?;
        bus.watch(device.id, true).map_err(in_words)?;
        Ok(device)
    });
    let device = match found {
        Ok(device) => device,
        Err(error) => return ends(shell, Err(error)),
    };
    let mut last = None;
    while !shell.host.interrupted() {
        let look = move |bus: &BusClient| {
            let all = bus.devices().map_err(in_words)?;
            Ok(all.into_iter().find(|one| one.id == device.id))
        };
        let now = match shell.host.ask_bus(look) {
            Ok(None) => "forgotten",
            Ok(Some(device)) if device.connected => "connected",
            Ok(Some(_)) if last.is_none() => "not connected",
            Ok(Some(_)) => "lost",
            // The bus may be starting again.
            Err(_) => last.unwrap_or("not known"),
        };
        if last != Some(now) {
            say(shell, &format!("{name}: {now}\n"));
            last = Some(now);
        }
        shell.host.sleep(LOOK);
    }
    // It may have been forgotten meanwhile.
    let _ = shell
        .host
        .ask_bus(move |bus| done(bus.watch(device.id, false)));
    (Flow::Abandon, code::INTERRUPTED)
}

/// A client that waits as long as people do.
pub fn patient(client: BusClient) -> BusClient {
    client.with_timeout(PATIENCE)
}
