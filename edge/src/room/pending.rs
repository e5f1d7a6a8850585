//! What has happened in the room and was not told yet. Who types alone is told of at once; what comes
//! sooner than [`PACE_MS`] after that waits for the rest of the time, and is then one row and one
//! frame to each reader (R5). When much comes, it waits only until nothing more is at hand.
//!
//! A machine that cannot keep up is late with the room's timers. The room then takes more time, so
//! that it asks for fewer commits and frames, and takes less again as soon as they come in time.
//!
//! Nobody sees an edit while it waits: what shows the document to anybody flushes first. Should the
//! room lose its memory meanwhile, only those who have made these edits know of them, and as their
//! sockets end with the room, they offer them again when they connect.

use std::collections::BTreeMap;

use codecrafter_shared::id::UserId;
use codecrafter_shared::time::Timestamp;
use yrs::StateVector;

use super::awareness::Entries;
use super::connection::ConnectionId;
use super::document::Document;

/// The time between two flushes, unless much comes.
pub(super) const PACE_MS: i64 = 50;
/// The same on a machine that cannot keep up.
const SLOWEST_PACE_MS: i64 = 800;
/// Edits within that time that are much: they are flushed as soon as nothing more is at hand.
const MUCH: i64 = 8;
/// Edits that are flushed at once, whatever else is at hand.
const EDITS_MAX: usize = 256;
/// Their bytes.
const BYTES_MAX: usize = 64 * 1024;
/// Awareness states that are flushed at once.
const STATES_MAX: usize = 64;

/// Edits and awareness since the last flush.
#[derive(Debug, Default)]
pub(super) struct Pending {
    edits: Vec<Edit>,
    bytes: usize,
    /// What the document held before the first of them.
    known: StateVector,
    /// The newest state of each id, with the socket that it is from.
    states: BTreeMap<u64, (ConnectionId, u64, Option<String>)>,
    /// How many edits of a socket are in the document, of which it is to be told when that is stored.
    saved: BTreeMap<ConnectionId, u32>,
    /// Whose the clients are that have written for the first time.
    authors: Vec<(u64, UserId)>,
    flushed_at: Timestamp,
    /// What is added to [`PACE_MS`] because the machine is late.
    slower_ms: i64,
    /// When the room is to be woken for the next flush.
    asked: Option<Timestamp>,
    /// Whether that is as soon as nothing more is at hand.
    asked_soon: bool,
}

#[derive(Debug)]
struct Edit {
    from: Option<ConnectionId>,
    actor: Option<UserId>,
    data: Vec<u8>,
}

/// Edits that are told together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Together {
    /// The one socket that all of them are from; it has them already.
    pub(super) from: Option<ConnectionId>,
    /// Who has made them, each once; nobody has made the first content.
    pub(super) actors: Vec<UserId>,
    /// One update.
    pub(super) data: Vec<u8>,
}

/// When to flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In this step.
    Now,
    /// After so many milliseconds.
    In(u32),
    /// When the room is woken, as it has asked for, or never.
    AsAsked,
}

impl Pending {
    /// What is to be noted of `document` before an edit is made in it, for [`Pending::edit`].
    pub(super) fn before(&self, document: &Document) -> Option<StateVector> {
        self.edits.is_empty().then(|| document.known().clone())
    }

    /// Adds an edit.
    pub(super) fn edit(
        &mut self,
        from: Option<ConnectionId>,
        actor: Option<UserId>,
        data: Vec<u8>,
        before: Option<StateVector>,
    ) {
        if let Some(known) = before {
            self.known = known;
        }
        self.bytes = self.bytes.saturating_add(data.len());
        self.edits.push(Edit { from, actor, data });
    }

    /// Adds awareness that is news to everybody but `from`.
    pub(super) fn awareness(&mut self, from: ConnectionId, news: Entries) {
        for (client, clock, state) in news {
            self.states.insert(client, (from, clock, state));
        }
    }

    /// Adds edits of a socket that is to be told when they are stored.
    pub(super) fn saved(&mut self, from: ConnectionId, edits: u32) {
        let saved = self.saved.entry(from).or_default();
        *saved = saved.saturating_add(edits);
    }

    /// A socket has gone: it cannot be told anything.
    pub(super) fn gone(&mut self, socket: ConnectionId) {
        self.saved.remove(&socket);
    }

    /// When what waits is to be flushed.
    pub(super) fn when(&mut self, now: Timestamp) -> When {
        if self.edits.is_empty() && !self.saved.is_empty() {
            // Nothing is left to be stored for them.
            return When::Now;
        }
        if self.edits.is_empty() && self.states.is_empty() {
            return When::AsAsked;
        }
        let pace = PACE_MS.saturating_add(self.slower_ms);
        // A clock that was set back must not hold anything up.
        let since = now.since(self.flushed_at);
        let full = self.edits.len() >= EDITS_MAX
            || self.bytes >= BYTES_MAX
            || self.states.len() >= STATES_MAX;
        if full || !(0..pace).contains(&since) {
            return When::Now;
        }
        let much = usize::try_from(MUCH.saturating_mul(pace) / PACE_MS).unwrap_or(EDITS_MAX);
        if self.edits.len() >= much && !self.asked_soon {
            self.asked_soon = true;
            self.asked = Some(now);
            return When::In(0);
        }
        if self.asked.is_some() {
            return When::AsAsked;
        }
        let wait = pace.saturating_sub(since);
        self.asked = Some(now.plus_millis(wait));
        When::In(u32::try_from(wait).unwrap_or(0))
    }

    /// Notes that the room was woken for a flush.
    pub(super) fn woken(&mut self, now: Timestamp) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.asked_soon = false;
        if now.since(asked) >= PACE_MS {
            let slower = self.slower_ms.saturating_mul(2).max(PACE_MS);
            self.slower_ms = slower.min(SLOWEST_PACE_MS.saturating_sub(PACE_MS));
        } else {
            self.slower_ms = self.slower_ms.saturating_mul(3) / 4;
        }
    }

    /// Takes the edits, which `document` has in it, oldest first: nearly always as one.
    pub(super) fn take_edits(&mut self, now: Timestamp, document: &Document) -> Vec<Together> {
        if self.edits.is_empty() {
            return Vec::new();
        }
        self.flushed_at = now;
        self.bytes = 0;
        let edits = std::mem::take(&mut self.edits);
        let data = match edits.as_slice() {
            [_] => None,
            several => {
                let several: Vec<&[u8]> = several.iter().map(|edit| &*edit.data).collect();
                document.merged(&several, &self.known)
            }
        };
        let Some(data) = data else {
            let alone = |edit: Edit| Together {
                from: edit.from,
                actors: edit.actor.into_iter().collect(),
                data: edit.data,
            };
            return edits.into_iter().map(alone).collect();
        };
        vec![Together {
            from: common(edits.iter().map(|edit| edit.from)),
            actors: each_once(edits.iter().filter_map(|edit| edit.actor)),
            data,
        }]
    }

    /// Notes whose a client is, to be stored with its edit.
    pub(super) fn author(&mut self, client: u64, user: UserId) {
        self.authors.push((client, user));
    }

    /// Takes what was noted of clients.
    pub(super) fn take_authors(&mut self) -> Vec<(u64, UserId)> {
        std::mem::take(&mut self.authors)
    }

    /// Takes the sockets whose edits are stored with the edits that were taken, and how many.
    pub(super) fn take_saved(&mut self) -> BTreeMap<ConnectionId, u32> {
        std::mem::take(&mut self.saved)
    }

    /// Takes the states, and the one socket that all of them are from.
    pub(super) fn take_states(
        &mut self,
        now: Timestamp,
    ) -> Option<(Option<ConnectionId>, Entries)> {
        if self.states.is_empty() {
            return None;
        }
        self.flushed_at = now;
        let states = std::mem::take(&mut self.states);
        let from = common(states.values().map(|(from, ..)| Some(*from)));
        let entries = states.into_iter();
        let entries = entries.map(|(client, (_, clock, state))| (client, clock, state));
        Some((from, entries.collect()))
    }

    /// Forgets everything: there is nobody to be told, and nothing to be kept.
    pub(super) fn clear(&mut self) {
        self.edits.clear();
        self.bytes = 0;
        self.states.clear();
        self.saved.clear();
        self.authors.clear();
    }

    /// The sockets that edits are from, or that wait for them to be stored.
    pub(super) fn writers(&self) -> Vec<ConnectionId> {
        let mut writers: Vec<_> = self.edits.iter().filter_map(|edit| edit.from).collect();
        writers.extend(self.saved.keys());
        writers.sort_unstable();
        writers.dedup();
        writers
    }
}

fn each_once(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    let mut once: Vec<UserId> = Vec::new();
    for user in users {
        if !once.contains(&user) {
            once.push(user);
        }
    }
    once
}

/// What all of `values` are, if they are the same.
fn common<T: PartialEq>(mut values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = values.next()??;
    values
        .all(|value| value.as_ref() == Some(&first))
        .then_some(first)
}
