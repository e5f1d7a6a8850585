//! Whose the clients of a document are. Each Yjs document that somebody opens is a client with an
//! id of its own, and numbers what it inserts. Whoever could write under another's id would use up
//! the numbers of what the other is about to type, which then counts as known and is gone.
//!
//! A client belongs to the first who wrote under its id while awareness said that it is theirs: a
//! provider speaks of itself under the same id. While a client is present, only its own user goes
//! on with its history. Who is not present cannot be told from who is repeated: people pass on what
//! they have of each other, and a room that has lost something gets it back that way.

use std::collections::BTreeMap;

use codecrafter_shared::id::UserId;

use super::awareness::Awareness;

/// Whose each client is, as far as that is known.
#[derive(Debug, Default)]
pub struct Authors(BTreeMap<u64, UserId>);

impl Authors {
    /// Those that were stored.
    #[must_use]
    pub fn new(stored: impl IntoIterator<Item = (u64, UserId)>) -> Self {
        Self(stored.into_iter().collect())
    }

    /// Whether `user` may go on with the history of `client`.
    pub(super) fn may_append(&self, client: u64, user: UserId, present: &Awareness) -> bool {
        match (self.0.get(&client), present.holder(client)) {
            (Some(author), holder) => *author == user || holder != Some(*author),
            (None, Some(holder)) => holder == user,
            (None, None) => true,
        }
    }

    /// Notes that `user` has gone on with the history of `client`. True if it is known since now
    /// whose that is.
    pub(super) fn note(&mut self, client: u64, user: UserId, present: &Awareness) -> bool {
        let new = !self.0.contains_key(&client) && present.holder(client) == Some(user);
        if new {
            self.0.insert(client, user);
        }
        new
    }
}
