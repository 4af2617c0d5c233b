//! A page survives its bytes, and no bytes at all make the decoder panic.

use proptest::prelude::*;
use tessera_page::{
    Device, Grant, Page, PageError, Power, Reservation, Restart, RestartPolicy, Right,
    SystemObject, Task, Use, Virtio, decode, encode,
};

fn sample() -> Page {
    Page {
        name: "sample".into(),
        ram: 6 << 20,
        supervisor_quota: 1 << 20,
        tasks: vec![Task {
            name: "console".into(),
            program: "console".into(),
            args: vec!["-v".into()],
            quota: 512 << 10,
            heap: 64 << 10,
            stack: 16 << 10,
            priority: 200,
            core: Some(1),
            reservation: Some(Reservation {
                budget_us: 300,
                period_us: 1000,
            }),
            restart: Restart {
                policy: RestartPolicy::OnFault,
                backoff_ms: 100,
                max_backoff_ms: 5000,
                max: 10,
            },
            provides: vec!["console".into()],
            proxies: vec![],
            uses: vec![Use {
                name: "out".into(),
                endpoint: "log".into(),
                rights: vec![Right::Call, Right::Grant],
                partition: Some("data".into()),
                optional: true,
            }],
            powers: vec![Power::Start],
            system: vec![SystemObject::Counters],
            devices: vec![Device {
                name: "uart".into(),
                compatible: vec!["arm,pl011".into(), "ns16550a".into()],
                virtio: Some(Virtio::Block),
                index: 1,
                interrupt: true,
            }],
            grants: vec![
                Grant::Power(Power::KillAny),
                Grant::System(SystemObject::Shutdown),
                Grant::Endpoint("log".into()),
            ],
        }],
        programs: vec!["ls".into()],
    }
}

#[test]
fn a_page_round_trips() {
    assert_eq!(decode(&encode(&sample())), Ok(sample()));
}

#[test]
fn lookups_find_tasks_providers_and_badges() {
    let page = sample();
    assert_eq!(
        page.provider("console").map(|t| t.name.as_str()),
        Some("console")
    );
    assert_eq!(page.provider("log"), None);
    assert_eq!(page.badge("console"), Some(1));
    assert_eq!(page.badge("shell"), None);
}

#[test]
fn names_and_members_correspond() {
    for &right in Right::ALL {
        assert_eq!(Right::from_name(right.name()), Some(right));
    }
    assert_eq!(Power::from_name("kill-any"), Some(Power::KillAny));
    assert_eq!(SystemObject::from_name("Shutdown"), None);
    assert_eq!(Grant::Power(Power::Caps).name(), "caps");
}

#[test]
fn each_defect_has_its_error() {
    let bytes = encode(&sample());
    assert_eq!(decode(&bytes[..7]), Err(PageError::NoPage));
    assert_eq!(
        decode(&[&[0], &bytes[1..]].concat()),
        Err(PageError::NoPage)
    );
    assert_eq!(
        decode(&[&bytes[..7], &[9], &bytes[8..]].concat()),
        Err(PageError::Version(9))
    );
    assert_eq!(decode(&bytes[..bytes.len() - 1]), Err(PageError::Malformed));
    assert_eq!(
        decode(&[&bytes[..], &[0]].concat()),
        Err(PageError::Malformed)
    );
}

proptest! {
    #[test]
    fn no_mutation_makes_the_decoder_panic(
        changes in prop::collection::vec((8usize..1000, any::<u8>()), 1..8), cut in 0usize..400
    ) {
        let mut bytes = encode(&sample());
        let length = bytes.len();
        for (at, value) in changes {
            bytes[at % length] = value;
        }
        bytes.truncate(cut);
        if let Ok(page) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&page)), Ok(page));
        }
    }
}
