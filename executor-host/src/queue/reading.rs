//! What a message says, or why it cannot be read: pure. A message that cannot be read is put aside
//! at first sight; if it says at least which execution it is about, that one is ended, so that its
//! owner does not wait for nothing.

use codecrafter_shared::id::{ExecutionId, SessionId};
use codecrafter_shared::job::{
    Event, Job, Outcome, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Report, Verdict,
};
use serde::Deserialize;

use crate::clock;

/// Why a message is put aside.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// For the operator.
    pub reason: String,
    /// What its owner is told, if it is known who that is.
    pub end: Option<Box<Report>>,
}

/// What jobs of every version say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    schema: Option<u64>,
    execution_id: ExecutionId,
    session_id: Option<SessionId>,
    report_token: String,
}

/// Reads a job of a version that this program knows.
pub(super) fn job(body: &[u8]) -> Result<Job, Unreadable> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let schema = envelope.as_ref().and_then(|known| known.schema);
    let known = u64::from(PROTOCOL_VERSION_MIN)..=u64::from(PROTOCOL_VERSION);
    let reason = match schema {
        Some(schema) if !known.contains(&schema) => {
            format!(
                "a job of version {schema}; this program knows versions \
                 {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}"
            )
        }
        _ => match serde_json::from_slice(body) {
            Ok(job) => return Ok(job),
            Err(error) => error.to_string(),
        },
    };
    let end = envelope.map(|job| Box::new(end(job, schema)));
    Err(Unreadable { reason, end })
}

/// Reads a final result.
pub(super) fn result(body: &[u8]) -> Result<Report, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        reason: error.to_string(),
        end: None,
    })
}

fn end(job: Envelope, schema: Option<u64>) -> Report {
    let message = match schema {
        Some(schema) => format!("The executor does not understand this job of version {schema}."),
        None => "The executor does not understand this job.".to_owned(),
    };
    Report {
        execution_id: job.execution_id,
        session_id: job.session_id,
        report_token: job.report_token,
        attempt_id: clock::attempt_id(),
        seq: 0,
        at: clock::now(),
        event: Event::Finished {
            outcome: Box::new(Outcome::without_run(Verdict::InternalError, message)),
        },
        traceparent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract;

    #[test]
    fn a_job_that_is_not_understood_is_ended_if_it_says_whose_it_is() {
        let known = contract::job(1);
        let body = serde_json::to_vec(&known).unwrap();
        assert_eq!(job(&body).unwrap(), known);

        let newer = Job {
            schema: 99,
            ..known.clone()
        };
        let unreadable = job(&serde_json::to_vec(&newer).unwrap()).unwrap_err();
        assert!(unreadable.reason.contains("version 99"));
        let end = unreadable.end.unwrap();
        assert_eq!(end.execution_id, known.execution_id);
        assert_eq!(end.report_token, known.report_token);

        let other = serde_json::json!({
            "schema": 1,
            "executionId": known.execution_id,
            "sessionId": null,
            "reportToken": "token",
            "code": 7,
        });
        assert!(job(other.to_string().as_bytes()).unwrap_err().end.is_some());
        assert!(job(b"{\"").unwrap_err().end.is_none());
    }
}
