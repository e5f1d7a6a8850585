//! Executions: asked for, typed at, listed.

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, ExecutionId, SessionId, UserId};
use crate::interaction::{Input, Interactive};
use crate::job::{Encoding, FileLeftOut, MediaType, RunLimits, SourceFile, Verdict};
use crate::time::Timestamp;

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
    /// Lets people type while the program runs (`POST /executions/{id}/input`), which the session's
    /// room shows: only with `sessionId`. Such a run may take ten minutes of wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<Interactive>,
}

/// `POST /executions/{id}/input` → 202 [`InputTaken`]: what is done at the keyboard of a program
/// that runs, or is about to. For whoever asked for the run and those who may run the session's
/// code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GiveInput {
    /// What is done, in order: 1 to 32 inputs with 16 KiB of text in all.
    pub inputs: Vec<Input>,
    /// How many inputs the execution had taken before these. With it a request can be repeated
    /// when its answer was lost: what was taken is not taken again, and a gap is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

/// What is known of an execution's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InputTaken {
    /// How many inputs the execution has taken, from everybody together.
    pub inputs: u32,
}

/// Limits that a request may set, each optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedLimits {
    /// As [`RunLimits::cpu_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u32>,
    /// As [`RunLimits::wall_ms`]; at most 30,000 unless the execution is interactive.
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
    /// That people can type while it runs, with the present size of its terminal if it has one;
    /// left out if they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<Interactive>,
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
    /// That it has ended so long ago that `message`, what was written, `signal`, `also` and files are
    /// not kept any more: those fields are empty, the others stay. False from edges older than this
    /// field.
    #[serde(default)]
    pub result_expired: bool,
    /// What the compiler said; none for languages without one.
    pub compile_output: Option<String>,
    /// The program's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did, such as `SIGSEGV`.
    pub signal: Option<String>,
    /// What else holds, as if it were the verdict; left out if nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Verdict>,
    /// What the program made or changed in its working directory, sorted by name;
    /// `GET /executions/{id}/files/{name}` gives one, for a week. Left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ExecutionFile>,
    /// What else it made there, and why that does not come back: the first ten; left out if there
    /// is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files_left_out: Vec<FileLeftOut>,
    /// How many files `filesLeftOut` would name if it named all; left out if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_left_out_count: Option<u32>,
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
    /// Final results that came after the first, of other attempts or once more of the same: they
    /// were counted and changed nothing. 0 from edges older than this field.
    #[serde(default)]
    pub duplicates: u32,
    /// The trace of the request that asked for it (W3C Trace Context), by which logs and spans of
    /// edge and executor-hosts name it; none if it is older than this field.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its (newest) attempt started.
    pub started_at: Option<Timestamp>,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When its result arrived.
    pub finished_at: Option<Timestamp>,
}

/// A file that a program has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecutionFile {
    /// Of `[A-Za-z0-9._-]`, not beginning with `.`.
    pub name: String,
    /// What its name says that it is. What is in it is the program's: nobody has looked.
    pub media_type: MediaType,
    /// Its length.
    pub bytes: u32,
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
