//! What a suite's reports say about its cases: lines in, outcomes out.

use tessera_test_cases::{Line, Selection, Suite};

use crate::Outcome;

/// How far a suite has come in one boot.
#[derive(Debug)]
pub struct Progress {
    suite: &'static Suite,
    /// Cases without an outcome.
    left: Selection,
    running: Option<usize>,
    /// The latest outcome, held back until it is known that the machine lives.
    held: Option<(usize, Outcome)>,
    /// Passed and failed, counted here and as the suite says at its end.
    counted: (usize, usize),
    done: Option<(usize, usize)>,
}

impl Progress {
    /// A suite that is to run these cases.
    pub fn new(suite: &'static Suite, cases: Selection) -> Self {
        Self {
            suite,
            left: cases,
            running: None,
            held: None,
            counted: (0, 0),
            done: None,
        }
    }

    /// Cases that have no outcome so far.
    pub fn left(&self) -> Selection {
        self.left
    }

    /// Whether the suite says that it has come to its end.
    pub fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Takes in a line of the console; may settle the case before.
    pub fn line(&mut self, line: &str) -> Option<(usize, Outcome)> {
        match Line::parse(line)? {
            Line::Start { suite, case } if suite == self.suite.name => {
                self.running = self.suite.index(case);
                self.held.take()
            }
            Line::Passed { suite, case } if suite == self.suite.name => self.settle(case, Ok(())),
            Line::Failed {
                suite,
                case,
                reason,
            } if suite == self.suite.name => self.settle(case, Err(reason.to_string())),
            Line::Done {
                suite,
                passed,
                failed,
            } if suite == self.suite.name => {
                self.done = Some((passed, failed));
                None
            }
            _ => None,
        }
    }

    fn settle(&mut self, case: &str, outcome: Outcome) -> Option<(usize, Outcome)> {
        let index = self
            .suite
            .index(case)
            .filter(|index| self.left.contains(*index))?;
        self.left.remove(index);
        self.running = None;
        match outcome {
            Ok(()) => self.counted.0 += 1,
            Err(_) => self.counted.1 += 1,
        }
        self.held.replace((index, outcome))
    }

    /// The machine has ended or hangs. `defect` says how, if not as it should.
    /// Returns the outcomes that this settles; what is `left` then has not run.
    pub fn end(&mut self, defect: Option<&str>) -> Vec<(usize, Outcome)> {
        let defect = match (defect, self.done) {
            (Some(defect), _) => Some(defect.to_string()),
            (None, None) => Some("the machine ended before the suite did".into()),
            (None, Some(said)) if said != self.counted => Some(format!(
                "the suite says {} passed and {} failed, but reported {} and {}",
                said.0, said.1, self.counted.0, self.counted.1
            )),
            (None, Some(_)) => None,
        };
        let mut settled = Vec::new();
        match defect {
            None => settled.extend(self.held.take()),
            Some(defect) => match self.running.filter(|index| self.left.contains(*index)) {
                // It was this case that did it; the one before is good.
                Some(index) => {
                    self.left.remove(index);
                    settled.extend(self.held.take());
                    settled.push((index, Err(defect)));
                }
                None => {
                    let blamed = self.held.take().map(|(index, outcome)| {
                        let after = match outcome {
                            Ok(()) => format!("passed, but then {defect}"),
                            Err(reason) => format!("{reason}; then {defect}"),
                        };
                        (index, Err(after))
                    });
                    settled.extend(blamed);
                }
            },
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUITE: Suite = Suite {
        name: "ipc",
        system: "suite",
        counted: false,
        cases: &["a", "b", "c"],
    };

    fn lines(lines: &[&str]) -> (Progress, Vec<(usize, Outcome)>) {
        let mut progress = Progress::new(&SUITE, Selection::first(3));
        let settled = lines
            .iter()
            .filter_map(|line| progress.line(line))
            .collect();
        (progress, settled)
    }

    #[test]
    fn a_good_run_settles_every_case() {
        let (mut progress, mut settled) = lines(&[
            "boot noise",
            "[case] ipc/a start",
            "[case] ipc/a ok",
            "[case] ipc/b start",
            "[case] ipc/b FAILED: 1 is not 2",
            "[case] other/c ok",
            "[case] ipc/c start",
            "[case] ipc/c ok",
            "[suite] ipc done 2 1",
        ]);
        assert!(progress.is_done());
        settled.extend(progress.end(None));
        assert_eq!(
            settled,
            [(0, Ok(())), (1, Err("1 is not 2".into())), (2, Ok(()))]
        );
        assert!(progress.left().is_empty());
    }

    #[test]
    fn a_crash_is_blamed_on_the_running_case_and_the_rest_is_left() {
        let (mut progress, settled) = lines(&[
            "[case] ipc/a start",
            "[case] ipc/a ok",
            "[case] ipc/b start",
        ]);
        assert_eq!(settled, [(0, Ok(()))]);
        assert_eq!(
            progress.end(Some("it hangs")),
            [(1, Err("it hangs".into()))]
        );
        assert_eq!(progress.left().to_string(), "2");
    }

    #[test]
    fn a_crash_between_cases_is_blamed_on_the_last() {
        let (mut progress, _) = lines(&["[case] ipc/a start", "[case] ipc/a ok"]);
        assert_eq!(
            progress.end(Some("exit 9")),
            [(0, Err("passed, but then exit 9".into()))]
        );
        assert_eq!(progress.left().to_string(), "1-2");
    }

    #[test]
    fn no_sentinel_or_a_wrong_count_is_a_defect() {
        let (mut progress, _) = lines(&["[case] ipc/a start", "[case] ipc/a ok"]);
        let settled = progress.end(None);
        assert!(
            settled[0]
                .1
                .as_ref()
                .unwrap_err()
                .contains("before the suite did")
        );
        let (mut progress, _) = lines(&[
            "[case] ipc/a start",
            "[case] ipc/a ok",
            "[suite] ipc done 2 0",
        ]);
        let settled = progress.end(None);
        assert!(
            settled[0]
                .1
                .as_ref()
                .unwrap_err()
                .contains("reported 1 and 0")
        );
    }

    #[test]
    fn a_case_reported_twice_or_not_asked_for_counts_once_or_never() {
        let mut only_b = Selection::none();
        only_b.insert(1);
        let mut progress = Progress::new(&SUITE, only_b);
        assert_eq!(progress.line("[case] ipc/a ok"), None);
        assert_eq!(progress.line("[case] ipc/b ok"), None);
        assert_eq!(progress.line("[case] ipc/b ok"), None);
        progress.line("[suite] ipc done 1 0");
        assert_eq!(progress.end(None), [(1, Ok(()))]);
    }
}
