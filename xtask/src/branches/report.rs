//! How many of the branches were reached, by source file.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::map::Branch;

/// The syscall layer: what a system call goes through before it comes to memory
/// and schedule.
const LAYER: [&str; 6] = [
    "kernel/src/syscall.rs",
    "kernel/src/interface/",
    "kernel/src/ipc/",
    "kernel/src/capability/",
    "kernel/src/object/",
    "libipc/abi/src/",
];

/// How often a branch was taken, and how often not.
pub type Counts = [u64; 2];

/// Sums over some branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// All of them.
    pub branches: usize,
    /// Those that were executed.
    pub reached: usize,
    /// Those of which one way leads to a panic only.
    pub panics: usize,
    /// Those that went both ways.
    pub both: usize,
}

impl Sum {
    fn add(&mut self, branch: &Branch, counts: Counts) {
        self.branches += 1;
        self.reached += usize::from(counts != [0, 0]);
        self.panics += usize::from(branch.panics);
        self.both += usize::from(!counts.contains(&0));
    }

    /// Per cent that were reached.
    pub fn percent(&self) -> f64 {
        percent(self.reached, self.branches)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 100.0,
        _ => part as f64 * 100.0 / whole as f64,
    }
}

/// Whether the file belongs to the syscall layer.
pub fn in_layer(file: &str) -> bool {
    LAYER.iter().any(|begin| file.starts_with(begin))
}

/// The sum over the syscall layer.
pub fn layer(branches: &[(Branch, Counts)]) -> Sum {
    let mut sum = Sum::default();
    for (branch, counts) in branches.iter().filter(|(b, _)| in_layer(&b.file)) {
        sum.add(branch, *counts);
    }
    sum
}

/// A table with a line for each file, those of the layer first, and their sums.
pub fn table(branches: &[(Branch, Counts)]) -> String {
    let mut files = BTreeMap::<(bool, &str), Sum>::new();
    for (branch, counts) in branches {
        let file = branch.file.as_str();
        let sum = files.entry((!in_layer(file), file)).or_default();
        sum.add(branch, *counts);
    }
    let mut text = format!(
        "{:<44} {:>8} {:>8} {:>6} {:>7} {:>9} {:>6}\n",
        "conditional branches", "all", "reached", "%", "panics", "both ways", "%"
    );
    let mut row = |name: &str, sum: &Sum| {
        // Formatting into a string does not fail.
        let _ = writeln!(
            text,
            "{name:<44} {:>8} {:>8} {:>6.1} {:>7} {:>9} {:>6.1}",
            sum.branches,
            sum.reached,
            sum.percent(),
            sum.panics,
            sum.both,
            percent(sum.both, sum.branches - sum.panics),
        );
    };
    for outside in [false, true] {
        let mut all = Sum::default();
        for ((_, file), sum) in files.iter().filter(|((o, _), _)| *o == outside) {
            row(file, sum);
            all.branches += sum.branches;
            all.reached += sum.reached;
            all.panics += sum.panics;
            all.both += sum.both;
        }
        let name = ["the syscall layer", "the rest of the kernel"][usize::from(outside)];
        row(name, &all);
    }
    text
}

/// A line for each branch that was not reached, or went one way only although
/// the other leads to more than a panic.
pub fn gaps(branches: &[(Branch, Counts)]) -> String {
    let mut text = String::new();
    let mut sorted: Vec<_> = branches.iter().collect();
    sorted.sort_by_key(|(b, _)| (!in_layer(&b.file), &b.file, b.line, b.address));
    for (branch, counts) in sorted {
        let what = match counts {
            [0, 0] => "never reached",
            [_, 0] if !branch.panics => "always taken",
            [0, _] if !branch.panics => "never taken",
            _ => continue,
        };
        let Branch {
            file,
            line,
            function,
            address,
            ..
        } = branch;
        // Formatting into a string does not fail.
        let _ = writeln!(text, "{file}:{line}: {what}: {function} ({address:#x})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(file: &str, panics: bool, counts: Counts) -> (Branch, Counts) {
        let branch = Branch {
            file: file.into(),
            panics,
            function: "f".into(),
            ..Branch::default()
        };
        (branch, counts)
    }

    fn some() -> Vec<(Branch, Counts)> {
        vec![
            branch("kernel/src/ipc/call.rs", false, [3, 1]),
            branch("kernel/src/ipc/call.rs", false, [0, 0]),
            branch("kernel/src/syscall.rs", true, [0, 9]),
            branch("kernel/src/syscall.rs", false, [9, 0]),
            branch("kernel/src/run.rs", false, [0, 0]),
        ]
    }

    #[test]
    fn the_layer_is_summed_without_the_rest() {
        let expected = Sum {
            branches: 4,
            reached: 3,
            panics: 1,
            both: 1,
        };
        assert_eq!(layer(&some()), expected);
        assert_eq!(expected.percent(), 75.0);
        let table = table(&some());
        let line = |name| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().rev().take(6).collect::<Vec<_>>()
        };
        assert_eq!(line("the syscall"), ["33.3", "1", "1", "75.0", "3", "4"]);
        assert_eq!(line("kernel/src/run"), ["0.0", "0", "0", "0.0", "0", "1"]);
    }

    #[test]
    fn gaps_are_what_could_have_been_seen_and_was_not() {
        let expected = "kernel/src/ipc/call.rs:0: never reached: f (0x0)\n\
                        kernel/src/syscall.rs:0: always taken: f (0x0)\n\
                        kernel/src/run.rs:0: never reached: f (0x0)\n";
        assert_eq!(gaps(&some()), expected);
    }
}
