//! `bus pair`: two people, a PIN and a minute.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use libipc::interfaces::BusClient;
use libipc::interfaces::bus::{Device, Standing};
use tessera_tools::IoError;

use super::super::builtins::fail;
use super::super::{Flow, Host, Shell, code};
use super::{LOOK, Told, ends, failed, in_words};

/// How long it may take until a device is heard that has just opened pairing: what it said
/// first may be lost.
const HEARD: Duration = Duration::from_secs(20);

/// After so long it is said that the device is waited for.
const SAID: Duration = Duration::from_secs(5);

pub(super) fn open_pairing(client: &BusClient) -> Told {
    let pin = client.open_pairing().map_err(in_words)?;
    let own = client.myself().map_err(in_words)?;
    let name = own.name.as_str();
    Ok(format!(
        "PIN {pin:06}\nFor a minute, another device pairs by `bus pair {name} {pin:06}`.\n"
    ))
}

/// The device of this name or number that has opened pairing.
fn find_open(client: &BusClient, device: &str) -> Result<Option<Device>, IoError> {
    let number = u64::from_str_radix(device, 16).ok();
    let mut open = client.devices().map_err(in_words)?;
    open.retain(|one| one.standing == Standing::Open);
    if let Some(found) = open.iter().find(|one| Some(one.id) == number) {
        return Ok(Some(*found));
    }
    let mut called = open.iter().filter(|one| one.name.as_str() == device);
    match (called.next(), called.next()) {
        (Some(_), Some(_)) => {
            let text = "several devices of this name have opened pairing: use its number";
            Err(failed(format!("{device}: {text}")))
        }
        (found, _) => Ok(found.copied()),
    }
}

pub(super) fn pair<H: Host>(shell: &mut Shell<H>, device: &str, pin: &str) -> (Flow, i32) {
    let is_pin = pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = pin.parse().ok().filter(|_| is_pin) else {
        return fail(
            shell,
            &format!("bus: `{pin}` is no PIN, which has six digits"),
        );
    };
    let mut waited = Duration::ZERO;
    let open = loop {
        let wanted = device.to_string();
        match shell.host.ask_bus(move |bus| find_open(bus, &wanted)) {
            Ok(Some(open)) => break open,
            Ok(None) if waited < HEARD => {}
            Ok(None) => {
                let wanted = device.to_string();
                let why = shell
                    .host
                    .ask_bus(move |bus| Ok(why_not_open(bus, &wanted)));
                return ends(shell, why.and_then(|why| Err(failed(why))));
            }
            Err(error) => return ends(shell, Err(error)),
        }
        // Its owner may just have opened pairing there.
        if waited == SAID {
            shell.complain(&format!("bus: waiting until {device} opens pairing"));
        }
        shell.host.sleep(LOOK);
        waited += LOOK;
        if shell.host.interrupted() {
            return (Flow::Abandon, code::INTERRUPTED);
        }
    };
    let paired = shell.host.ask_bus(move |bus| {
        bus.pair(open.id, number).map_err(in_words)?;
        Ok(format!("paired with {}\n", open.name.as_str()))
    });
    ends(shell, paired)
}

/// Why one cannot pair with a device.
fn why_not_open(client: &BusClient, device: &str) -> String {
    match client.find(device).map(|found| found.standing) {
        Ok(Standing::Trusted) => format!(
            "{device}: paired already; if it has forgotten this device, pairing has to be opened there"
        ),
        Ok(_) => format!("{device}: pairing is not open there"),
        Err(error) => format!("{device}: {}", in_words(error)),
    }
}
