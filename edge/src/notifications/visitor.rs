//! Whoever comes to hear what they are told: who it is, and what they know already.

use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::token::Caller;

/// Who opens a socket to their own feed, with a verified token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedVisitor {
    /// Who it is.
    pub caller: Caller,
    /// When the token ends, and the socket with it.
    pub expires_at: Timestamp,
    /// What the client has.
    pub after: Option<Mark>,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// The number of the last notification that it has.
    pub seq: u64,
    /// How far it knows the person to have read.
    pub read_seq: u64,
}
