//! What a person is told, wherever they are, and which people are online.

use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, SessionId, UserId};
use crate::job::Verdict;
use crate::role::Role;
use crate::time::Timestamp;

/// `GET /notifications` → 200: what the caller was told, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// Newest first.
    pub items: Vec<Notification>,
    /// Whether there are older ones: ask with `before` as the last one's `seq`.
    pub more: bool,
    /// The number of the newest notification that there ever was; 0 before the first.
    pub seq: u64,
    /// How many of those that are kept were not read.
    pub unread: u32,
}

/// Something that a person is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Numbers the notifications of a person from 1. A number that is missing was taken back by a
    /// later one about the same.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Whether it was read.
    pub read: bool,
    /// What has happened.
    pub event: NotificationEvent,
}

/// Somebody, by a name for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NamedUser {
    /// Who.
    pub user_id: UserId,
    /// Their name then, as others see it.
    pub display_name: String,
}

/// What has happened. More kinds may come; clients pass over those that they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum NotificationEvent {
    /// Somebody has added the person to a session.
    #[serde(rename_all = "camelCase")]
    Added {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// As what.
        role: Role,
        /// Who did it.
        by: NamedUser,
    },
    /// Somebody has given the person another role.
    #[serde(rename_all = "camelCase")]
    RoleChanged {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// The new role.
        role: Role,
        /// Who did it.
        by: NamedUser,
    },
    /// Somebody has taken the person out of a session.
    #[serde(rename_all = "camelCase")]
    Removed {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// Who did it.
        by: NamedUser,
    },
    /// Somebody has locked a session that the person is in.
    #[serde(rename_all = "camelCase")]
    Locked {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// Who did it.
        by: NamedUser,
    },
    /// Somebody has unlocked a session that the person is in.
    #[serde(rename_all = "camelCase")]
    Unlocked {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// Who did it.
        by: NamedUser,
    },
    /// An execution that the person has asked for has ended while they were not in the session's
    /// room.
    #[serde(rename_all = "camelCase")]
    RunFinished {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// The execution.
        execution_id: ExecutionId,
        /// How it has ended.
        verdict: Verdict,
    },
    /// Somebody has named the person in a session's chat, as `@username`.
    #[serde(rename_all = "camelCase")]
    Mentioned {
        /// The session.
        session_id: SessionId,
        /// Its title then.
        title: String,
        /// The message's number.
        message_seq: u64,
        /// How the message begins: plain text, never markup.
        text: String,
        /// Who said it.
        by: NamedUser,
    },
}

/// `POST /notifications/read` → 200 [`ReadState`]: all up to a number were read. Harmless to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarkRead {
    /// The `seq` of the last one that was read.
    pub up_to: u64,
}

/// How far a person has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReadState {
    /// All up to this number were read.
    pub read_seq: u64,
    /// How many of those that are kept were not.
    pub unread: u32,
}

/// `POST /notifications/connect` → 200: what opens the caller's feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedPass {
    /// Opens the caller's feed and nothing else, for an hour, or until the login ends.
    pub feed_token: String,
    /// When it ends, and what it has opened with it.
    pub feed_token_expires_at: Timestamp,
    /// The path of the WebSocket; none on platforms without.
    pub socket_url: Option<String>,
    /// The path of the event stream, which is everywhere.
    pub events_url: String,
}

/// What a feed sends: over a socket as text, in an event stream as `data` of an event that is named
/// by `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FeedFrame {
    /// The first of a connection. What was missed follows, unless that cannot be said.
    #[serde(rename_all = "camelCase")]
    Hello {
        /// The number of the newest notification.
        seq: u64,
        /// All up to this number were read.
        read_seq: u64,
        /// How many of those that are kept were not.
        unread: u32,
        /// Notifications behind the number that the client came with are not kept any more, or
        /// there never was such a number: ask for the list anew.
        gap: bool,
    },
    /// Something has happened.
    #[serde(rename_all = "camelCase")]
    Notification {
        /// What.
        notification: Notification,
        /// How many were not read.
        unread: u32,
    },
    /// Notifications were read, at any of the person's clients.
    #[serde(rename_all = "camelCase")]
    Read {
        /// All up to this number.
        read_seq: u64,
        /// How many were not.
        unread: u32,
    },
}

/// `GET /sessions/{id}/online` → 200: who of a session's participants is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OnlinePeople {
    /// Participants with an open feed, or in the session's room: each once, with however many
    /// clients.
    pub user_ids: Vec<UserId>,
}
