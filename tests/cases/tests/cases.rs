//! The table is sound, and what the guest writes the host reads.

use std::collections::BTreeSet;

use libipc_abi::{ending::SYSTEM_CALLS, handle::ObjectType, objects};
use tessera_test_cases::{Line, MAX_CASES, SUITES, Selection, Suite};

#[test]
fn names_are_unique_and_fit_a_path() {
    let plain = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let mut suites = BTreeSet::new();
    for suite in SUITES {
        assert!(
            plain(suite.name) && suites.insert(suite.name),
            "suite {}",
            suite.name
        );
        assert!(
            (1..=MAX_CASES).contains(&suite.cases.len()),
            "suite {}",
            suite.name
        );
        let mut cases = BTreeSet::new();
        for case in suite.cases {
            assert!(
                plain(case) && cases.insert(case),
                "case {}/{case}",
                suite.name
            );
        }
    }
}

#[test]
fn every_operation_and_system_call_has_a_row_in_the_matrix() {
    let suite = Suite::find("conformance").expect("it is in the table");
    let interfaces = [
        objects::task::INTERFACE,
        objects::thread::INTERFACE,
        objects::endpoint::INTERFACE,
        objects::memory::INTERFACE,
        objects::interrupt::INTERFACE,
        objects::reservation::INTERFACE,
        objects::reply::INTERFACE,
        objects::system::INTERFACE,
        objects::dma::INTERFACE,
    ];
    assert_eq!(interfaces.len(), ObjectType::ALL.len());
    let rows = interfaces.iter().flat_map(|interface| {
        let object = interface.name.to_lowercase();
        let operations = interface.operations.iter();
        operations.map(move |operation| format!("{object}_{}", operation.name))
    });
    let calls = SYSTEM_CALLS.iter().map(|call| call.name.to_string());
    for row in rows.chain(calls) {
        assert!(suite.index(&row).is_some(), "there is no case {row}");
    }
}

#[test]
fn selections_are_short_and_come_back() {
    let mut some = Selection::first(5);
    some.insert(7);
    some.insert(255);
    some.remove(2);
    assert_eq!(some.to_string(), "0-1,3-4,7,255");
    assert_eq!(Selection::parse("0-1,3-4,7,255"), Some(some));
    assert_eq!(some.iter().collect::<Vec<_>>(), [0, 1, 3, 4, 7, 255]);
    assert_eq!(Selection::parse(""), Some(Selection::none()));
    assert!(Selection::none().is_empty());
    for bad in ["256", "3-1", "a", "1-", "@cases"] {
        assert_eq!(Selection::parse(bad), None, "{bad}");
    }
}

#[test]
fn reports_come_back() {
    let lines = [
        Line::Start {
            suite: "ipc",
            case: "call",
        },
        Line::Passed {
            suite: "ipc",
            case: "call",
        },
        Line::Failed {
            suite: "ipc",
            case: "call",
            reason: "1 is not 2: no",
        },
        Line::Done {
            suite: "ipc",
            passed: 3,
            failed: 1,
        },
    ];
    for line in lines {
        let text = format!("noise {line}\r");
        assert_eq!(Line::parse(&text), Some(line));
    }
    for noise in [
        "",
        "$ ls",
        "[case] x",
        "[case] a/b perhaps",
        "[suite] ipc done x 1",
    ] {
        assert_eq!(Line::parse(noise), None, "{noise}");
    }
}
