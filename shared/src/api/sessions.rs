//! Sessions, their participants and their content.

use serde::{Deserialize, Serialize};

use crate::id::{SessionId, UserId};
use crate::job::SourceFile;
use crate::role::Role;
use crate::time::Timestamp;

/// `POST /sessions` → 201 [`Session`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateSession {
    /// 1–100 characters.
    pub title: String,
    /// At most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A language id of the table.
    pub language: String,
    /// The main file to begin with; empty if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Whether every signed-in user may join; `false` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// The role of those who join a public session: `viewer` (if left out) or `editor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_role: Option<Role>,
    /// 1–50, the owner included; 10 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_participants: Option<u32>,
}

/// `PUT /sessions/{id}` and `PATCH /sessions/{id}` → 200 [`Session`]; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateSession {
    /// As in [`CreateSession`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// As in [`CreateSession`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// As in [`CreateSession`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// As in [`CreateSession`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// As in [`CreateSession`]; those who joined keep their role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_role: Option<Role>,
    /// As in [`CreateSession`]; not below the present number of participants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_participants: Option<u32>,
    /// Whether edits are refused from everybody but the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_locked: Option<bool>,
}

/// `POST /sessions/{id}/participants` → 201 [`Participant`]: adds somebody without their doing,
/// which is how others come into a private session. Needs the role admin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddParticipant {
    /// Their user name; case does not count.
    pub username: String,
    /// Their role; `viewer` if left out. Not above the caller's own, and never `owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// `PUT /sessions/{id}/participants/{userId}` → 200 [`Participant`]. Needs the role admin, and a
/// participant whose role is below the caller's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRole {
    /// Not above the caller's own, and never `owner`.
    pub role: Role,
}

/// `POST /sessions/{id}/transfer` → 200 [`Session`]: makes a participant the owner, and the owner
/// an admin (CC-SESS-25). Only the owner may (CC-RBAC-03).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferSession {
    /// The participant who becomes the owner.
    pub user_id: UserId,
}

/// `GET /sessions/{id}/content` → 200: the document as its room has it now, with its `ETag`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionContent {
    /// The main file.
    pub content: String,
    /// Further files, sorted by path.
    pub files: Vec<SourceFile>,
}

/// `PUT /sessions/{id}/content` → 200 [`SessionContent`], written as an ordinary edit that
/// everybody in the room sees; what is left out stays. With `If-Match`, only if nothing has changed
/// since. Needs the right to edit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteContent {
    /// The main file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// All further files: those that are not named are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<SourceFile>>,
}

/// A session as one of its participants (or, if public, anybody) sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session's id, and its room's.
    pub id: SessionId,
    /// The title.
    pub title: String,
    /// The description; may be empty.
    pub description: String,
    /// The language that it runs in unless an execution says otherwise.
    pub language: String,
    /// Whether every signed-in user may see and join it.
    pub is_public: bool,
    /// Whether edits are refused from everybody but the owner.
    pub is_locked: bool,
    /// The role of those who join.
    pub join_role: Role,
    /// Participants allowed, the owner included.
    pub max_participants: u32,
    /// The owner.
    pub owner_id: UserId,
    /// The caller's role; none if the caller has not joined.
    pub role: Option<Role>,
    /// Raised by every change of lock, role or membership (E7).
    pub access_version: u64,
    /// Everybody who joined, in the order of joining.
    pub participants: Vec<Participant>,
    /// What it was forked from; none if it was not.
    #[serde(default)]
    pub fork_of: Option<ForkOf>,
    /// How many sessions were forked from it, counted up to 1,000.
    #[serde(default)]
    pub forks: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a setting was last changed.
    pub updated_at: Timestamp,
}

/// What a session was forked from (CC-SESS-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForkOf {
    /// The session. The caller may not see it, and it may not be there any more.
    pub session_id: SessionId,
    /// The version; none if it was the document as it was then.
    pub version: Option<u64>,
}

/// Somebody with a role in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// What the user may do here.
    pub role: Role,
    /// When the user joined.
    pub joined_at: Timestamp,
}

/// A session in a list, newest change first: `GET /sessions` lists those that the caller has joined,
/// `GET /sessions?scope=public` everybody's public ones. `language` and `q` (words in title or
/// description) narrow both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// The session's id.
    pub id: SessionId,
    /// The title.
    pub title: String,
    /// The language.
    pub language: String,
    /// Whether every signed-in user may see and join it.
    pub is_public: bool,
    /// The caller's role; none if the caller has not joined.
    pub role: Option<Role>,
    /// The owner's name, as others see it.
    pub owner_name: String,
    /// How many participants it has.
    pub participant_count: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a setting was last changed.
    pub updated_at: Timestamp,
}

/// `POST /sessions/{id}/join` → 200. Harmless to repeat: whoever has joined keeps the role and
/// gets a new room token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// The session, with the caller among its participants.
    pub session: Session,
    /// Opens the room: a stock provider connects to `room_url` + `/` + session id with
    /// `params: { token }`, or with the subprotocols `yjs` and `token.<roomToken>`.
    pub room_token: String,
    /// When the room token ends.
    pub room_token_expires_at: Timestamp,
    /// Path of the rooms' WebSocket endpoint, without the session id; none where the platform has
    /// no WebSockets.
    pub room_url: Option<String>,
    /// Path of the rooms' event streams, where the platform has those instead: `GET` with the session
    /// id and `/events` behind it, `POST` with `/frames`.
    #[serde(default)]
    pub room_stream_url: Option<String>,
}
