//! When a task of the page is started again.

use tessera_page::{Restart, RestartPolicy};

/// How often a task ended, and what follows from it. Times are milliseconds of
/// any clock that does not go back.
#[derive(Debug)]
pub struct History {
    rule: Restart,
    started: u64,
    /// Restarts since the last good run.
    recent: u32,
    /// Restarts altogether.
    pub total: u64,
}

/// What follows from the end of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is started again at this time.
    At(u64),
    /// It stays down, as its policy says.
    Stays,
    /// It stays down, for it was started again too often.
    GivenUp,
}

impl History {
    /// A task that has not run yet.
    pub fn new(rule: Restart) -> History {
        History {
            rule,
            started: 0,
            recent: 0,
            total: 0,
        }
    }

    /// The task was started.
    pub fn started(&mut self, now: u64) {
        self.started = now;
    }

    /// The task ended, by itself or (`fault`) not. The answer's time comes with
    /// a restart, which is counted here.
    pub fn ended(&mut self, now: u64, fault: bool) -> Next {
        match self.rule.policy {
            RestartPolicy::Always => {}
            RestartPolicy::OnFault if fault => {}
            RestartPolicy::OnFault | RestartPolicy::Never => return Next::Stays,
        }
        let longest = u64::from(self.rule.max_backoff_ms);
        if now.saturating_sub(self.started) >= longest {
            self.recent = 0;
        }
        if self.recent >= self.rule.max {
            return Next::GivenUp;
        }
        let doubled = u64::from(self.rule.backoff_ms) << self.recent.min(31);
        self.recent += 1;
        self.total += 1;
        Next::At(now.saturating_add(doubled.min(longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(policy: RestartPolicy) -> History {
        History::new(Restart {
            policy,
            backoff_ms: 100,
            max_backoff_ms: 1000,
            max: 6,
        })
    }

    #[test]
    fn waits_double_up_to_the_longest_and_then_end() {
        let mut task = history(RestartPolicy::Always);
        for wait in [100, 200, 400, 800, 1000, 1000] {
            task.started(5000);
            assert_eq!(task.ended(5001, true), Next::At(5001 + wait));
        }
        assert_eq!(task.ended(5001, true), Next::GivenUp);
        assert_eq!(task.total, 6);
    }

    #[test]
    fn a_good_run_begins_the_count_anew() {
        let mut task = history(RestartPolicy::OnFault);
        for _ in 0..20 {
            task.started(10_000);
            assert_eq!(task.ended(11_000, true), Next::At(11_100));
        }
        task.started(12_000);
        assert_eq!(task.ended(12_999, true), Next::At(13_199));
    }

    #[test]
    fn the_policy_says_who_comes_back() {
        assert_eq!(
            history(RestartPolicy::Always).ended(0, false),
            Next::At(100)
        );
        assert_eq!(history(RestartPolicy::OnFault).ended(0, false), Next::Stays);
        assert_eq!(
            history(RestartPolicy::OnFault).ended(0, true),
            Next::At(100)
        );
        assert_eq!(history(RestartPolicy::Never).ended(0, true), Next::Stays);
    }
}
