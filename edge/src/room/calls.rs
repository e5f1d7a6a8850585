//! What the front and the Directory ask a room.

use codecrafter_shared::api::{SessionContent, WriteContent};
use codecrafter_shared::id::UserId;
use codecrafter_shared::job::Report;

use super::{AccessNotice, EndedLogin};
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

    /// A login session has ended that had a pass for the room. Harmless to repeat, and to send late.
    "/login-ended" => EndLogin {
        /// Which.
        login: EndedLogin,
    } -> ();

    /// What happened to executions of the session, in order. Harmless to repeat.
    "/reports" => TakeReports {
        /// Reports whose tokens were checked.
        reports: Vec<Report>,
    } -> ();

    /// The document as it stands.
    "/content" => ReadContent {} -> SessionContent;

    /// Writes over the document, as an edit that everybody in the room sees; gives what it is then.
    "/write" => WriteText {
        /// Who writes; may edit, by the notice.
        user_id: UserId,
        /// Who may do what, by the Directory that has just been asked.
        notice: AccessNotice,
        /// What is wanted; valid.
        request: WriteContent,
        /// Tags of the texts that it may take the place of; any text if none.
        expected: Option<Vec<String>>,
    } -> SessionContent;
}
