//! The event streams that one instance holds open: how many there are of each person, and which of
//! them have to look again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

/// How often the database is looked at for all streams of an instance.
const LOOK_MS: i64 = 200;

/// The event streams of one instance, and what one of them has found for all. All of it can be lost at
/// any time.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    people: BTreeMap<UserId, Streams>,
    /// What was found up to this version.
    version: u64,
    looked_at: Timestamp,
}

#[derive(Default)]
struct Streams {
    open: usize,
    /// How often it was found that there is something new.
    changes: u64,
}

impl Listeners {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more stream of that person, unless there are too many.
    pub(super) fn join(&self, user: UserId) -> bool {
        let mut memory = self.memory();
        let streams = memory.people.entry(user).or_default();
        let joins = streams.open < limits::FEED_SOCKETS_PER_USER_MAX;
        if joins {
            streams.open = streams.open.saturating_add(1);
        }
        joins
    }

    /// How many streams of a person wait here.
    #[cfg(test)]
    pub(super) fn open(&self, user: UserId) -> usize {
        let memory = self.memory();
        memory.people.get(&user).map_or(0, |streams| streams.open)
    }

    pub(super) fn leave(&self, user: UserId) {
        let mut memory = self.memory();
        if let Some(streams) = memory.people.get_mut(&user) {
            streams.open = streams.open.saturating_sub(1);
            if streams.open == 0 {
                memory.people.remove(&user);
            }
        }
    }

    /// Whether the caller is to look, and what is known already.
    pub(super) fn begin(&self, now: Timestamp) -> Option<u64> {
        let mut memory = self.memory();
        // A clock that was set back must not stop it.
        if (0..LOOK_MS).contains(&now.since(memory.looked_at)) {
            return None;
        }
        memory.looked_at = now;
        Some(memory.version)
    }

    pub(super) fn found(&self, version: u64, changed: &[UserId]) {
        let mut memory = self.memory();
        memory.version = memory.version.max(version);
        for user in changed {
            note_change(&mut memory, *user);
        }
    }

    /// This instance has just changed a log.
    pub(super) fn changed(&self, user: UserId) {
        note_change(&mut self.memory(), user);
    }

    pub(super) fn changes(&self, user: UserId) -> u64 {
        let memory = self.memory();
        memory
            .people
            .get(&user)
            .map_or(0, |streams| streams.changes)
    }
}

fn note_change(memory: &mut Memory, user: UserId) {
    if let Some(streams) = memory.people.get_mut(&user) {
        streams.changes = streams.changes.saturating_add(1);
    }
}

/// A stream of a person, until this is dropped: also if the request ends in the middle.
pub(super) struct Listening<'a>(pub(super) &'a Listeners, pub(super) UserId);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}
