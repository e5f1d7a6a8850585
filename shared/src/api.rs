//! Client ⇄ edge over HTTP: a request and a response type per route, under `/api/v1`.
//!
//! Requests refuse fields that they do not know, so that a misspelt option is an error and not a
//! silent default. Responses may gain fields; clients must ignore those they do not know.

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, ExecutionId, ExecutorId, SessionId, UserId};
use crate::job::{Encoding, RunLimits, SourceFile, Verdict};
use crate::language::AnnouncedLanguage;
use crate::role::Role;
use crate::time::Timestamp;

// ---- Accounts ----

/// `POST /auth/register` → 201 [`SignedIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Register {
    /// 3–30 of letters, digits, `_` and `-`; unique without regard to case.
    pub username: String,
    /// Unique without regard to case.
    pub email: String,
    /// 8–128 characters.
    pub password: String,
    /// What others see; the user name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// `POST /auth/login` → 200 [`SignedIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Login {
    /// The user name or the mail address.
    pub login: String,
    /// The password.
    pub password: String,
}

/// `POST /auth/refresh` → 200 [`SignedIn`] with a new refresh token; the old one ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    /// The newest refresh token of the login session.
    pub refresh_token: String,
}

/// Tokens of a login session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// Sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// When the access token ends.
    pub access_token_expires_at: Timestamp,
    /// For `POST /auth/refresh`; good for one use.
    pub refresh_token: String,
    /// When the login session ends unless it is refreshed.
    pub refresh_token_expires_at: Timestamp,
}

/// An account as its owner sees it; `GET /auth/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The mail address.
    pub email: String,
    /// What others see.
    pub display_name: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The last sign-in before this one.
    pub last_login_at: Option<Timestamp>,
}

// ---- Sessions ----

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
    /// When it was made.
    pub created_at: Timestamp,
    /// When a setting was last changed.
    pub updated_at: Timestamp,
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

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "{T}Page")
)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// Which page, from 1.
    pub page: u32,
    /// Items on a full page.
    pub limit: u32,
    /// Items on all pages, counted up to 1,000: at 1,000 there may be more, on further pages.
    pub total: u64,
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
}

// ---- Executions ----

/// `POST /executions` → 202 [`Execution`] with its `Location`; with `?wait=true` 200 once it has
/// ended, or 202 after 55 s.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateExecution {
    /// The session that it belongs to: its room shows the output, and its document is the source
    /// unless `code` is given. Needs the role editor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// A language id; the session's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The main file; the session's live document if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Further files, by relative path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SourceFile>,
    /// Standard input; empty if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The program's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What it has to write to standard output to be `accepted` and not `wrong_answer`, white space
    /// at the ends of lines and empty lines at the end aside; anything if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_output: Option<String>,
    /// Limits, each within its ceiling; the defaults if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RequestedLimits>,
}

/// Limits that a request may set, each optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedLimits {
    /// As [`RunLimits::cpu_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u32>,
    /// As [`RunLimits::wall_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u32>,
    /// As [`RunLimits::memory_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// As [`RunLimits::output_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u32>,
    /// As [`RunLimits::processes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
}

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ExecutionStatus {
    /// Waiting for an executor.
    Queued,
    /// An attempt has started.
    Running,
    /// Ended; the verdict says how.
    Finished,
}

impl ExecutionStatus {
    /// The status's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Finished]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}

/// A request to run code, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// The execution's id.
    pub id: ExecutionId,
    /// The session that it belongs to, if any.
    pub session_id: Option<SessionId>,
    /// Who asked for it.
    pub user_id: UserId,
    /// The language id.
    pub language: String,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// The limits that hold.
    pub limits: RunLimits,
    /// How it ended; none before it has.
    pub verdict: Option<Verdict>,
    /// A sentence about the verdict, where there is more to say.
    pub message: Option<String>,
    /// What the program wrote to standard output: its beginning, if `truncated`.
    pub stdout: Option<String>,
    /// The end of standard output, if something between it and `stdout` was dropped.
    pub stdout_tail: Option<String>,
    /// What the program wrote to standard error: its beginning, if `truncated`.
    pub stderr: Option<String>,
    /// The end of standard error, if something between it and `stderr` was dropped.
    pub stderr_tail: Option<String>,
    /// Bytes that the program wrote to standard output, kept or not.
    pub stdout_bytes: Option<u64>,
    /// Bytes that the program wrote to standard error, kept or not.
    pub stderr_bytes: Option<u64>,
    /// `utf8`, or `base64` where stdout or stderr is not UTF-8: then both are base64, tails too.
    pub encoding: Encoding,
    /// Whether more was written to one of them than `limits.outputBytes`: its middle was dropped.
    pub truncated: bool,
    /// What the compiler said; none for languages without one.
    pub compile_output: Option<String>,
    /// The program's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did, such as `SIGSEGV`.
    pub signal: Option<String>,
    /// What else holds, as if it were the verdict; left out if nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Verdict>,
    /// CPU time used, of all its processes.
    pub cpu_ms: Option<u64>,
    /// Wall time used.
    pub wall_ms: Option<u64>,
    /// The most memory that it held at once.
    pub peak_bytes: Option<u64>,
    /// The attempt whose result this is, or the one that is running.
    pub attempt_id: Option<AttemptId>,
    /// Attempts that have started.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its (newest) attempt started.
    pub started_at: Option<Timestamp>,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When its result arrived.
    pub finished_at: Option<Timestamp>,
}

/// An execution in a list, newest first: `GET /executions` lists the caller's,
/// `GET /sessions/{id}/executions` those of a session, for its participants. `status`, `verdict`
/// and `language` narrow both. `POST /executions/{id}/cancel` ends one: → 200 [`Execution`] that
/// has ended, or 202 with one that is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecutionSummary {
    /// The execution's id.
    pub id: ExecutionId,
    /// The session that it belongs to, if any.
    pub session_id: Option<SessionId>,
    /// Who asked for it.
    pub user_id: UserId,
    /// That user's name, as others see it.
    pub display_name: String,
    /// The language id.
    pub language: String,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// How it ended; none before it has.
    pub verdict: Option<Verdict>,
    /// The program's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// CPU time used.
    pub cpu_ms: Option<u64>,
    /// Wall time used.
    pub wall_ms: Option<u64>,
    /// The most memory that it held at once.
    pub peak_bytes: Option<u64>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its (newest) attempt started.
    pub started_at: Option<Timestamp>,
    /// When its result arrived.
    pub finished_at: Option<Timestamp>,
}

// ---- Executors ----

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

// ---- Languages, health ----

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
