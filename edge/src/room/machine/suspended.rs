//! A room between two inputs, where memory does not last: everything of it but its document and
//! what [`super::super::store`] restores.

use std::collections::{BTreeMap, BTreeSet};

use codecrafter_shared::id::UserId;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::awareness::Awareness;
use super::super::connection::{Connection, ConnectionId};
use super::super::rate::Spent;
use super::super::run::LiveRun;
use super::{LoadedDocument, Room, Stored};

/// What is to be kept of a room until its next input.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Suspended {
    connections: Vec<Connection>,
    /// What each of them, and each person, has sent of late.
    spent: Vec<(ConnectionId, Spent)>,
    people: BTreeMap<UserId, Spent>,
    awareness: Awareness,
    run: LiveRun,
    wake_at: Option<Timestamp>,
}

impl Suspended {
    /// A connection that was open then.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|c| c.id == id)
    }

    /// Every connection that was open then.
    pub fn connection_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.iter().map(|connection| connection.id)
    }

    /// Whose connections were open then, each once.
    #[must_use]
    pub fn here(&self) -> BTreeSet<UserId> {
        let of = self.connections.iter();
        of.map(|connection| connection.principal.user_id).collect()
    }

    /// When the room wanted to be woken.
    #[must_use]
    pub const fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }
}

impl Room {
    /// The room as it was when it was suspended, in which a socket may send so many frames in a
    /// second.
    #[must_use]
    pub fn resume(
        stored: Stored,
        suspended: Suspended,
        frames_per_second: u32,
        now: Timestamp,
    ) -> Self {
        let mut room = Self::restore(stored, suspended.connections, now)
            .with_frames_per_second(frames_per_second);
        for (id, spent) in suspended.spent {
            if let Some(connection) = room.connections.get_mut(&id) {
                connection.spent = spent;
            }
        }
        room.rates.people = suspended.people;
        room.awareness = suspended.awareness;
        room.run = suspended.run;
        room.wake_at = suspended.wake_at;
        room
    }

    /// Takes the room apart, after its last input was flushed: what is to be kept of it, and its
    /// document if it has one, which is as it was stored.
    #[must_use]
    pub fn suspend(self) -> (Suspended, Option<LoadedDocument>) {
        let connections: Vec<Connection> = self.connections.into_values().collect();
        let suspended = Suspended {
            spent: connections.iter().map(|c| (c.id, c.spent)).collect(),
            connections,
            people: self.rates.people,
            awareness: self.awareness,
            run: self.run,
            wake_at: self.wake_at,
        };
        (suspended, self.document)
    }
}
