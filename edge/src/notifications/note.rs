//! A notification on its way to a person: what it says, and what it takes the place of.

use codecrafter_shared::api::NotificationEvent;
use codecrafter_shared::id::{OutboxId, UserId};
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A notification before it has a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub event: NotificationEvent,
    /// What tells it from others, if that is not the message that brings it: one that comes again
    /// with the same mark is not taken twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

impl Note {
    /// The mark, of a note that comes with this message.
    #[must_use]
    pub fn mark_with(&self, message: OutboxId) -> String {
        self.mark.clone().unwrap_or_else(|| message.to_string())
    }

    /// Notes about the same say how something is: a later one takes the place of an earlier.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        use NotificationEvent::{Added, Locked, Removed, RoleChanged, Unlocked};
        match &self.event {
            Added { session_id, .. }
            | RoleChanged { session_id, .. }
            | Removed { session_id, .. } => Some(format!("access {session_id}")),
            Locked { session_id, .. } | Unlocked { session_id, .. } => {
                Some(format!("lock {session_id}"))
            }
            _ => None,
        }
    }

    /// Who has brought it about; nobody of what the person did.
    #[must_use]
    pub const fn actor(&self) -> Option<UserId> {
        use NotificationEvent::{
            Added, Locked, Mentioned, Removed, RoleChanged, RunFinished, Unlocked,
        };
        match &self.event {
            Added { by, .. }
            | RoleChanged { by, .. }
            | Removed { by, .. }
            | Locked { by, .. }
            | Unlocked { by, .. }
            | Mentioned { by, .. } => Some(by.user_id),
            RunFinished { .. } => None,
        }
    }
}
