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

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, ControlId, ExecutionId, ExecutorId, LeaseId, SessionId};
use crate::language::AnnouncedLanguage;
use crate::limits;
use crate::time::Timestamp;

/// The version of everything in this file. A link announces the versions that it speaks, the edge
/// answers with the highest that both do.
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
    pub files: Vec<SourceFile>,
    /// One run of the program for each, in this order.
    pub runs: Vec<RunSpec>,
    /// What holds for each run.
    pub limits: RunLimits,
    /// Allows reports on this execution and on no other (X3).
    pub report_token: String,
    /// A job that has not started by then is not started any more.
    pub deadline: Timestamp,
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

/// How an attempt, or one of its runs, ended. Closed: a client may match on all of them.
///
/// Where several hold, the first of this order is the verdict: internal error, cancelled,
/// expired, compile error, memory limit, output limit, time limit, runtime error, accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exited with code 0 within its limits.
    Accepted,
    /// As accepted, but its output is not what was expected.
    WrongAnswer,
    /// Exited with another code, or was ended by a signal of its own making.
    RuntimeError,
    /// Used more CPU or wall time than allowed.
    TimeLimit,
    /// Wrote more than allowed.
    OutputLimit,
    /// Used more memory than allowed.
    MemoryLimit,
    /// The compiler refused the source.
    CompileError,
    /// No executor answered before its deadline.
    Expired,
    /// Ended by its owner.
    Cancelled,
    /// The host failed; not the program's fault.
    InternalError,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] = &[
        Self::Accepted,
        Self::WrongAnswer,
        Self::RuntimeError,
        Self::TimeLimit,
        Self::OutputLimit,
        Self::MemoryLimit,
        Self::CompileError,
        Self::Expired,
        Self::Cancelled,
        Self::InternalError,
    ];

    /// The verdict's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::WrongAnswer => "wrong_answer",
            Self::RuntimeError => "runtime_error",
            Self::TimeLimit => "time_limit",
            Self::OutputLimit => "output_limit",
            Self::MemoryLimit => "memory_limit",
            Self::CompileError => "compile_error",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::InternalError => "internal_error",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|verdict| verdict.as_str() == name)
    }
}

/// The final result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The verdict of the whole: the first run that was not accepted gives it.
    pub verdict: Verdict,
    /// A sentence for a person, where there is more to say.
    pub message: Option<String>,
    /// The compiler's run, for languages with a compiler.
    pub compile: Option<RunOutcome>,
    /// One for each run that was started, in order.
    pub runs: Vec<RunOutcome>,
}

impl Outcome {
    /// An attempt that ended without a run.
    #[must_use]
    pub fn without_run(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            verdict,
            message: Some(message.into()),
            compile: None,
            runs: Vec::new(),
        }
    }

    /// The run that gave the verdict: the compiler's if it refused, else the first that was not
    /// accepted, else the last.
    #[must_use]
    pub fn deciding_run(&self) -> Option<&RunOutcome> {
        if self.verdict == Verdict::CompileError {
            return self.compile.as_ref();
        }
        let mut refused = self.runs.iter();
        let refused = refused.find(|run| run.verdict != Verdict::Accepted);
        refused.or(self.runs.last())
    }
}

/// How one run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOutcome {
    /// How.
    pub verdict: Verdict,
    /// What else holds, as if it were the verdict; in the order of [`Verdict`], the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Verdict>,
    /// The exit code, if the program exited.
    pub exit_code: Option<i32>,
    /// The signal's name, if one ended it.
    pub signal: Option<String>,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
    /// What it used.
    pub usage: Usage,
    /// Whether all of this is from an equal run of the compiler, some time before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
}

/// What was kept of a stream: all of it, or its first and its last bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Captured {
    /// The bytes from the beginning, written as `encoding` says.
    pub data: String,
    /// The bytes up to the end, likewise, if something between was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
    /// UTF-8 if they are, else base64.
    pub encoding: Encoding,
    /// Bytes that were seen, kept or not.
    pub total_bytes: u64,
    /// Whether not all of them were kept.
    pub truncated: bool,
}

impl Captured {
    /// `kept`, the first of `total_bytes` that were seen.
    #[must_use]
    pub fn new(kept: Vec<u8>, total_bytes: u64) -> Self {
        Self::written(kept, None, total_bytes)
    }

    /// The first and the last of `total_bytes` that were seen. The two may meet: then they are
    /// one. Where they do not, and are text but for a character that was cut in two, they end
    /// and begin at whole characters.
    #[must_use]
    pub fn head_and_tail(mut head: Vec<u8>, mut tail: Vec<u8>, total_bytes: u64) -> Self {
        let kept = head.len().saturating_add(tail.len());
        if bytes(kept) >= total_bytes {
            head.append(&mut tail);
            return Self::written(head, None, total_bytes);
        }
        let (first, last) = (without_cut_end(&head), whole_characters(&tail));
        if std::str::from_utf8(first).is_ok() && std::str::from_utf8(last).is_ok() {
            (head, tail) = (first.to_vec(), last.to_vec());
        }
        Self::written(head, Some(tail), total_bytes)
    }

    fn written(head: Vec<u8>, tail: Option<Vec<u8>>, total_bytes: u64) -> Self {
        use base64::Engine as _;
        let base64 = |bytes: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
        let text = |bytes: &Vec<u8>| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let truncated = tail.is_some() || bytes(head.len()) < total_bytes;
        let as_text = match (text(&head), tail.as_ref().map(text)) {
            (Some(data), None) => Some((data, None)),
            (Some(data), Some(Some(tail))) => Some((data, Some(tail))),
            _ => None,
        };
        let ((data, tail), encoding) = match as_text {
            Some(text) => (text, Encoding::Utf8),
            None => ((base64(&head), tail.as_ref().map(base64)), Encoding::Base64),
        };
        Self {
            data,
            tail,
            encoding,
            total_bytes,
            truncated,
        }
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `bytes` without the beginning of a character at their end.
fn without_cut_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        // Without a length, more bytes could have made it valid.
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// `bytes` without the parts of characters at either end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let continues = |byte: &&u8| (0x80..0xc0).contains(*byte);
    // A character has at most three bytes after its first.
    let cut = bytes.iter().take(3).take_while(continues).count();
    without_cut_end(bytes.get(cut..).unwrap_or(bytes))
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// RFC 4648 §4, with padding.
    Base64,
}

/// What a run used, and who measured it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// CPU time.
    pub cpu_ms: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// The most memory held at once.
    pub peak_bytes: u64,
    /// Where CPU time and memory come from.
    pub source: UsageSource,
}

/// Who measured a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageSource {
    /// The host's cgroup counters of the container.
    Cgroup,
    /// `wait4` in the container; misses processes that were not waited for.
    #[default]
    Rusage,
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
    fn output_that_is_not_utf8_is_kept_byte_for_byte() {
        let captured = Captured::new(vec![0xff, 0x00, b'a'], 3);
        assert_eq!(captured.encoding, Encoding::Base64);
        assert_eq!(captured.data, "/wBh");
        assert!(!captured.truncated);
        assert!(Captured::new(b"ab".to_vec(), 3).truncated);
    }

    #[test]
    fn a_head_and_a_tail_that_meet_are_one() {
        let captured = Captured::head_and_tail("aé".as_bytes()[..2].to_vec(), vec![0xa9], 3);
        assert_eq!(captured, Captured::new("aé".into(), 3));
        assert_eq!((captured.tail, captured.truncated), (None, false));
        let json = serde_json::to_value(Captured::new(b"a".to_vec(), 1)).unwrap();
        assert!(json.get("tail").is_none(), "{json}");
        assert_eq!(serde_json::from_value::<Captured>(json).unwrap().tail, None);
    }

    #[test]
    fn text_is_cut_at_whole_characters_on_both_sides_of_the_gap() {
        let crabs = "🦀🦀".as_bytes();
        for (head, tail) in [(5, 3), (6, 2), (7, 1), (4, 4)] {
            let tail = crabs[8 - tail..].to_vec();
            let captured = Captured::head_and_tail(crabs[..head].to_vec(), tail, 100);
            assert_eq!(
                (captured.encoding, captured.data.as_str()),
                (Encoding::Utf8, "🦀")
            );
            assert!(captured.truncated);
            assert!(matches!(captured.tail.as_deref(), Some("" | "🦀")));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_byte_for_byte_on_both_sides() {
        let captured = Captured::head_and_tail(b"ok".to_vec(), vec![b'a', 0xff], 9);
        assert_eq!(captured.encoding, Encoding::Base64);
        assert_eq!(
            (captured.data.as_str(), captured.tail.as_deref()),
            ("b2s=", Some("Yf8="))
        );
    }

    #[test]
    fn every_verdict_is_found_by_its_name() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(verdict.as_str()), Some(*verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }

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
