//! Versions of a session's document: taken, listed, compared, restored, forked.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::job::SourceFile;
use crate::time::Timestamp;

/// `POST /sessions/{id}/versions` → 201 [`Version`]: keeps the document as it is now. Needs the
/// role editor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakeVersion {
    /// What it is kept for: one line of 1–200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A document as it was at some moment. Its text is at `GET /sessions/{id}/versions/{number}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Numbers the versions of a session from 1. A number is not used twice.
    pub number: u64,
    /// Why it was taken.
    pub kind: VersionKind,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Who took it; none if it was taken by itself.
    pub user_id: Option<UserId>,
    /// Their name then, as others see it.
    pub display_name: Option<String>,
    /// What it was kept for.
    pub message: Option<String>,
    /// Bytes of all of its text.
    pub bytes: u64,
    /// Further files, the main file not counted.
    pub file_count: u32,
}

/// Why a version was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum VersionKind {
    /// Somebody asked for it. It stays until it is deleted.
    Manual,
    /// The document had changed, and then rested or went on changing for long. With age fewer are
    /// kept.
    Automatic,
    /// Another version was about to take its place. With age fewer are kept.
    BeforeRestore,
}

impl VersionKind {
    /// The kind's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automatic => "automatic",
            Self::BeforeRestore => "beforeRestore",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Manual, Self::Automatic, Self::BeforeRestore]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// `GET /sessions/{id}/versions/{number}` → 200: a version with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VersionContent {
    /// Which version it is.
    pub version: Version,
    /// The main file.
    pub content: String,
    /// Further files, sorted by path.
    pub files: Vec<SourceFile>,
}

/// `POST /sessions/{id}/versions/{number}/restore` → 200: the document has the text of that
/// version again, by an ordinary edit that everybody in the room sees. Needs the right to edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RestoredVersion {
    /// The version that was restored.
    pub restored: Version,
    /// What the document was before; none if that is a version already, or nothing has changed.
    pub before: Option<Version>,
}

/// `GET /sessions/{id}/versions/{number}/diff` → 200: what has to change in that version to make
/// the other one of it, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VersionDiff {
    /// The version on the old side.
    pub from: u64,
    /// The version on the new side; none if that is the document as it is now.
    pub to: Option<u64>,
    /// The files that differ: the main file first, then by path.
    pub files: Vec<FileDiff>,
    /// Whether lines were left out, because there are more than an answer has.
    pub truncated: bool,
}

/// How a file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileDiff {
    /// The path; none for the main file.
    pub path: Option<String>,
    /// Whether the file is there on both sides.
    pub change: FileChange,
    /// Lines that are new.
    pub added: u32,
    /// Lines that are gone.
    pub removed: u32,
    /// Where it differs, in order, with up to three equal lines around.
    pub hunks: Vec<DiffHunk>,
}

/// On which sides of a [`FileDiff`] a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum FileChange {
    /// On both.
    Changed,
    /// On the new side only.
    Added,
    /// On the old side only.
    Removed,
}

/// A piece of a file in which lines differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiffHunk {
    /// The first line on the old side, from 1.
    pub old_start: u32,
    /// The first line on the new side, from 1.
    pub new_start: u32,
    /// The lines in order; of a change, what is gone comes first.
    pub lines: Vec<DiffLine>,
}

/// A line of a [`DiffHunk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiffLine {
    /// On which sides it is.
    pub kind: DiffLineKind,
    /// The line, without its end.
    pub text: String,
}

/// On which sides of a diff a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum DiffLineKind {
    /// On both.
    Same,
    /// On the old side only.
    Removed,
    /// On the new side only.
    Added,
}

/// `POST /sessions/{id}/fork` → 201 [`Session`](super::Session): a session of the caller's own that
/// begins with the text of this one. Whoever may see a session may fork it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForkSession {
    /// 1–100 characters; that of the session if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// At most 500 characters; that of the session if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The number of the version to begin with; the document as it is now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The number of the step of its history after which to begin, in place of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}
