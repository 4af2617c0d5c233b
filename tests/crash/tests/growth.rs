//! Directories that grow while files are written between their blocks, in file systems of
//! others and of our own: what is left is whole.

use std::env::temp_dir;
use tessera_crash::{
    disk::SimulatedDisk,
    fsck::Judge,
    originals::originals,
    workload::{change, mount, no_accounts},
};
use tessera_files::volume::Volume;

/// Names in the directory: more than fit in twelve blocks of 1 KiB.
const NAMES: usize = 900;

#[test]
fn directories_that_grow_stay_whole() {
    let name = |what| temp_dir().join(format!("tessera-growth-{what}-{}", std::process::id()));
    for original in originals(&name("originals")).unwrap() {
        let disk = SimulatedDisk::new(original.image.clone());
        let mut volume = mount(&disk).unwrap();
        let mut accounts = no_accounts();
        let root = volume.root();
        let directory = volume
            .create_directory(root, "grows", change(&mut accounts))
            .unwrap();
        for number in 0..NAMES {
            let name = format!("a-name-that-takes-some-of-a-block-{number}");
            let made = volume.create_file(directory, &name, change(&mut accounts));
            if number % 40 == 0 {
                // Takes the block behind the directory's last one.
                let between = format!("between-{number}");
                let file = volume.create_file(root, &between, change(&mut accounts));
                let file = file.unwrap();
                let mut ones = |_, into: &mut [u8]| {
                    into.fill(1);
                    Ok(())
                };
                let written = volume.write(file, 0, 3000, &mut ones, change(&mut accounts));
                assert_eq!(written, Ok(3000));
                volume.sync(file).unwrap();
            }
            if let Err(error) = made {
                // Without extents twelve blocks are all.
                assert!(
                    original.name == "no extents, by mke2fs" && number > 100,
                    "{error}"
                );
                break;
            }
        }
        volume.rest().unwrap();
        let mut judge = Judge::new(&name("judged"), &original.image).unwrap();
        let verdict = judge.check(&disk.image());
        assert!(verdict.is_ok(), "{}: {verdict:?}", original.name);
    }
}
