//! Who is here and where their cursors are: the awareness table of y-protocols, with an owner for
//! every id. `yrs` has one too, but it counts clocks in 32 bits, raises the clock of a removal so
//! that a client that comes back stays invisible, keeps what is gone for ever and does not look
//! at what it passes on.
//!
//! A client may speak for ids of its own. What it says about others, which stock providers do all
//! the time by repeating what they were told, is dropped.

use std::collections::BTreeMap;

use codecrafter_shared::id::UserId;
use codecrafter_shared::limits::AWARENESS_STATE_BYTES_MAX;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::connection::{Connection, ConnectionId};
use super::identity;
use super::read::{Malformed, Reader};

/// Ids that may be bound to one socket: its own, and those of tabs that it speaks for.
const IDS_PER_CONNECTION_MAX: usize = 4;
/// Clocks stay below this; at one state a millisecond that is 34 years.
const CLOCK_MAX: u64 = 1 << 40;
/// How deep a state may be nested.
const DEPTH_MAX: usize = 8;
/// A state that was not renewed for this long is not shown to newcomers (y-protocols:
/// `outdatedTimeout`), unless its client is a quiet one.
const OUTDATED_MS: i64 = 30_000;
/// How long an id is kept for its user after it has gone, so that repetitions of its last state
/// by others do not bring it back in their name.
const GONE_MS: i64 = 60_000;
/// How long what a socket has said is shown after it was cut: its client is probably on its way
/// back, with the same id and a clock that others would not take for news once it was taken back.
const RETURN_MS: i64 = 5_000;

/// The states of everybody in the room, by awareness id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Awareness {
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    user: UserId,
    /// The socket that speaks for it; `None` once it has gone.
    connection: Option<ConnectionId>,
    clock: u64,
    state: State,
    seen: Timestamp,
    /// Whether its client speaks only when something changes.
    quiet: bool,
    /// When it is taken back, unless its client returns.
    leaves_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// The room has slept, and has not heard from it since.
    Unknown,
    /// Taken back, or the socket has closed.
    Gone,
    /// JSON, with the identity that the room has put in.
    Here(String),
}

impl Entry {
    /// Whether a newcomer is told of it.
    fn holds(&self, now: Timestamp) -> bool {
        let connected = self.quiet && self.connection.is_some();
        connected || now.since(self.seen) <= OUTDATED_MS
    }
}

/// An entry to be sent to others: awareness id, clock, and the state unless it is taken back.
pub(super) type Entries = Vec<(u64, u64, Option<String>)>;

/// What became of an awareness frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// What is new to others.
    pub(super) news: Entries,
    /// Whether the sender's list of ids has changed.
    pub(super) bound: bool,
    /// The socket that an id was taken over from.
    pub(super) unbound: Option<ConnectionId>,
    /// Whether the sender spoke for itself, rather than repeating what others had said.
    pub(super) own: bool,
}

impl Awareness {
    /// The table of a room that has slept: who is here is known, their states are not.
    pub(super) fn of_woken(
        connections: &BTreeMap<ConnectionId, Connection>,
        now: Timestamp,
    ) -> Self {
        let mut entries = BTreeMap::new();
        for connection in connections.values() {
            for (client, clock) in &connection.awareness {
                let entry = Entry {
                    user: connection.principal.user_id,
                    connection: Some(connection.id),
                    clock: *clock,
                    state: State::Unknown,
                    seen: now,
                    quiet: connection.quiet,
                    leaves_at: None,
                };
                entries.insert(*client, entry);
            }
        }
        Self { entries }
    }

    /// Takes in the body of a frame from `sender`. Its list of ids is kept up to date.
    pub(super) fn hear(
        &mut self,
        sender: &mut Connection,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Heard, Malformed> {
        scan(body)?;
        let mut reader = Reader::new(body);
        let count = reader.var_uint()?;
        // A provider speaks first, alone and for itself. Later frames may be repetitions.
        let introduces = count == 1 && sender.awareness.is_empty();
        let mut heard = Heard {
            own: sender.awareness.is_empty(),
            ..Heard::default()
        };
        for _ in 0..count {
            let client = reader.var_uint()?;
            let clock = reader.var_uint()?;
            let state = reader.var_string()?;
            heard.own |= sender.awareness.iter().any(|(id, _)| *id == client);
            self.hear_one(
                sender,
                Said {
                    client,
                    clock,
                    state,
                    introduces,
                },
                now,
                &mut heard,
            );
        }
        Ok(heard)
    }

    fn hear_one(
        &mut self,
        sender: &mut Connection,
        said: Said<'_>,
        now: Timestamp,
        heard: &mut Heard,
    ) {
        let state = match said.state {
            "null" => State::Gone,
            text => match identity::stamp(text, &sender.principal, DEPTH_MAX) {
                Some(stamped) if text.len() <= AWARENESS_STATE_BYTES_MAX => State::Here(stamped),
                _ => return,
            },
        };
        let has_place = sender.awareness.len() < IDS_PER_CONNECTION_MAX;
        let binds = match self.entries.get(&said.client) {
            None if state == State::Gone || !has_place => return,
            None => true,
            Some(entry) if entry.user != sender.principal.user_id => return,
            Some(entry) => {
                let newer = said.clock > entry.clock;
                let fills = said.clock == entry.clock && entry.state == State::Unknown;
                let takes_back = said.clock == entry.clock && state == State::Gone;
                let returns = said.introduces && said.clock >= entry.clock;
                let takes_over = entry.connection != Some(sender.id)
                    && (said.introduces || entry.connection.is_none());
                let nobody = entry.state == State::Gone && state == State::Gone;
                let news = newer || fills || takes_back || returns;
                if !news || nobody || (takes_over && !has_place) {
                    return;
                }
                if takes_over {
                    heard.unbound = entry.connection;
                }
                takes_over
            }
        };
        if binds {
            sender.awareness.push((said.client, said.clock));
            heard.bound = true;
        }
        let shown = match &state {
            State::Here(json) => Some(json.clone()),
            _ => None,
        };
        let connection = match self.entries.get(&said.client) {
            Some(entry) if !binds => entry.connection,
            _ => Some(sender.id),
        };
        let user = sender.principal.user_id;
        let entry = Entry {
            user,
            connection,
            clock: said.clock,
            state,
            seen: now,
            quiet: sender.quiet,
            leaves_at: None,
        };
        self.entries.insert(said.client, entry);
        heard.news.push((said.client, said.clock, shown));
    }

    /// Everything that a newcomer is to see. `except` is the newcomer's own socket: a client must
    /// never be told about itself.
    pub(super) fn snapshot(&self, except: ConnectionId, now: Timestamp) -> Entries {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.connection != Some(except))
            .filter(|(_, entry)| entry.holds(now))
            .filter_map(|(client, entry)| match &entry.state {
                State::Here(json) => Some((*client, entry.clock, Some(json.clone()))),
                _ => None,
            })
            .collect()
    }

    /// The clock of an id.
    pub(super) fn clock(&self, client: u64) -> Option<u64> {
        self.entries.get(&client).map(|entry| entry.clock)
    }

    /// Whose socket speaks for an id, or did until a moment ago.
    pub(super) fn holder(&self, client: u64) -> Option<UserId> {
        let entry = self.entries.get(&client)?;
        let present = entry.connection.is_some() || entry.leaves_at.is_some();
        present.then_some(entry.user)
    }

    /// Sockets with an id whose state is not known since the room has slept.
    pub(super) fn unknown(&self) -> impl Iterator<Item = ConnectionId> {
        self.entries
            .values()
            .filter(|entry| entry.state == State::Unknown)
            .filter_map(|entry| entry.connection)
    }

    /// A socket was closed by its other end, or cut: its states are taken back by
    /// [`Awareness::sweep`] unless its client returns.
    pub(super) fn lose(&mut self, gone: &Connection, now: Timestamp) {
        for entry in self.entries.values_mut() {
            if entry.connection == Some(gone.id) {
                entry.connection = None;
                if entry.state == State::Gone {
                    entry.seen = now;
                } else {
                    entry.leaves_at = Some(now.plus_millis(RETURN_MS));
                }
            }
        }
    }

    /// A socket was closed by the room, for good: takes its states back.
    pub(super) fn leave(&mut self, gone: &Connection, now: Timestamp) -> Entries {
        self.lose(gone, now);
        self.take_back(now, |entry| {
            entry.connection.is_none() && entry.user == gone.principal.user_id
        })
    }

    /// Takes back what is due.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Entries {
        self.take_back(now, |entry| entry.leaves_at.is_some_and(|at| at <= now))
    }

    /// When [`Awareness::sweep`] has something to do.
    pub(super) fn sweep_at(&self) -> Option<Timestamp> {
        let due = self.entries.values().filter_map(|entry| entry.leaves_at);
        due.min()
    }

    /// Takes states back with the clock that they had, as y-protocols does, so that a client that
    /// comes back is seen again.
    fn take_back(&mut self, now: Timestamp, which: impl Fn(&Entry) -> bool) -> Entries {
        let mut removed = Entries::new();
        for (client, entry) in &mut self.entries {
            if entry.leaves_at.is_some() && which(entry) {
                removed.push((*client, entry.clock, None));
                entry.state = State::Gone;
                entry.leaves_at = None;
                entry.seen = now;
            }
        }
        self.entries.retain(|_, entry| {
            let kept = entry.connection.is_some() || entry.leaves_at.is_some();
            kept || now.since(entry.seen) <= GONE_MS
        });
        removed
    }
}

struct Said<'a> {
    client: u64,
    clock: u64,
    state: &'a str,
    introduces: bool,
}

/// Walks over an awareness update before anything is done with it.
fn scan(body: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(body);
    for _ in 0..reader.count(4)? {
        reader.var_uint()?;
        if reader.var_uint()? > CLOCK_MAX {
            return Err(Malformed("an awareness clock out of range"));
        }
        reader.var_string()?;
    }
    reader.end()
}
