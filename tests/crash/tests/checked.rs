//! Our checker of file systems beside `e2fsck`: what one finds fault with the other does.

use tessera_crash::{
    damage::{Damage, damage},
    disk::{Image, SimulatedDisk},
    fsck::Judge,
    layout::{Kind, Layout},
    originals::originals,
    random::Random,
};
use tessera_ext4_check::{Problem, Unchecked, check};

/// Damaged images of each file system.
const SEEDS: u64 = 300;

/// What our checker says of an image.
fn problems(image: &Image) -> Result<Vec<String>, Unchecked> {
    let mut problems = Vec::new();
    let mut tell = |problem: Problem| problems.push(problem.to_string());
    let mut disk = SimulatedDisk::new(image.clone());
    let summary = check(&mut disk, &mut tell)?;
    assert_eq!(disk.strays(), 0, "only what is there is read");
    assert_eq!(summary.problems, problems.len() as u64);
    Ok(problems)
}

/// Whether `e2fsck` can do without what was damaged: it has copies of these, and looks at
/// the last one only if it is going to change the size of the file system.
fn has_copies(damage: &Damage) -> bool {
    let mut kinds = damage.kinds.iter();
    kinds.any(|kind| matches!(kind, Kind::Superblock | Kind::Descriptor | Kind::Indirect))
}

#[test]
fn it_finds_what_e2fsck_finds() {
    let name = |what| std::env::temp_dir().join(format!("tessera-{what}-{}", std::process::id()));
    let (mut journaled, mut whole, mut damaged, mut missed) = (0, 0, 0, 0);
    for original in originals(&name("originals")).unwrap() {
        let found = problems(&original.image);
        if found == Err(Unchecked::Journal) {
            journaled += 1;
            continue;
        }
        assert_eq!(found, Ok(Vec::new()), "{}", original.name);
        let layout = Layout::of(&original.image);
        let mut judge = Judge::new(&name("judged"), &original.image).unwrap();
        for seed in 0..SEEDS {
            let mut image = original.image.clone();
            let damage = damage(&mut image, &layout, &mut Random::new(seed));
            let (ours, theirs) = (problems(&image), judge.check(&image));
            let is_clean = ours.as_ref().is_ok_and(Vec::is_empty);
            match theirs {
                Ok(()) if is_clean => whole += 1,
                Err(_) if !is_clean => damaged += 1,
                Err(said) => {
                    println!("missed in {}: {damage}: {said}", original.name);
                    missed += 1;
                }
                Ok(()) => assert!(has_copies(&damage), "{}: {damage}: {ours:?}", original.name),
            }
        }
    }
    assert_eq!(journaled, 1, "what was cut off is to be mounted first");
    println!("{whole} whole, {damaged} damaged, {missed} missed");
    // It knows more ways to be wrong, most of them of fields that nobody reads.
    assert!(whole > SEEDS / 2 && damaged > 3 * SEEDS && missed < damaged / 25);
}
