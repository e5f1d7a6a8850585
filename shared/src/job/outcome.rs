//! How an attempt ends: its verdict, and what each of its runs wrote, left and used.

use serde::{Deserialize, Serialize};

use super::captured::Captured;
use super::files::OutputFiles;

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
    /// What it left in its working directory.
    #[serde(default, skip_serializing_if = "OutputFiles::is_empty")]
    pub files: OutputFiles,
    /// What it used.
    pub usage: Usage,
    /// Whether all of this is from an equal run of the compiler, some time before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_found_by_its_name() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(verdict.as_str()), Some(*verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
