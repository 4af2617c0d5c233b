//! Plans are carried out as they say, and shared where nothing changes.

extern crate std;
use super::*;
use std::{collections::BTreeMap, vec, vec::Vec};

const BASE: u64 = 0x4000_0000;

fn segment(address: u64, memory: u64, offset: u64, length: u64, access: u64) -> Segment {
    Segment {
        address,
        memory,
        offset,
        length,
        access,
    }
}

/// Code at 0x1000 and data at 0x2010 with relocations to these targets.
fn program(targets: &[u64]) -> (Plan, Vec<u8>) {
    let mut file = vec![0x11; 0x3000];
    for (index, target) in targets.iter().enumerate() {
        let words = [*target, Machine::THIS.relative(), 0x1234];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file[0x100 + 24 * index..][..24].copy_from_slice(&bytes);
    }
    let mut plan = Plan {
        entry: 0x1000,
        count: 2,
        relocations: 0x100,
        relocation_count: targets.len() as u64,
        ..Plan::default()
    };
    plan.segments[0] = segment(0x1000, 0x1000, 0x1000, 0x1000, 5);
    plan.segments[1] = segment(0x2010, 0x3000, 0x2010, 0x20, 3);
    (plan, file)
}

type Pages = BTreeMap<(usize, u64), Vec<u8>>;

fn composed(targets: &[u64]) -> Result<Pages, ElfError> {
    let (plan, file) = program(targets);
    let mut pages = Pages::new();
    compose(
        &plan,
        BASE,
        &mut &file[..],
        Segments(0),
        &mut Page::new(),
        |segment, page, at, bytes| {
            let whole = pages.entry((segment, page)).or_insert(vec![0; PAGE]);
            whole[at..at + bytes.len()].copy_from_slice(bytes);
            Ok::<_, ElfError>(())
        },
    )?;
    Ok(pages)
}

#[test]
fn pages_hold_the_file_and_then_zeros() {
    let pages = composed(&[]).unwrap();
    assert_eq!(pages.keys().collect::<Vec<_>>(), [&(0, 0), &(1, 0)]);
    assert!(pages[&(0, 0)].iter().all(|byte| *byte == 0x11));
    let data = &pages[&(1, 0)];
    let is_file = |at: usize| (0x10..0x30).contains(&at);
    assert!(
        data.iter()
            .enumerate()
            .all(|(at, byte)| *byte == 0x11 * u8::from(is_file(at)))
    );
}

#[test]
fn relocations_add_the_base_wherever_their_page_is() {
    let mut targets: Vec<u64> = (0..40).map(|index| 0x2010 + 8 * index).collect();
    targets.push(0x4008);
    let pages = composed(&targets).unwrap();
    let word = |page: u64, at: usize| {
        u64::from_le_bytes(pages[&(1, page)][at..at + 8].try_into().unwrap())
    };
    assert_eq!(word(0, 0x10), BASE + 0x1234);
    assert_eq!(word(0, 0x10 + 39 * 8), BASE + 0x1234);
    assert_eq!(word(0, 0x10 + 40 * 8), 0);
    assert_eq!(word(2, 8), BASE + 0x1234);
    assert!(!pages.contains_key(&(1, 1)));
}

#[test]
fn a_relocation_need_not_lie_on_a_word() {
    let pages = composed(&[0x2013, 0x3004]).unwrap();
    for (page, at) in [(0, 0x13), (1, 4)] {
        let value = pages[&(1, page)][at..at + 8].try_into().unwrap();
        assert_eq!(u64::from_le_bytes(value), BASE + 0x1234);
    }
}

#[test]
fn relocations_at_wrong_places_are_refused() {
    for targets in [
        &[0x1000_u64][..], // in code
        &[0x2008],         // in front of the data
        &[0x500c],         // over its end
        &[0x2ffc],         // over the end of a page
        &[0x6000],         // behind everything
        &[0x2020, 0x2018], // in the wrong order would be met, but
        &[0x3020, 0x2018], // not across pages
        &[u64::MAX - 3],   // over the end of everything
    ] {
        let met = targets == [0x2020, 0x2018];
        assert_eq!(composed(targets).is_ok(), met, "{targets:x?}");
    }
    let (plan, mut file) = program(&[0x2010]);
    file[0x108] = 1;
    let put = |_, _, _, _: &[u8]| Ok::<_, ElfError>(());
    assert_eq!(
        compose(
            &plan,
            BASE,
            &mut &file[..],
            Segments(0),
            &mut Page::new(),
            put
        ),
        Err(ElfError::Relocation)
    );
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let (plan, file) = program(&[0x2010]);
    let put = |_, _, _, _: &[u8]| Ok::<_, ElfError>(());
    let result = compose(
        &plan,
        BASE,
        &mut &file[..0x2000],
        Segments(0),
        &mut Page::new(),
        put,
    );
    assert_eq!(result, Err(ElfError::Unreadable));
    assert_eq!((pages(&plan.segments[1]), span(&plan)), (4, 0x5010));
}

#[test]
fn only_what_stays_as_it_is_in_the_file_is_shared() {
    let found = |plan: &Plan, file: &[u8]| unchanged(plan, &mut &file[..]).unwrap();
    let (plan, file) = program(&[0x2010]);
    assert_eq!(
        found(&plan, &file),
        Segments(1),
        "code, and not what is written"
    );

    let changed = |change: fn(&mut Segment)| {
        let (mut plan, file) = program(&[]);
        change(&mut plan.segments[0]);
        found(&plan, &file)
    };
    assert_eq!(changed(|_| ()), Segments(1));
    assert_eq!(changed(|code| code.access = 3), Segments(0));
    assert_eq!(changed(|code| code.offset += 8), Segments(0));
    assert_eq!(
        changed(|code| code.length -= 1),
        Segments(0),
        "zeros at its end"
    );
    let (plan, file) = program(&[0x1008, 0x2010]);
    assert_eq!(found(&plan, &file), Segments(0), "a relocation in it");
}

#[test]
fn what_is_shared_is_not_composed() {
    let (plan, file) = program(&[0x2010]);
    let mut put = Vec::new();
    let result = compose(
        &plan,
        BASE,
        &mut &file[..],
        Segments(1),
        &mut Page::new(),
        |index, page, _, _| {
            put.push((index, page));
            Ok::<_, ElfError>(())
        },
    );
    assert_eq!((result, put), (Ok(()), vec![(1, 0)]));
    // Its relocation, if it had one after all, is refused.
    let result = compose(
        &plan,
        BASE,
        &mut &file[..],
        Segments(2),
        &mut Page::new(),
        |_, _, _, _| Ok::<_, ElfError>(()),
    );
    assert_eq!(result, Err(ElfError::Relocation));
}
