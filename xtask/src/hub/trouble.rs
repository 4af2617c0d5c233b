//! What is lost, doubled, late, out of order, changed or cut off.

use super::packet::alter;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How late a frame is that others are to overtake.
const LATE: Duration = Duration::from_millis(20);

/// What a segment does to frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trouble {
    /// How many are lost.
    pub loss: Percent,
    /// How many come twice.
    pub duplicate: Percent,
    /// How many come after those that were sent later.
    pub reorder: Percent,
    /// How many have a bit of what they carry changed.
    pub alter: Percent,
    /// How long each is on its way, in milliseconds.
    pub delay: Range,
    /// Machines that reach each other; none are all. Who is in no group is alone.
    pub groups: Vec<Vec<usize>>,
    /// What happens to which frame of a machine is always the same with the same seed.
    pub seed: u64,
}

impl Trouble {
    /// When copies of a frame arrive: none if it is lost.
    pub(super) fn fates(&self, dice: &mut Dice, from: usize, to: usize) -> Vec<Duration> {
        let mut fates = Vec::new();
        // All dice are thrown for each frame, so that one kind of trouble changes
        // nothing about another.
        let [lost, doubled, late] = [self.loss, self.duplicate, self.reorder].map(|p| dice.hits(p));
        let delays = [dice.delay(self.delay), dice.delay(self.delay)];
        if lost || !self.is_together(from, to) {
            return fates;
        }
        let late = if late { LATE } else { Duration::ZERO };
        fates.push(delays[0] + late);
        if doubled {
            fates.push(delays[1]);
        }
        fates
    }

    /// Changes a frame that is to be.
    pub(super) fn alters(&self, dice: &mut Dice, frame: &mut [u8]) {
        let chance = dice.next();
        if dice.hits(self.alter) {
            alter(frame, chance);
        }
    }

    /// Whether it speaks of none but so many machines.
    pub fn is_of(&self, machines: usize) -> bool {
        self.groups.iter().flatten().all(|index| *index < machines)
    }

    fn is_together(&self, one: usize, other: usize) -> bool {
        let together = |group: &Vec<usize>| group.contains(&one) && group.contains(&other);
        self.groups.is_empty() || self.groups.iter().any(together)
    }

    /// Changes one kind of trouble, as somebody says at the console: `loss 5%`,
    /// `duplicate 1%`, `reorder 2%`, `alter 1%`, `delay 1..20`, `partition 1,2 3`, `heal`. Machines
    /// are counted from 1. What is wrong is said.
    pub fn change(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["loss", percent] => self.loss = percent.parse()?,
            ["duplicate", percent] => self.duplicate = percent.parse()?,
            ["reorder", percent] => self.reorder = percent.parse()?,
            ["alter", percent] => self.alter = percent.parse()?,
            ["delay", range] => self.delay = range.parse()?,
            ["partition", groups @ ..] if !groups.is_empty() => {
                let groups: Result<_, String> = groups.iter().map(|text| group(text)).collect();
                self.groups = groups?;
            }
            ["heal"] => {
                let seed = self.seed;
                *self = Trouble {
                    seed,
                    ..Trouble::default()
                };
            }
            _ => {
                return Err(
                    "there is loss P%, duplicate P%, reorder P%, alter P%, delay MS..MS, partition 1,2 3 and heal"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

fn group(text: &str) -> Result<Vec<usize>, String> {
    let number = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
    let group: Option<Vec<usize>> = text.split(',').map(number).collect();
    group.ok_or_else(|| format!("`{text}` are no machines such as 1,2"))
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trouble {
            loss,
            duplicate,
            reorder,
            alter,
            delay,
            groups,
            seed,
        } = self;
        write!(
            f,
            "loss {loss}, duplicate {duplicate}, reorder {reorder}, alter {alter}, delay {delay} ms, \
             seed {seed}"
        )?;
        for group in groups {
            let numbers: Vec<String> = group.iter().map(|m| (m + 1).to_string()).collect();
            write!(f, ", together {}", numbers.join(","))?;
        }
        Ok(())
    }
}

/// A share of frames, in thousandths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percent(u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
        let number = number.ok().filter(|number| (0.0..=100.0).contains(number));
        let number = number.ok_or_else(|| format!("`{text}` is no percentage such as 5%"))?;
        Ok(Percent((number * 1000.0).round() as u32))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1000.0)
    }
}

/// From so many milliseconds to so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    least: u64,
    most: u64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let wrong = || format!("`{text}` are no milliseconds such as 5 or 1..20");
        let number = |text: &str| text.parse::<u64>().ok().filter(|&ms| ms <= 60_000);
        let (least, most) = (
            number(least).ok_or_else(wrong)?,
            number(most).ok_or_else(wrong)?,
        );
        match least <= most {
            true => Ok(Range { least, most }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.least, self.most)
    }
}

/// Chance that is always the same with the same seed (xorshift64*).
pub(super) struct Dice(u64);

impl Dice {
    /// That of the frames of one machine.
    pub(super) fn new(seed: u64, machine: usize) -> Dice {
        let mixed = (seed ^ (machine as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Dice(mixed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn hits(&mut self, share: Percent) -> bool {
        self.next() % 100_000 < share.0.into()
    }

    fn delay(&mut self, range: Range) -> Duration {
        let span = (range.most - range.least) * 1000 + 1;
        Duration::from_micros(range.least * 1000 + self.next() % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(trouble: &Trouble) -> Vec<Vec<Duration>> {
        let mut dice = Dice::new(trouble.seed, 0);
        (0..10_000)
            .map(|_| trouble.fates(&mut dice, 0, 1))
            .collect()
    }

    #[test]
    fn as_many_as_is_said_and_always_the_same() {
        let mut trouble = Trouble {
            seed: 7,
            ..Trouble::default()
        };
        assert!(fates(&trouble).iter().all(|fate| fate == &[Duration::ZERO]));
        for words in [
            ["loss", "5%"],
            ["duplicate", "2"],
            ["reorder", "1.5%"],
            ["delay", "1..3"],
        ] {
            trouble.change(&words).unwrap();
        }
        let all = fates(&trouble);
        assert_eq!(all, fates(&trouble));
        let count = |test: &dyn Fn(&Vec<Duration>) -> bool| all.iter().filter(|f| test(f)).count();
        let lost = count(&|fate| fate.is_empty());
        let doubled = count(&|fate| fate.len() == 2);
        let late = count(&|fate| fate.first().is_some_and(|first| *first >= LATE));
        assert!((400..600).contains(&lost), "{lost}");
        assert!((130..270).contains(&doubled), "{doubled}");
        assert!((90..200).contains(&late), "{late}");
        let early = Duration::from_millis(1);
        assert!(all.iter().flatten().all(|delay| *delay >= early));
        trouble.seed = 8;
        assert_ne!(all, fates(&trouble));
    }

    #[test]
    fn what_is_said_at_the_console() {
        let mut trouble = Trouble::default();
        trouble.change(&["partition", "1,3", "2"]).unwrap();
        assert_eq!(trouble.groups, [vec![0, 2], vec![1]]);
        assert!(trouble.is_together(0, 2) && !trouble.is_together(0, 1));
        assert!(!trouble.is_together(0, 3));
        assert!(trouble.is_of(3) && !trouble.is_of(2));
        trouble.change(&["loss", "0.5%"]).unwrap();
        assert!(trouble.to_string().starts_with("loss 0.5%, duplicate 0%"));
        trouble.change(&["heal"]).unwrap();
        assert_eq!(trouble, Trouble::default());
        let wrong: [&[&str]; 8] = [
            &["loss"],
            &["loss", "101%"],
            &["loss", "much"],
            &["delay", "3..1"],
            &["delay", "-1"],
            &["partition"],
            &["partition", "0"],
            &["peace"],
        ];
        for words in wrong {
            assert!(trouble.change(words).is_err(), "{words:?}");
        }
        assert_eq!(trouble, Trouble::default());
    }
}
