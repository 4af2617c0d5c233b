//! A short campaign of damaged images, and one for each mistake that must be found.
//! One test, for memory is counted.

use tessera_crash::{client::Mistake, damaged::Campaign};

fn campaign(mistake: Option<Mistake>) -> Campaign {
    let scratch = format!("tessera-damaged-{}", std::process::id());
    Campaign::new(&std::env::temp_dir().join(scratch), mistake).unwrap()
}

#[test]
fn damaged_images_do_no_harm() {
    let mut good = campaign(None);
    (0..1500).for_each(|seed| good.image(seed));
    println!("{}", good.counts);
    assert!(
        good.counts.violations.is_empty(),
        "{:#?}",
        good.counts.violations
    );
    let counts = &good.counts;
    let whole = counts.images - counts.refused - counts.limited;
    assert!(counts.refused > 100 && counts.limited > 100 && whole > 100);

    for (mistake, said) in Mistake::ALL {
        let mut bad = campaign(Some(mistake));
        let is_found = |bad: &Campaign| {
            let mut violations = bad.counts.violations.keys();
            violations.any(|violation| violation.starts_with(said))
        };
        let found = (0..3000).find(|seed| {
            bad.image(*seed);
            is_found(&bad)
        });
        println!("{mistake:?}: {found:?}");
        assert!(found.is_some(), "{mistake:?} is not found");
    }
}
