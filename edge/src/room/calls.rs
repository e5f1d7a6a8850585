//! What the front and the Directory ask a room.

use codecrafter_shared::api::{
    ChatMessage, ChatMessages, HistoryPage, Page, RestoredStep, RestoredVersion, SessionContent,
    Version, VersionContent, VersionDiff, WriteContent,
};
use codecrafter_shared::id::UserId;
use codecrafter_shared::job::{Report, SourceFile};

use super::versions::Author;
use super::{AccessNotice, EndedLogin};
use crate::shard::calls;

calls! {
    /// The session exists. Harmless to repeat.
    "/initialise" => Initialise {
        /// The main file to begin with.
        content: String,
        /// Further files to begin with, sorted by path.
        files: Vec<SourceFile>,
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

    /// Who has an open connection, each once.
    "/here" => WhoIsHere {} -> Vec<UserId>;
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

    /// Keeps the document as it stands.
    "/versions/take" => TakeVersion {
        /// Who takes it; may do so.
        author: Author,
        /// What it is kept for; valid.
        message: Option<String>,
    } -> Version;

    /// Versions, newest first.
    "/versions/list" => ListVersions {
        /// Which page, from 1.
        page: u32,
        /// Items on a full page.
        limit: u32,
    } -> Page<Version>;

    /// A version with its text.
    "/versions/read" => ReadVersion {
        /// Its number.
        number: u64,
    } -> VersionContent;

    /// What differs between a version and another one.
    "/versions/diff" => DiffVersion {
        /// The number of the old side.
        number: u64,
        /// That of the new side; the document as it stands if none.
        with: Option<u64>,
    } -> VersionDiff;

    /// Writes a version over the document, as an edit that everybody in the room sees.
    "/versions/restore" => RestoreVersion {
        /// Who does it; may edit, by the notice.
        author: Author,
        /// Who may do what, by the Directory that has just been asked.
        notice: AccessNotice,
        /// The version's number.
        number: u64,
    } -> RestoredVersion;

    /// Steps of the document's history.
    "/history/read" => ReadHistory {
        /// The number of the first.
        from: u64,
        /// How many at most.
        limit: u32,
    } -> HistoryPage;

    /// The document as it was after a step of its history.
    "/history/text" => ReadStep {
        /// The step's number.
        step: u64,
    } -> SessionContent;

    /// Writes what the document was after a step over it, as an edit that everybody in the room sees.
    "/history/restore" => RestoreStep {
        /// Who does it; may edit, by the notice.
        author: Author,
        /// Who may do what, by the Directory that has just been asked.
        notice: AccessNotice,
        /// The step's number.
        step: u64,
    } -> RestoredStep;

    /// Deletes a version.
    "/versions/delete" => DeleteVersion {
        /// Who does it.
        author: Author,
        /// Whether they may also delete those of others.
        moderates: bool,
        /// The version's number.
        number: u64,
    } -> ();

    /// Says something to everybody in the room.
    "/chat/send" => SendMessage {
        /// Who says it; may do so.
        author: Author,
        /// What is said; valid.
        text: String,
        /// What tells it from the author's other messages.
        key: Option<String>,
    } -> ChatMessage;

    /// The newest messages.
    "/chat/read" => ReadMessages {
        /// Only those with a lower number.
        before: Option<u64>,
        /// How many at most.
        limit: u32,
    } -> ChatMessages;

    /// Deletes a message.
    "/chat/delete" => DeleteMessage {
        /// Its number.
        seq: u64,
        /// Who does it.
        author: Author,
        /// Whether they may also delete those of others.
        moderates: bool,
    } -> ();
}
