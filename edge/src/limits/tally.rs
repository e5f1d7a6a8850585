//! How many requests each limit has refused, for operators. An instance of the front counts in memory,
//! and tells a shard when it is worth a call: a flood is neither a call nor a row for each refusal.
//!
//! What is lost of a limit when an instance ends is at most a fourth of what it has told of it, and at
//! most a minute old if anybody has asked it for anything since.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Micros;
use super::calls::RefusalCount;
use super::policy::{Policy, TABLE};

/// The shard that has the sums of all instances.
pub const SHARD: u8 = 0;
/// What is not told for so long is told with the next request.
const TOLD_WITHIN: Micros = 60_000_000;
/// After a call that failed, nobody is asked again for so long.
const REST: Micros = 10_000_000;

/// What an instance has counted.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
    /// Since when there is something that was not told; 0 if there is not.
    untold_since: AtomicI64,
}

#[derive(Debug, Default)]
struct Counts {
    of: HashMap<Policy, Count>,
    rest_until: Micros,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    told: u64,
    untold: u64,
}

impl Tally {
    /// Counts a refusal. Gives what is worth telling: it counts as told, unless [`Tally::not_told`]
    /// takes it back.
    pub fn count(&self, policy: Policy, now: Micros) -> Option<Vec<RefusalCount>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.of.entry(policy).or_default();
        count.untold = count.untold.saturating_add(1);
        let much = count.untold.saturating_mul(4) >= count.told;
        let since = self.untold_since.load(Ordering::Relaxed);
        if since == 0 {
            self.untold_since.store(now, Ordering::Relaxed);
        }
        let old = since != 0 && now.saturating_sub(since) >= TOLD_WITHIN;
        ((much || old) && now >= counts.rest_until).then(|| self.take(&mut counts))
    }

    /// What has not been told for too long.
    pub fn overdue(&self, now: Micros) -> Option<Vec<RefusalCount>> {
        let since = self.untold_since.load(Ordering::Relaxed);
        if since == 0 || now.saturating_sub(since) < TOLD_WITHIN {
            return None;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let told = (now >= counts.rest_until).then(|| self.take(&mut counts));
        // Somebody else may have told it since.
        told.filter(|told| !told.is_empty())
    }

    /// Nobody has taken them.
    pub fn not_told(&self, refusals: &[RefusalCount], now: Micros) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for RefusalCount { limit, count } in refusals {
            if let Some(row) = TABLE.iter().find(|row| row.name == limit) {
                let kept = counts.of.entry(row.policy).or_default();
                kept.untold = kept.untold.saturating_add(*count);
                kept.told = kept.told.saturating_sub(*count);
            }
        }
        counts.rest_until = now.saturating_add(REST);
        self.untold_since.store(now, Ordering::Relaxed);
    }

    fn take(&self, counts: &mut Counts) -> Vec<RefusalCount> {
        self.untold_since.store(0, Ordering::Relaxed);
        let untold = counts.of.iter_mut().filter(|(_, count)| count.untold > 0);
        let told = untold.map(|(policy, count)| {
            count.told = count.told.saturating_add(count.untold);
            RefusalCount {
                limit: policy.row().name.to_owned(),
                count: std::mem::take(&mut count.untold),
            }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;

    fn sum(told: &[RefusalCount]) -> u64 {
        told.iter().map(|refusals| refusals.count).sum()
    }

    #[test]
    fn a_flood_is_told_in_few_calls_and_at_most_a_fourth_of_it_is_not_told() {
        let tally = Tally::default();
        let (mut calls, mut told) = (0, 0);
        for n in 1..=100_000 {
            if let Some(refusals) = tally.count(Policy::Address, NOW) {
                (calls, told) = (calls + 1, told + sum(&refusals));
            }
            assert!(n - told <= told / 4, "{told} of {n}");
        }
        assert!(calls < 60, "{calls} calls");
    }

    #[test]
    fn a_limit_that_begins_to_refuse_is_told_at_once_whatever_others_have_refused() {
        let tally = Tally::default();
        for _ in 0..10_000 {
            tally.count(Policy::Address, NOW);
        }
        let told = tally.count(Policy::Join, NOW).unwrap();
        assert!(told.iter().any(|refusals| refusals.limit == "join"));
    }

    #[test]
    fn what_is_left_is_told_with_a_later_request_and_once() {
        let tally = Tally::default();
        let mut told = 0;
        for policy in [Policy::Login, Policy::User].into_iter().cycle().take(100) {
            told += tally
                .count(policy, NOW)
                .map_or(0, |refusals| sum(&refusals));
        }
        assert!(told < 100);
        assert_eq!(tally.overdue(NOW + TOLD_WITHIN - 1), None);
        let rest = tally.overdue(NOW + TOLD_WITHIN).unwrap();
        assert_eq!(told + sum(&rest), 100);
        assert_eq!(tally.overdue(NOW + 10 * TOLD_WITHIN), None);
    }

    #[test]
    fn what_nobody_has_taken_is_told_later_and_not_with_each_refusal() {
        let tally = Tally::default();
        let first = tally.count(Policy::Login, NOW).unwrap();
        tally.not_told(&first, NOW);
        for n in 1..REST / 1_000_000 {
            assert_eq!(tally.count(Policy::Login, NOW + n * 1_000_000), None);
        }
        let later = tally.count(Policy::Login, NOW + REST).unwrap();
        let all = RefusalCount {
            limit: "login".into(),
            count: 11,
        };
        assert_eq!(later, [all]);
    }
}
