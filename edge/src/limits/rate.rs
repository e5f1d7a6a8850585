//! The generic cell rate algorithm (ITU-T I.371): a steady rate with a burst, in one number a key.
//!
//! The number says until when what was taken so far lasts, if one unit lasts an interval. Nothing
//! happens at the edge of a window, because there is none: in any span of time at most the burst
//! and what the rate gives in that time are taken, whatever the order.

use serde::{Deserialize, Serialize};

use super::Micros;

/// So many in a window, and so many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How long one unit lasts.
    interval: Micros,
    /// Units that may be taken at once.
    burst: u32,
}

/// How a key stands under a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Units that could be taken now.
    pub remaining: u32,
    /// Until one more than that could be; 0 if there are no more.
    pub reset: Micros,
}

impl Rate {
    /// `quota` units in `window_seconds`, `burst` of them at once. An interval is rounded up, by
    /// less than a microsecond.
    #[must_use]
    pub fn new(quota: u32, window_seconds: u32, burst: u32) -> Self {
        let window = Micros::from(window_seconds).saturating_mul(1_000_000);
        let quota = Micros::from(quota.max(1));
        let rounded_up = window.saturating_add(quota.saturating_sub(1));
        let interval = rounded_up.checked_div(quota).unwrap_or(window);
        Self {
            interval: interval.max(1),
            burst: burst.max(1),
        }
    }

    fn tolerance(self) -> Micros {
        self.interval.saturating_mul(self.burst.into())
    }

    /// What was taken lasts until `until`. Takes one more unit at `now` and gives until when it
    /// lasts then.
    ///
    /// # Errors
    /// How long to wait, if it cannot be taken yet; nothing is taken then.
    pub fn take(self, until: Micros, now: Micros) -> Result<Micros, Micros> {
        let next = self.sane(until, now).saturating_add(self.interval);
        let early = next.saturating_sub(now).saturating_sub(self.tolerance());
        if early > 0 { Err(early) } else { Ok(next) }
    }

    /// Gives one unit back.
    #[must_use]
    pub fn give_back(self, until: Micros, now: Micros) -> Micros {
        self.sane(until, now).saturating_sub(self.interval).max(now)
    }

    /// How a key stands whose units last until `until`.
    #[must_use]
    pub fn standing(self, until: Micros, now: Micros) -> Standing {
        let left = self
            .tolerance()
            .saturating_sub(self.sane(until, now).saturating_sub(now));
        let remaining = left.max(0).checked_div(self.interval).unwrap_or(0);
        let remaining = u32::try_from(remaining).unwrap_or(self.burst);
        let more = Micros::from(remaining)
            .saturating_add(1)
            .saturating_mul(self.interval);
        let reset = if remaining >= self.burst {
            0
        } else {
            more.saturating_sub(left)
        };
        Standing { remaining, reset }
    }

    /// What has passed is over; and a clock that was set back, or a rate that was made smaller,
    /// locks nobody out for longer than the whole burst lasts.
    fn sane(self, until: Micros, now: Micros) -> Micros {
        until.clamp(now, now.saturating_add(self.tolerance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance (xorshift64*), the same in every run.
    struct Luck(u64);

    impl Luck {
        fn below(&mut self, end: Micros) -> Micros {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
            Micros::try_from(number).unwrap() % end.max(1)
        }
    }

    const NOW: Micros = 1_800_000_000_000_000;

    fn any_rate(luck: &mut Luck) -> Rate {
        let quota = u32::try_from(1 + luck.below(200)).unwrap();
        let window = u32::try_from(1 + luck.below(3_600)).unwrap();
        let burst = u32::try_from(1 + luck.below(quota.into())).unwrap();
        Rate::new(quota, window, burst)
    }

    /// Asks at moments of all kinds; gives those at which it was admitted.
    fn admitted(rate: Rate, luck: &mut Luck, asks: usize) -> Vec<Micros> {
        let (mut until, mut now, mut times) = (0, NOW, Vec::new());
        for _ in 0..asks {
            now += match luck.below(4) {
                0 => 0,
                1 => luck.below(rate.interval),
                2 => luck.below(rate.interval * 3),
                _ => luck.below(rate.tolerance() / 2),
            };
            let before = rate.standing(until, now);
            match rate.take(until, now) {
                Ok(next) => {
                    assert!(before.remaining > 0);
                    assert_eq!(rate.standing(next, now).remaining, before.remaining - 1);
                    until = next;
                    times.push(now);
                }
                Err(wait) => {
                    assert_eq!((before.remaining, before.reset), (0, wait));
                    assert!(rate.take(until, now + wait - 1).is_err(), "too long a wait");
                    assert!(rate.take(until, now + wait).is_ok(), "too short a wait");
                }
            }
        }
        times
    }

    #[test]
    fn in_no_span_of_time_more_is_taken_than_the_burst_and_what_the_rate_gives() {
        for seed in 1..=60 {
            let mut luck = Luck(seed);
            let rate = any_rate(&mut luck);
            let times = admitted(rate, &mut luck, 400);
            assert!(times.len() >= rate.burst.min(100) as usize / 2);
            for (first, start) in times.iter().enumerate() {
                for (last, end) in times.iter().enumerate().skip(first) {
                    let taken = Micros::try_from(last - first).unwrap() + 1;
                    let allowed = Micros::from(rate.burst) + (end - start) / rate.interval;
                    assert!(taken <= allowed, "seed {seed}: {taken} of {allowed}");
                }
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused() {
        for seed in 1..=60 {
            let mut luck = Luck(seed);
            let rate = any_rate(&mut luck);
            let (mut until, mut now) = (0, NOW);
            for _ in 0..1_000 {
                until = rate.take(until, now).unwrap();
                now += rate.interval + luck.below(10);
            }
        }
    }

    #[test]
    fn the_whole_burst_is_there_at_once_and_then_one_an_interval() {
        let rate = Rate::new(100, 900, 100);
        let (mut until, mut taken) = (0, 0);
        while let Ok(next) = rate.take(until, NOW) {
            (until, taken) = (next, taken + 1);
        }
        assert_eq!(taken, 100);
        assert_eq!(rate.take(until, NOW), Err(9_000_000));
        assert_eq!(rate.standing(until, NOW).reset, 9_000_000);
        assert!(rate.take(until, NOW + 9_000_000).is_ok());
        let whole = Standing {
            remaining: 100,
            reset: 0,
        };
        assert_eq!(rate.standing(until, NOW + 900_000_000), whole);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let rate = Rate::new(3, 60, 3);
        let full = (0..3)
            .try_fold(0, |until, _| rate.take(until, NOW))
            .unwrap();
        assert!(rate.take(full, NOW).is_err());
        let again = rate.take(rate.give_back(full, NOW), NOW).unwrap();
        assert!(rate.take(again, NOW).is_err());
        // Nobody saves up by giving back what they have not taken.
        assert_eq!(rate.standing(rate.give_back(0, NOW), NOW).remaining, 3);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out_for_longer_than_the_burst_lasts() {
        let rate = Rate::new(5, 3_600, 5);
        let later = NOW + 86_400_000_000;
        let until = rate.take(0, later).unwrap();
        assert_eq!(rate.take(until, NOW), Err(rate.interval));
    }
}
