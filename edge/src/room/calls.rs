//! What the front and the Directory ask a room.

use codecrafter_shared::job::{Report, SourceFile};
use serde::{Deserialize, Serialize};

use super::AccessNotice;
use crate::shard::calls;

calls! {
    /// The session exists. Harmless to repeat.
    "/initialise" => Initialise {
        /// The main file to begin with.
        content: String,
        /// Who may do what.
        notice: AccessNotice,
    } -> ();

    /// Who may do what has changed. Harmless to repeat, and to send late.
    "/notice" => TakeNotice {
        /// Who may do what.
        notice: AccessNotice,
    } -> ();

    /// What happened to executions of the session, in order. Harmless to repeat.
    "/reports" => TakeReports {
        /// Reports whose tokens were checked.
        reports: Vec<Report>,
    } -> ();

    /// The document as it stands.
    "/content" => ReadContent {} -> Content;
}

/// A document's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The main file.
    pub content: String,
    /// Further files, by path.
    pub files: Vec<SourceFile>,
}
