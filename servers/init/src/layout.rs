//! Where the parts of a program lie in its address space.
//!
//! From the window's first address on, with a gap of [`GUARD`] between any two:
//! program, stack, heap. All lie close together, since each 2 MiB
//! that are touched cost a page table, and the window is chosen at random where
//! there is entropy.

use libipc::PAGE;
use libipc_abi::USER_END;

/// Unmapped bytes between two parts: what runs over a stack faults.
pub const GUARD: u64 = 64 << 10;

/// Most bytes of start information, which lies at the end of the stack and is not
/// counted as stack.
pub const START: u64 = 4 * PAGE as u64;

/// Most bytes of address space that a program's segments take.
pub const SPAN: u64 = 64 << 20;

/// Most bytes of a heap or a stack.
pub const AREA: u64 = 256 << 20;

/// Size and alignment of the part of the address space that a program gets; the
/// rest is its own to map at. The first window stays empty for null pointers.
const WINDOW: u64 = 1 << 30;

/// Windows that programs start in: the first quarter of the address space.
const WINDOWS: u64 = USER_END / 4 / WINDOW;

/// Pages by which a program is moved inside its window.
const SLIDE: u64 = 1 << 12;

/// Alignment that programs are linked for.
const ALIGN: u64 = 64 << 10;

/// Addresses of a program's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where address 0 of the program's file comes to lie.
    pub program: u64,
    /// The lowest address of the stack.
    pub stack: u64,
    /// The first address of the heap.
    pub heap: u64,
}

impl Layout {
    /// Places a program whose segments end at `span`, a stack and a heap of
    /// these sizes, the same for the same `random`. `None` if one is too large.
    pub fn new(span: u64, stack: u64, heap: u64, random: u64) -> Option<Layout> {
        if span > SPAN || stack > AREA || heap > AREA {
            return None;
        }
        let page = PAGE as u64;
        let window = WINDOW * (1 + random % (WINDOWS - 1));
        let slide = page * ((random >> 32) % SLIDE);
        let program = (window + slide).next_multiple_of(ALIGN);
        let stack_start = (program + span + GUARD).next_multiple_of(page);
        let heap = (stack_start + stack + START + GUARD).next_multiple_of(page);
        Some(Layout {
            program,
            stack: stack_start,
            heap,
        })
    }
}

/// Random numbers from the boot loader's seed; without one, always zero, so
/// that a run can be repeated exactly.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with `seed`.
    pub const fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number (splitmix64).
    pub fn draw(&mut self) -> u64 {
        if self.0 == 0 {
            return 0;
        }
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15).max(1);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_apart_inside_user_space() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            let layout = Layout::new(SPAN, AREA, AREA, random.draw()).unwrap();
            assert!(layout.program >= WINDOW);
            assert!(layout.program + SPAN + GUARD <= layout.stack);
            assert!(layout.stack + AREA + START + GUARD <= layout.heap);
            assert!(layout.heap + AREA <= USER_END / 4 + WINDOW);
            let all = [layout.stack, layout.heap];
            assert!(
                all.iter()
                    .all(|address| address.is_multiple_of(PAGE as u64))
            );
            assert!(layout.program.is_multiple_of(ALIGN));
        }
    }

    #[test]
    fn a_seed_moves_programs_and_no_seed_does_not() {
        let mut random = Random::new(7);
        let place = |random| Layout::new(1 << 20, 1 << 14, 1 << 16, random).unwrap();
        assert_ne!(place(random.draw()), place(random.draw()));
        let mut none = Random::new(0);
        assert_eq!(place(none.draw()), place(none.draw()));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert_eq!(Layout::new(SPAN + 1, 0, 0, 0), None);
        assert_eq!(Layout::new(0, AREA + 1, 0, 0), None);
        assert_eq!(Layout::new(0, 0, u64::MAX, 0), None);
    }
}
