//! Calls that could wait for each other for ever: if A calls B and B calls A,
//! each can wait for the other's answer.

use std::collections::BTreeMap;

/// Who may call whom, by name.
pub type Calls<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Every cycle that a search in the order of the names meets first, each as a
/// path that ends where it began.
pub fn find<'a>(calls: &Calls<'a>) -> Vec<Vec<&'a str>> {
    let mut search = Search {
        calls,
        done: Vec::new(),
        path: Vec::new(),
        cycles: Vec::new(),
    };
    for start in calls.keys() {
        search.visit(start);
    }
    search.cycles
}

struct Search<'s, 'a> {
    calls: &'s Calls<'a>,
    done: Vec<&'a str>,
    path: Vec<&'a str>,
    cycles: Vec<Vec<&'a str>>,
}

impl<'a> Search<'_, 'a> {
    fn visit(&mut self, task: &'a str) {
        if let Some(start) = self.path.iter().position(|on_path| *on_path == task) {
            let mut cycle = self.path[start..].to_vec();
            cycle.push(task);
            self.cycles.push(cycle);
            return;
        }
        if self.done.contains(&task) {
            return;
        }
        self.path.push(task);
        for callee in self.calls.get(task).into_iter().flatten() {
            self.visit(callee);
        }
        self.path.pop();
        self.done.push(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_diamonds_are_no_cycles() {
        let calls = Calls::from([
            ("a", vec!["b", "c"]),
            ("b", vec!["d"]),
            ("c", vec!["d"]),
            ("d", vec![]),
        ]);
        assert!(find(&calls).is_empty());
    }

    #[test]
    fn cycles_are_told_as_paths() {
        let calls = Calls::from([
            ("a", vec!["b"]),
            ("b", vec!["c"]),
            ("c", vec!["b"]),
            ("d", vec!["d"]),
        ]);
        assert_eq!(find(&calls), [vec!["b", "c", "b"], vec!["d", "d"]]);
    }
}
