//! What a power cut may leave of a log: everything up to the last flush, and of
//! what came after it any sectors, whatever their order.

use crate::{
    disk::{Image, Step},
    random::Random,
};

/// A cut: after how many steps of the log, and what is left.
#[derive(Debug)]
pub struct Cut {
    /// Steps of the log that had been done.
    pub steps: usize,
    /// The disk afterwards.
    pub image: Image,
}

/// All prefixes of the log, and for each `spread` more images in which sectors
/// since the last flush are missing.
pub fn cuts<'l>(
    base: &Image,
    log: &'l [Step],
    spread: usize,
    random: &'l mut Random,
) -> impl Iterator<Item = Cut> + 'l {
    let mut written = base.clone();
    let mut durable = base.clone();
    let mut epoch = 0;
    let mut pending = vec![Cut {
        steps: 0,
        image: base.clone(),
    }];
    let mut next = 0;
    core::iter::from_fn(move || {
        while pending.is_empty() {
            let step = log.get(next)?;
            next += 1;
            match step {
                Step::Flush => {
                    durable = written.clone();
                    epoch = next;
                    // The same image as before, but with more that is promised.
                    pending.push(Cut {
                        steps: next,
                        image: durable.clone(),
                    });
                }
                Step::Write(..) => {
                    apply(&mut written, step, |_| true);
                    for _ in 0..spread {
                        pending.push(Cut {
                            steps: next,
                            image: torn(&durable, &log[epoch..next], random),
                        });
                    }
                    pending.push(Cut {
                        steps: next,
                        image: written.clone(),
                    });
                }
            }
        }
        pending.pop()
    })
}

/// `durable` with some of the sectors that were written since.
fn torn(durable: &Image, epoch: &[Step], random: &mut Random) -> Image {
    let mut image = durable.clone();
    // How many of eight requests, and of eight sectors, survive.
    let (requests, sectors) = (random.below(8), 1 + random.below(8));
    let mut kept: Vec<&Step> = Vec::new();
    for step in epoch {
        // The last request is the one that the cut hit.
        if random.below(8) <= requests {
            kept.push(step);
        }
    }
    // The cache writes in any order: of two writes of a sector, either stays.
    for index in (1..kept.len()).rev() {
        if random.below(4) == 0 {
            kept.swap(index, random.below(index as u64 + 1) as usize);
        }
    }
    for step in kept {
        apply(&mut image, step, |_| random.below(8) < sectors);
    }
    image
}

fn apply(image: &mut Image, step: &Step, mut is_kept: impl FnMut(u64) -> bool) {
    let Step::Write(first, sectors) = step else {
        return;
    };
    for (number, sector) in (*first..).zip(sectors) {
        if is_kept(number) {
            image.write(number, sector);
        }
    }
}
