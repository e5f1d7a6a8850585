//! A delay that grows with each try (CC-AUTH-15): some are free, each one after that has to come
//! half a second later than the one before had to, at most 20 s. Whoever stops trying for the
//! window is free again.

use serde::{Deserialize, Serialize};

use super::Micros;

/// By how much the delay grows with each try.
const STEP: Micros = 500_000;
/// The longest delay.
const DELAY_MAX: Micros = 20_000_000;

/// How many tries are free, and for how long they are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowDown {
    free: u32,
    window: Micros,
}

/// Tries so far, and when the last one was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// How many.
    pub count: u32,
    /// The last one.
    pub at: Micros,
}

impl SlowDown {
    /// `free` tries without a delay, remembered for `window_seconds` after the last one.
    #[must_use]
    pub fn new(free: u32, window_seconds: u32) -> Self {
        Self {
            free,
            window: Micros::from(window_seconds).saturating_mul(1_000_000),
        }
    }

    /// One more try.
    ///
    /// # Errors
    /// How long to wait before it; it does not count then.
    pub fn attempt(self, tries: Tries, now: Micros) -> Result<Tries, Micros> {
        // A clock that was set back makes no delay longer.
        let at = tries.at.min(now);
        let count = if now < self.forgotten_at(tries) {
            tries.count
        } else {
            0
        };
        let wait = at.saturating_add(self.delay(count)).saturating_sub(now);
        if wait > 0 {
            return Err(wait);
        }
        Ok(Tries {
            count: count.saturating_add(1),
            at: now,
        })
    }

    /// When the tries mean nothing any more.
    #[must_use]
    pub fn forgotten_at(self, tries: Tries) -> Micros {
        tries.at.saturating_add(self.window)
    }

    /// Between the last of `count` tries and the next.
    fn delay(self, count: u32) -> Micros {
        if count < self.free {
            return 0;
        }
        let beyond = count.saturating_sub(self.free).saturating_add(1);
        Micros::from(beyond).saturating_mul(STEP).min(DELAY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;
    const RULE: SlowDown = SlowDown {
        free: 2,
        window: 900_000_000,
    };

    #[test]
    fn two_tries_are_free_and_each_further_one_waits_half_a_second_longer() {
        let (mut tries, mut now, mut waits) = (Tries::default(), NOW, Vec::new());
        for _ in 0..50 {
            if let Err(wait) = RULE.attempt(tries, now) {
                assert!(RULE.attempt(tries, now + wait - 1).is_err());
                waits.push(wait / 1_000);
                now += wait;
            }
            tries = RULE.attempt(tries, now).unwrap();
        }
        assert_eq!(waits[..4], [500, 1_000, 1_500, 2_000]);
        assert_eq!(waits.len(), 48);
        assert_eq!(waits[39..], [20_000; 9]);
    }

    #[test]
    fn tries_that_are_refused_make_no_delay_longer() {
        let tries = Tries { count: 9, at: NOW };
        let wait = RULE.attempt(tries, NOW).unwrap_err();
        for _ in 0..1_000 {
            assert_eq!(RULE.attempt(tries, NOW), Err(wait));
        }
        assert!(RULE.attempt(tries, NOW + wait).is_ok());
    }

    #[test]
    fn who_stops_trying_is_free_again() {
        let tries = Tries { count: 99, at: NOW };
        let fresh = RULE.attempt(tries, NOW + 900_000_000).unwrap();
        assert_eq!(fresh.count, 1);
        assert_eq!(RULE.attempt(tries, NOW + 899_999_999).unwrap().count, 100);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_delay_longer() {
        let tries = Tries {
            count: 99,
            at: NOW + 86_400_000_000,
        };
        assert_eq!(RULE.attempt(tries, NOW), Err(DELAY_MAX));
    }
}
