//! What this process knows of the messages that it sent: AMQP finds no duplicates, and does not
//! tell what others have in hand. Pure; a memory that is lost or full costs a duplicate, which the
//! edge finds.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Longer than any job runs: by default the broker ends a channel on which a message was not
/// acknowledged for half an hour.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// More is not remembered.
const KNOWN_MAX: usize = 16 * 1024;
/// Messages that are done with, of which so many are remembered.
const DONE_MAX: usize = 1024;

/// What was put into a queue and was not seen to leave it, by key.
#[derive(Debug)]
pub(super) struct Known<K> {
    entries: HashMap<K, Entry>,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    confirmed: bool,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        let entries = HashMap::new();
        Self { entries }
    }
}

impl<K: Eq + Hash> Known<K> {
    /// It is about to be sent. Returns whether it is known to be in the queue.
    pub(super) fn begin(&mut self, key: K, now: Instant) -> bool {
        self.forget_old(now);
        let full = self.entries.len() >= KNOWN_MAX;
        match self.entries.get(&key) {
            Some(entry) => entry.confirmed,
            None if full => false,
            None => {
                let (since, confirmed) = (now, false);
                self.entries.insert(key, Entry { since, confirmed });
                false
            }
        }
    }

    /// The broker has it. What has left the queue meanwhile stays forgotten.
    pub(super) fn confirm(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.confirmed = true;
        }
    }

    /// It has left the queue, or may never have come to be in it.
    pub(super) fn forget(&mut self, key: &K) -> bool {
        self.entries.remove(key).is_some()
    }

    /// How many there are.
    pub(super) fn len(&mut self, now: Instant) -> usize {
        self.forget_old(now);
        self.entries.len()
    }

    fn forget_old(&mut self, now: Instant) {
        self.entries
            .retain(|_, entry| now.duration_since(entry.since) < LIFE);
    }
}

/// Messages that are done with, which the broker may not know: it does not answer to an
/// acknowledgement. Should they come again, they are not handed out.
#[derive(Debug, Default)]
pub(super) struct Done {
    ids: VecDeque<String>,
}

impl Done {
    /// A message without an id, which somebody else has sent, cannot be told from others.
    pub(super) fn remember(&mut self, id: String) {
        if id.is_empty() {
            return;
        }
        if self.ids.len() >= DONE_MAX {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_confirmed_and_has_not_left_is_known_to_be_there() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert!(!known.begin(1, now));
        assert!(!known.begin(1, now), "it may not have arrived");
        known.confirm(&1);
        assert!(known.begin(1, now));
        assert!(known.forget(&1));
        known.confirm(&1);
        assert!(
            !known.begin(1, now),
            "a late confirmation brings nothing back"
        );
    }

    #[test]
    fn what_is_not_heard_of_is_forgotten_in_the_end() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.begin(1, now);
        known.begin(2, now + LIFE / 2);
        assert_eq!(known.len(now + LIFE / 2), 2);
        assert_eq!(known.len(now + LIFE), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut known, mut done, now) = (Known::default(), Done::default(), Instant::now());
        for number in 0..2 * KNOWN_MAX {
            known.begin(number, now);
        }
        assert_eq!(known.len(now), KNOWN_MAX);
        for number in 0..=DONE_MAX {
            done.remember(number.to_string());
        }
        assert!(!done.contains("0") && done.contains("1"));
    }

    #[test]
    fn a_message_without_an_id_is_never_taken_for_one_that_is_done() {
        let mut done = Done::default();
        done.remember(String::new());
        assert!(!done.contains(""));
    }
}
