//! What this folder's unit tests share.

use codecrafter_shared::job::{Job, PROTOCOL_VERSION, RunLimits, RunSpec};
use codecrafter_shared::time::Timestamp;

/// A Python job with one run and default limits.
pub fn job(code: &str) -> Job {
    Job {
        schema: PROTOCOL_VERSION,
        execution_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        session_id: None,
        tenant: "main".into(),
        language: "python".into(),
        code: code.into(),
        files: Vec::new(),
        runs: vec![RunSpec::default()],
        limits: RunLimits::default(),
        interactive: None,
        report_token: String::new(),
        deadline: Timestamp::from_millis(i64::MAX),
        traceparent: None,
    }
}
