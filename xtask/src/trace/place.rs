//! Which program an instruction belongs to.
//!
//! All programs may be loaded at the same address, and each is position-independent,
//! so addresses do not say. Contents do: the instructions that were seen in a page
//! of memory are compared with each page of each program's text. What fits more than
//! one program, because little of the page was executed, is taken for one that is
//! known to be there by other pages.

use std::collections::HashMap;

use super::code::Code;
use super::log::{Instruction, Log};

const PAGE: u64 = 4096;
/// Addresses of the kernel begin here.
const HIGH: u64 = 1 << 63;

/// A program, and the address that it is loaded at, as its text was linked for 0.
type Loaded = (usize, u64);

/// Where the pages that were executed come from.
#[derive(Debug, Default)]
pub struct Places {
    /// What fits best, then less, by the pages' virtual and host addresses.
    pages: HashMap<(u64, u64), Vec<Loaded>>,
    /// The program by the host's page alone.
    hosts: HashMap<u64, usize>,
}

impl Places {
    /// Compares what was executed with the programs.
    pub fn find(log: &Log, code: &[Code]) -> Self {
        let mut pages = HashMap::<(u64, u64), Vec<&Instruction>>::new();
        let mut seen = vec![false; log.instructions.len()];
        for count in &log.counts {
            let at = &log.instructions[count.instruction];
            if !std::mem::replace(&mut seen[count.instruction], true) {
                pages.entry(page(at)).or_default().push(at);
            }
        }
        let mut fitting: HashMap<_, _> = pages
            .iter()
            .map(|(page, instructions)| (*page, fit(page.0, instructions, code)))
            .collect();
        // How much speaks for each: a page that fits nothing else.
        let mut support = HashMap::<Loaded, usize>::new();
        for (page, loaded) in &fitting {
            if let [one] = loaded[..] {
                *support.entry(one).or_default() += pages[page].len();
            }
        }
        let mut places = Self::default();
        for (page, loaded) in &mut fitting {
            let known = |one: &Loaded| support.get(one).copied().unwrap_or(0);
            loaded.sort_by_key(|one| (std::cmp::Reverse(known(one)), *one));
            if let Some((program, _)) = loaded.first() {
                places.hosts.insert(page.1, *program);
            }
        }
        places.pages = fitting;
        places
    }

    /// The program and the address in its file.
    pub fn of(&self, at: &Instruction, code: &[Code]) -> Option<(usize, u64)> {
        let mut loaded = self.pages.get(&page(at))?.iter();
        loaded.find_map(|(program, base)| {
            let address = at.address.wrapping_sub(*base);
            fits(at, &code[*program], *base).then_some((*program, address))
        })
    }

    /// The program whose page has this number on the host.
    pub fn program(&self, host: u64) -> Option<usize> {
        self.hosts.get(&host).copied()
    }
}

fn page(at: &Instruction) -> (u64, u64) {
    (at.address / PAGE, at.host / PAGE)
}

fn fits(at: &Instruction, code: &Code, base: u64) -> bool {
    code.bytes(at.address.wrapping_sub(base), at.bytes.len()) == Some(&at.bytes)
}

/// The programs that the instructions at this page can be part of.
fn fit(page: u64, instructions: &[&Instruction], code: &[Code]) -> Vec<Loaded> {
    let address = page * PAGE;
    if address >= HIGH {
        // The kernel is the first one, where it was linked for.
        return vec![(0, 0)];
    }
    let bases = |text: &Code| {
        let pages = text.sections.iter().flat_map(|(first, bytes)| {
            (first / PAGE..=(first + bytes.len() as u64) / PAGE).map(|page| page * PAGE)
        });
        let mut bases: Vec<_> = pages.map(|first| address.wrapping_sub(first)).collect();
        bases.dedup();
        bases
    };
    let candidates = || {
        let each = code.iter().enumerate();
        each.flat_map(|(index, text)| bases(text).into_iter().map(move |base| (index, base)))
    };
    let whole: Vec<Loaded> = candidates()
        .filter(|(index, base)| instructions.iter().all(|at| fits(at, &code[*index], *base)))
        .collect();
    if !whole.is_empty() {
        return whole;
    }
    // The page has had more than one content: each must be most of what was seen.
    let part = |(index, base): &Loaded| {
        let good = instructions
            .iter()
            .filter(|at| fits(at, &code[*index], *base));
        good.count() * 4 > instructions.len()
    };
    candidates().filter(part).collect()
}

#[cfg(test)]
mod tests {
    use super::super::code::tests::program;
    use super::super::log::{Count, Role};
    use super::*;

    fn log(instructions: &[(u64, u64, [u8; 2])]) -> Log {
        let count = |(instruction, _)| Count {
            page: 0,
            role: Role::Program,
            instruction,
            count: 1,
        };
        Log {
            counts: instructions.iter().enumerate().map(count).collect(),
            instructions: instructions
                .iter()
                .map(|(address, host, bytes)| Instruction {
                    address: *address,
                    host: *host,
                    bytes: bytes.to_vec(),
                })
                .collect(),
        }
    }

    #[test]
    fn contents_tell_programs_at_one_address_apart() {
        let code = [
            program("kernel", &[9; 8], &[]),
            program("a", &[1, 2, 3, 4], &[]),
            program("b", &[1, 2, 5, 6], &[]),
        ];
        let log = log(&[
            (0x7_1002, 0x10_0002, [3, 4]),
            (0x7_1002, 0x20_0002, [5, 6]),
            (0x7_1000, 0x20_0000, [1, 2]),
            (0x7_1000, 0x30_0000, [8, 8]),
            (HIGH + 0x1000, 0x40_0000, [9, 9]),
        ]);
        let places = Places::find(&log, &code);
        let of = |index: usize| places.of(&log.instructions[index], &code);
        assert_eq!(of(0), Some((1, 0x1002)));
        assert_eq!(of(1), Some((2, 0x1002)));
        assert_eq!(of(2), Some((2, 0x1000)));
        assert_eq!(of(3), None);
        assert_eq!(of(4), None, "the kernel is where it was linked for");
        assert_eq!(places.program(0x100), Some(1));
        assert_eq!(places.program(0x300), None);
    }

    #[test]
    fn what_fits_two_is_what_is_known_to_be_there() {
        let mut longer = vec![1, 2];
        longer.resize(PAGE as usize, 0);
        longer.extend([7, 7]);
        let code = [
            program("kernel", &[], &[]),
            program("a", &[1, 2], &[]),
            program("b", &longer, &[]),
        ];
        let log = log(&[(0x1000, 0x10_0000, [1, 2]), (0x2000, 0x20_0000, [7, 7])]);
        let places = Places::find(&log, &code);
        assert_eq!(places.of(&log.instructions[0], &code), Some((2, 0x1000)));
    }
}
