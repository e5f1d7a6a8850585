//! Edge ⇄ link: how a job is handed out, and how events and results come back (X1–X6).
//!
//! A link dials out. It enrols once with the deployment's join token and a key pair of its own;
//! every later request is signed with that key ([`LinkClaims`]). Then it repeats: ask for leases,
//! put each job into its queue, acknowledge the leases, and report what happens.
//!
//! ```text
//! link                                   edge
//!  │ POST /internal/executors  Enrol ───▶ │ → Enrolled
//!  │ POST /internal/leases  LeaseRequest▶ │ → Leases           held open while there is nothing;
//!  │                                      │                    jobs, and control messages on jobs
//!  │ POST /internal/leases/ack  Ack ────▶ │ → Acknowledged     only after the queue has confirmed
//!  │ POST /internal/reports  Reports ───▶ │ → ReportsTaken     harmless to repeat
//! ```

mod captured;
pub mod files;
pub(crate) mod lenient;
mod outcome;

use serde::{Deserialize, Serialize};

pub use self::captured::{Captured, Encoding};
pub use self::files::{FileLeftOut, LeftOutReason, MediaType, OutputFile, OutputFiles};
pub use self::outcome::{Outcome, RunOutcome, Usage, UsageSource, Verdict};
use crate::id::{AttemptId, ControlId, ExecutionId, ExecutorId, LeaseId, SessionId};
use crate::interaction::{Inputs, Interactive};
use crate::language::AnnouncedLanguage;
use crate::limits;
use crate::time::Timestamp;
use crate::trace::TraceParent;

/// The version of everything in this file. A link announces the versions that it speaks, the edge
/// answers with the highest that both do.
///
/// A field may be added without a new version, if it can be left out: whoever does not know it
/// reads past it. A new kind of event, verdict or input needs a new version, and is sent only to
/// who speaks that.
pub const PROTOCOL_VERSION: u16 = 1;
/// The oldest version that is still spoken.
pub const PROTOCOL_VERSION_MIN: u16 = 1;

// ---- Enrolment and signatures ----

/// `POST /internal/executors`, with `Authorization: Bearer <join token>` → 201 [`Enrolled`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrol {
    /// What operators see, such as the host's name; 1–100 characters.
    pub name: String,
    /// The host's Ed25519 public key, base64url without padding.
    pub public_key: String,
}

/// The host is known from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrolled {
    /// The host's name in every later request.
    pub executor_id: ExecutorId,
}

/// What a link signs for each request: an EdDSA JSON Web Token in `Authorization: Bearer`, with
/// `iss` the executor id, `aud` [`LINK_AUDIENCE`] and a life of at most
/// [`limits::LINK_TOKEN_MS`]. It fits one path and one body, so a copy is good for nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkClaims {
    /// The path that is called, such as `/internal/leases`.
    pub path: String,
    /// [`crate::keys::body_hash`] of the body.
    pub body: String,
}

/// `aud` of a link's tokens.
pub const LINK_AUDIENCE: &str = "codecrafter-link";

// ---- Leases ----

/// `POST /internal/leases` → 200 [`Leases`]; held open up to [`limits::LEASE_WAIT_MS_MAX`] while
/// there is nothing to hand out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// The highest protocol version that the link speaks.
    pub protocol: u16,
    /// The lowest.
    pub protocol_min: u16,
    /// Jobs that the host can take now; 0 waits for control messages only.
    pub slots: u32,
    /// Jobs that the host can run at a time; 0 from links older than this field.
    #[serde(default)]
    pub capacity: u32,
    /// The version of the program, such as `0.1.0`; empty from links older than this field.
    #[serde(default)]
    pub version: String,
    /// The control messages that the host has passed on: they are not handed out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls_taken: Vec<ControlId>,
    /// What it can run.
    pub languages: Vec<AnnouncedLanguage>,
    /// Whether it passes input on to programs that run; not so for links older than this field,
    /// which get no interactive jobs.
    #[serde(default)]
    pub interactive: bool,
    /// How long to hold the request open, in milliseconds.
    pub wait_ms: i64,
}

/// What was handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leases {
    /// The protocol version of the jobs.
    pub protocol: u16,
    /// At most `slots` of them, oldest execution first. What this executor was handed before and
    /// has not acknowledged comes again, at once: its answer was lost.
    pub leases: Vec<Lease>,
    /// At most [`limits::CONTROLS_MAX`], oldest first; they come again until they are said to be
    /// taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
}

/// Something to be done to an execution that this executor holds, or is about to get. Harmless to
/// repeat, and to send to a host that does not have the execution (any more).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// To say that it was taken.
    pub id: ControlId,
    /// The execution.
    pub execution_id: ExecutionId,
    /// What to do.
    pub action: ControlAction,
}

/// What is to be done to an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum ControlAction {
    /// End it; its verdict is [`Verdict::Cancelled`] unless it has ended by itself.
    Cancel,
    /// Give its program this input. Only to hosts that have said [`LeaseRequest::interactive`].
    Input(Inputs),
    /// What a newer edge knows and this version does not: to be passed over.
    #[serde(other)]
    Unknown,
}

/// A job handed to a link. Unless it is acknowledged by `expires_at`, it goes to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// To acknowledge it by.
    pub id: LeaseId,
    /// When it returns.
    pub expires_at: Timestamp,
    /// The job.
    pub job: Job,
}

/// `POST /internal/leases/ack` → 200 [`Acknowledged`]: these jobs are in the link's queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledge {
    /// The leases.
    pub leases: Vec<LeaseId>,
}

/// Which leases still held. A job whose lease had expired may run twice; the edge keeps the first
/// final result, so nothing needs to be done about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledged {
    /// The leases that were acknowledged in time.
    pub leases: Vec<LeaseId>,
}

// ---- The job ----

/// An execution as the queue carries it. It needs nothing but itself to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// [`PROTOCOL_VERSION`] of the edge that made it.
    pub schema: u16,
    /// The execution that it carries; stays the same however often it is delivered.
    pub execution_id: ExecutionId,
    /// The session whose room shows the output, if any.
    pub session_id: Option<SessionId>,
    /// The deployment's tenant.
    pub tenant: String,
    /// The language id.
    pub language: String,
    /// The main file's text.
    pub code: String,
    /// Further files.
    #[serde(deserialize_with = "lenient::files")]
    pub files: Vec<SourceFile>,
    /// One run of the program for each, in this order.
    pub runs: Vec<RunSpec>,
    /// What holds for each run.
    pub limits: RunLimits,
    /// Whether input comes while it runs; then it has one run.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::interactive"
    )]
    pub interactive: Option<Interactive>,
    /// Allows reports on this execution and on no other (X3).
    pub report_token: String,
    /// A job that has not started by then is not started any more.
    pub deadline: Timestamp,
    /// The trace of whoever asked for it; none from edges older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// A file of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceFile {
    /// Relative, of parts from `[A-Za-z0-9._-]`, none of them `.` or `..`; at most 120 bytes.
    pub path: String,
    /// The text.
    pub content: String,
}

/// Input of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// Standard input.
    pub stdin: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// What it has to write to standard output to be accepted, white space at the ends of lines and
    /// empty lines at the end aside; anything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// What a run may use. A language's floor may raise memory; nothing raises the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunLimits {
    /// CPU time of all its processes together.
    pub cpu_ms: u32,
    /// Wall time.
    pub wall_ms: u32,
    /// Memory of all its processes and its files together.
    pub memory_bytes: u64,
    /// Bytes kept of each of stdout and stderr: of more, the first half and the last. Writing
    /// more than [`limits::OUTPUT_BYTES_FACTOR`] times as much ends the run.
    pub output_bytes: u32,
    /// Processes and threads at a time.
    pub processes: u32,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            cpu_ms: limits::CPU_MS_DEFAULT,
            wall_ms: limits::WALL_MS_DEFAULT,
            memory_bytes: limits::MEMORY_BYTES_DEFAULT,
            output_bytes: limits::OUTPUT_BYTES_DEFAULT,
            processes: limits::PROCESSES_DEFAULT,
        }
    }
}

// ---- Events and outcome ----

/// `POST /internal/reports` → 200 [`ReportsTaken`]. In order; harmless to repeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// At most [`limits::REPORTS_MAX`].
    pub reports: Vec<Report>,
}

/// What happened to one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The session from the job, if any.
    pub session_id: Option<SessionId>,
    /// [`Job::report_token`].
    pub report_token: String,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Numbers the reports of one attempt from 0 without a gap.
    pub seq: u32,
    /// When it happened, by the host's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The trace of the execution, and the span of it that this report is sent from. With a final
    /// result only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// Something that happened to an attempt, in the order in which it can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Event {
    /// A worker has taken the job. Always `seq` 0.
    Started,
    /// A stage of the attempt begins.
    #[serde(rename_all = "camelCase")]
    Stage {
        /// Which.
        stage: Stage,
    },
    /// The compiler or the program wrote something. May be lost under pressure; the outcome
    /// always holds the whole of what is kept.
    #[serde(rename_all = "camelCase")]
    Output {
        /// Where it was written to.
        stream: Stream,
        /// What was written; bytes that are not UTF-8 are replaced, as this is for showing.
        text: String,
    },
    /// The attempt has ended. Final: nothing follows.
    #[serde(rename_all = "camelCase")]
    Finished {
        /// How.
        outcome: Box<Outcome>,
    },
}

/// A stage of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The compiler works.
    Compile,
    /// The program runs.
    Run,
}

/// Where something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The reports that were taken, and those that never will be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportsTaken {
    /// Final results that were not the first of their execution.
    pub duplicates: u32,
    /// Reports that were refused, because their token does not fit or the execution is unknown;
    /// sending them again is useless.
    pub refused: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_its_type_in_camel_case() {
        let event = Event::Output {
            stream: Stream::Stdout,
            text: "hi".into(),
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"type":"output","stream":"stdout","text":"hi"}"#);
    }
}
