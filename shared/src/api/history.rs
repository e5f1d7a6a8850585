//! How a session's document came about: step by step, for playback.

use serde::{Deserialize, Serialize};

use super::sessions::SessionContent;
use super::versions::{FileChange, Version};
use crate::id::UserId;
use crate::time::Timestamp;

/// `GET /sessions/{id}/history` → 200: some steps in their order, and the text before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// The number of the first step that is kept.
    pub first: u64,
    /// The number of the last step; one less than `first` if there is none.
    pub last: u64,
    /// The number of this page's first step; one more than `last` if that is behind all of them.
    pub from: u64,
    /// The text before that step.
    pub start: SessionContent,
    /// The steps. A number that is missing is that of a step which cannot be read any more.
    pub steps: Vec<HistoryStep>,
    /// Those who have made them, as far as they still have an account.
    pub people: Vec<HistoryPerson>,
    /// Where the next page begins; none behind the last step. `start` of that page holds, whatever
    /// these steps lead to.
    pub next: Option<u64>,
}

/// What was changed within a second by the same people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryStep {
    /// Numbers the steps of a session from 1. Only the newest step may still grow.
    pub number: u64,
    /// When the last of it was stored.
    pub at: Timestamp,
    /// Who has made it: nobody, if the session began with it; several, if they typed within the
    /// same 50 ms.
    pub user_ids: Vec<UserId>,
    /// What has changed: the main file first, then by path.
    pub files: Vec<HistoryFile>,
}

/// A file that a step has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryFile {
    /// The path; none for the main file.
    pub path: Option<String>,
    /// Whether the file is there before and after it. A file that is added was empty before.
    pub change: FileChange,
    /// In the order of the text. All positions are those before the step, so the last is to be
    /// made first.
    pub splices: Vec<HistorySplice>,
}

/// A text that takes the place of another one. Positions and lengths count UTF-16 units, as
/// JavaScript and Yjs do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistorySplice {
    /// Where, from 0.
    pub at: u32,
    /// How much goes.
    pub removed: u32,
    /// What comes.
    pub inserted: String,
}

/// Somebody who has made a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryPerson {
    /// The account.
    pub user_id: UserId,
    /// What others see.
    pub display_name: String,
}

/// `POST /sessions/{id}/history/{step}/restore` → 200: the document has the text again that it had
/// after that step, by an ordinary edit that everybody in the room sees. Needs the right to edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RestoredStep {
    /// The step.
    pub step: u64,
    /// What the document was before; none if that is a version already, or nothing has changed.
    pub before: Option<Version>,
}
