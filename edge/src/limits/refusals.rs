//! Refusals that an instance of the front remembers, so that who is refused and asks on is answered
//! from memory: nobody else notices a flood.
//!
//! A refusal changes nothing about its key, so until its time has come the next one is certain.
//! Only what is given back could change that, so it is remembered for [`REMEMBERED_MAX`] at
//! most.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Micros;
use super::policy::Policy;

/// How long a refusal is remembered at most.
const REMEMBERED_MAX: Micros = 10_000_000;
/// Refusals that an instance remembers.
const KEYS_MAX: usize = 4_096;

/// Why a key is refused, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The policy that has nothing left.
    pub policy: Policy,
    /// When it has.
    pub until: Micros,
}

#[derive(Debug)]
struct Entry {
    refused: Refused,
    forget_at: Micros,
    /// Requests that were answered from here.
    answered: u64,
}

/// What an instance remembers.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(String, Policy), Entry>>);

impl Refusals {
    /// The refusal that is certain for a request that falls under these policies of `key`.
    pub fn certain(&self, key: &str, policies: &[Policy], now: Micros) -> Option<Refused> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.is_empty() {
            return None;
        }
        policies.iter().find_map(|policy| {
            let entry = entries.get_mut(&(key.to_owned(), *policy))?;
            (now < entry.refused.until.min(entry.forget_at)).then(|| {
                entry.answered = entry.answered.saturating_add(1);
                entry.refused
            })
        })
    }

    /// Remembers a refusal. Gives how many requests were answered from memory since the last one of
    /// that key.
    pub fn remember(&self, key: &str, refused: Refused, now: Micros) -> u64 {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEYS_MAX {
            entries.retain(|_, entry| now < entry.refused.until.min(entry.forget_at));
        }
        if entries.len() >= KEYS_MAX {
            entries.clear();
        }
        let entry = Entry {
            refused,
            forget_at: now.saturating_add(REMEMBERED_MAX),
            answered: 0,
        };
        let before = entries.insert((key.to_owned(), refused.policy), entry);
        before.map_or(0, |entry| entry.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;

    #[test]
    fn a_refusal_is_certain_until_its_time_and_for_ten_seconds_at_most() {
        let refusals = Refusals::default();
        let asked = |now| refusals.certain("k", &[Policy::User, Policy::Join], now);
        assert_eq!(asked(NOW), None);
        let refused = |until| Refused {
            policy: Policy::Join,
            until,
        };
        let soon = refused(NOW + 5_000_000);
        assert_eq!(refusals.remember("k", soon, NOW), 0);
        assert_eq!(asked(NOW), Some(soon));
        assert_eq!(asked(NOW + 4_999_999), Some(soon));
        assert_eq!(asked(NOW + 5_000_000), None);
        assert_eq!(refusals.certain("other", &[Policy::Join], NOW), None);
        assert_eq!(refusals.certain("k", &[Policy::User], NOW), None);
        let late = refused(NOW + 900_000_000);
        assert_eq!(refusals.remember("k", late, NOW), 2);
        assert_eq!(asked(NOW + REMEMBERED_MAX), None);
    }

    #[test]
    fn memory_is_bounded() {
        let refusals = Refusals::default();
        for n in 0..3 * KEYS_MAX {
            let refused = Refused {
                policy: Policy::Address,
                until: NOW + 1_000_000,
            };
            refusals.remember(&n.to_string(), refused, NOW);
            assert!(refusals.0.lock().unwrap().len() <= KEYS_MAX);
        }
    }
}
