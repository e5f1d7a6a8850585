//! What the service offers, and how it is.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `GET /languages`: what live executors offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Languages {
    /// Sorted by id.
    pub items: Vec<OfferedLanguage>,
}

/// A language, and whether somebody can run it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OfferedLanguage {
    /// The id to name in a request, such as `python`.
    pub id: String,
    /// The name to show, such as `Python`.
    pub name: String,
    /// Versions that live executors probed, newest first; empty if none is live.
    pub versions: Vec<String>,
    /// The day after which upstream mends no more security faults of the first version, such as
    /// `2028-10-31`; left out where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<String>,
    /// Whether a live executor offers it. An execution in a language that nobody offers waits.
    pub available: bool,
}

/// `GET /health`: the process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The server's clock.
    pub timestamp: Timestamp,
}

/// `GET /ready`: whether what the edge stands on answers; 503 if not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// `ready` or `unavailable`.
    pub status: String,
    /// Executors that were heard of within the last minute.
    pub live_executors: u32,
    /// Executions that wait for an executor.
    pub waiting_executions: u32,
}
