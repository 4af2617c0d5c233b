//! Logs of disks and of consoles, as a guest's session leaves them.

use tessera_crash::{
    disk::Step,
    history::Found,
    recorded::{Account, account, parse, told},
};
use tessera_test_cases::script::{Operation, Progress, Script};

const SEED: u64 = 3;
const MARKS: u64 = 100;

/// A log with these entries: sector, flags, contents.
fn log(entries: &[(u64, u64, &[u8])]) -> Vec<u8> {
    let sector = |numbers: &[u64]| {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(512, 0);
        bytes
    };
    let mut bytes = sector(&[0x006a_7366_7773_6872, 1, entries.len() as u64, 512]);
    for (first, flags, contents) in entries {
        bytes.extend(sector(&[*first, contents.len() as u64 / 512, *flags, 0]));
        bytes.extend(*contents);
    }
    bytes
}

#[test]
fn writes_and_flushes_are_read_in_order() {
    let log = log(&[(7, 0, &[1; 1024]), (0, 1, &[]), (9, 0, &[2; 512])]);
    let steps = parse(&log).unwrap();
    let shape: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Write(sector, sectors) => Some((*sector, sectors.len(), sectors[0][511])),
            Step::Flush => None,
        })
        .collect();
    assert_eq!(shape, [Some((7, 2, 1)), None, Some((9, 1, 2))]);
    // The machine ended in the middle of the last write.
    assert_eq!(parse(&log[..log.len() - 1]).unwrap().len(), 2);
    assert_eq!(parse(&[&log[..], &[0; 512]].concat()).unwrap().len(), 3);
}

#[test]
fn what_is_no_log_is_refused() {
    assert!(parse(&[]).is_err());
    assert!(parse(&[1; 4096]).is_err());
    let mut coarse = log(&[]);
    coarse[25] = 16;
    assert!(parse(&coarse).is_err());
    assert!(parse(&log(&[(7, 4, &[])])).is_err());
}

/// The number of the first operation that makes something durable.
fn first_sync() -> u64 {
    let is_sync = |operation| matches!(operation, Operation::Sync(_) | Operation::SyncAll);
    Script::new(SEED).position(is_sync).unwrap() as u64
}

#[test]
fn marks_say_what_was_promised_when() {
    let last = first_sync();
    let mut entries = Vec::new();
    for operation in 0..=last {
        for is_done in [false, true] {
            entries.push((MARKS, Progress { operation, is_done }.mark().to_vec()));
            entries.push((5, vec![operation as u8; 512]));
        }
    }
    let entries: Vec<_> = entries
        .iter()
        .map(|(at, bytes)| (*at, 0, &bytes[..]))
        .collect();
    let steps = parse(&log(&entries)).unwrap();
    let (history, steps) = account(steps, MARKS, SEED).unwrap();
    assert_eq!(steps.len() as u64, 2 * (last + 1));
    // One write before the sync was done, and one after.
    let end = steps.len() - 1;
    assert_eq!(history.promises(end - 1), 0);
    assert_eq!(history.promises(end), 1);
    // Without its first mark it is another session.
    let steps = parse(&log(&entries[1..])).unwrap();
    assert!(account(steps, MARKS, SEED).is_err());
}

#[test]
fn a_console_says_what_was_promised() {
    let last = first_sync();
    let mut before = Account::new(SEED);
    (0..last).for_each(|_| _ = before.begin(0).unwrap());
    let whole = |account: &Account| {
        let node = |path: &String| match account.history.tree()[path] {
            tessera_crash::history::Node::Directory => Found::Directory,
            tessera_crash::history::Node::File(file) => {
                Found::File(account.history.bytes(file).to_vec())
            }
        };
        let paths = account.history.tree().keys();
        paths.map(|path| (path.clone(), node(path))).collect()
    };
    let found = whole(&before);
    let empty = whole(&Account::new(SEED));
    let mut console = String::from("boot\n");
    (0..last).for_each(|number| console += &format!("[session] {number} ok\r\n"));
    let failed = told(&format!("{console}[session] {last} error: gone\n"), SEED).unwrap();
    for found in [&found, &empty] {
        assert!(failed.judge(usize::MAX, found).is_ok());
    }
    let synced = told(&format!("{console}[session] {last} ok\n"), SEED).unwrap();
    assert!(synced.judge(usize::MAX, &found).is_ok());
    assert!(synced.judge(usize::MAX, &empty).is_err());
    assert!(told("[session] 1 ok\n", SEED).is_err());
}
