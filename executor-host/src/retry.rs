//! How to go on when something outside does not answer: wait longer each time, with jitter, for
//! ever, and tell the operator once when it begins, once when its reason changes, once when it is
//! over.

use std::fmt::Display;
use std::time::Duration;

use crate::clock;

/// The longest wait before another try.
pub const DELAY_MAX: Duration = Duration::from_secs(30);
const DELAY_FIRST: Duration = Duration::from_millis(500);

/// The state of one thing that is tried again and again.
#[derive(Debug)]
pub struct Retry {
    what: &'static str,
    failures: u32,
    told: Option<String>,
}

impl Retry {
    /// `what` is tried, such as `lease jobs`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            failures: 0,
            told: None,
        }
    }

    /// It failed because of `reason`. Returns how long to wait before the next try.
    pub fn failed(&mut self, reason: &impl Display) -> Duration {
        let reason = reason.to_string();
        if self.told.as_ref() != Some(&reason) {
            tracing::warn!(reason, "cannot {}; trying until it works", self.what);
            self.told = Some(reason);
        }
        let delay = delay(self.failures, clock::fraction());
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// It worked.
    pub fn succeeded(&mut self) {
        if self.told.take().is_some() {
            tracing::info!(failures = self.failures, "can {} again", self.what);
        }
        self.failures = 0;
    }
}

/// The wait after `failures` earlier failures: doubled each time up to [`DELAY_MAX`], less up to
/// half of it by `luck` (0 up to 1), so that hosts cut off together do not return together.
fn delay(failures: u32, luck: f64) -> Duration {
    let whole = DELAY_FIRST
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(DELAY_MAX);
    whole.mul_f64(1.0 - luck / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_maximum_and_keeps_at_least_half_of_it() {
        assert_eq!(delay(0, 0.0), DELAY_FIRST);
        assert_eq!(delay(3, 0.0), DELAY_FIRST * 8);
        assert_eq!(delay(40, 0.0), DELAY_MAX);
        assert!(delay(40, 0.999) >= DELAY_MAX / 2);
    }
}
