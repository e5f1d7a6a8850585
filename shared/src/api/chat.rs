//! What the participants of a session say to each other.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// `POST /sessions/{id}/chat` → 201 [`ChatMessage`], after it is stored; everybody in the room gets
/// it. For participants of any role.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendChatMessage {
    /// Plain text of 1–2,000 characters; lines are kept.
    pub text: String,
    /// 1–64 characters that the client draws anew for each message: a request that is repeated
    /// with the same gives the message that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChatMessage {
    /// Numbers the messages of a session from 1, without a gap.
    pub seq: u64,
    /// When it was stored.
    pub sent_at: Timestamp,
    /// Who sent it.
    pub user_id: UserId,
    /// Their name then, as others see it.
    pub display_name: String,
    /// Plain text, never markup; empty once it is deleted.
    pub text: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// `GET /sessions/{id}/chat` → 200: messages in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChatMessages {
    /// The newest that were asked for, oldest first.
    pub items: Vec<ChatMessage>,
    /// Whether there are older ones: ask with `before` as the first one's `seq`.
    pub more: bool,
}
