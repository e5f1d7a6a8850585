//! Executors, as operators see them.

use serde::{Deserialize, Serialize};

use crate::id::ExecutorId;
use crate::language::AnnouncedLanguage;
use crate::time::Timestamp;

/// `GET /executors`, with `Authorization: Bearer <operator token>`: every enrolled host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Executors {
    /// Sorted by when they were enrolled; at most 500, those that were heard of last. A revoked one
    /// is among them for 30 days.
    pub items: Vec<Executor>,
}

/// An enrolled executor-host. `DELETE /executors/{id}` → 204 revokes its credentials: its requests
/// are refused from then on, and what it holds goes to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Executor {
    /// The executor's id.
    pub id: ExecutorId,
    /// The name that it enrolled with.
    pub name: String,
    /// The version of its program, as it says.
    pub version: String,
    /// What it can run.
    pub languages: Vec<AnnouncedLanguage>,
    /// Jobs that it can run at a time.
    pub capacity: u32,
    /// Jobs that it holds now.
    pub held: u32,
    /// Whether it was heard of within the last minute.
    pub live: bool,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// When its credentials were revoked.
    pub revoked_at: Option<Timestamp>,
}
