//! A message that was put aside, wherever that is kept.

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::Report;
use serde::Serialize;

use super::reading;

/// What a dead letter was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A job on its way to a worker.
    Job,
    /// A final result on its way to the edge.
    Result,
}

impl Kind {
    /// The kind's name, as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Result => "result",
        }
    }

    /// The kind of that name.
    pub(in crate::queue) fn from_name(name: &str) -> Option<Self> {
        [Self::Job, Self::Result]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// What a body looks like, where nothing else is known of it.
    pub(in crate::queue) fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Report>(body) {
            Ok(_) => Self::Result,
            Err(_) => Self::Job,
        }
    }
}

/// A message that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Tells it from the others.
    pub id: String,
    /// What it was.
    pub kind: Kind,
    /// Why it was put aside.
    pub reason: String,
    /// The execution that it is about, if it can be read so far.
    pub execution_id: Option<ExecutionId>,
    /// Its language, of a job.
    pub language: Option<String>,
    /// What it says: people's code is in it.
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl DeadLetter {
    pub(in crate::queue) fn new(id: String, kind: Kind, reason: String, body: Vec<u8>) -> Self {
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| said[name].as_str();
        Self {
            execution_id: text("executionId").and_then(|id| id.parse().ok()),
            language: text("language").map(str::to_owned),
            id,
            kind,
            reason,
            body,
        }
    }

    /// Whether a host of this version could read it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match self.kind {
            Kind::Job => reading::job(&self.body).is_ok(),
            Kind::Result => reading::result(&self.body).is_ok(),
        }
    }
}
