//! Executions in the Directory's database.
//!
//! An execution is a row for ever; its job is a row only while somebody still has to run it. Both
//! are written in one transaction, and the job goes in the transaction that writes the result
//! ([`super::end`]).

use codecrafter_shared::api::Execution;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ExecutionId, SessionId, UserId};
use codecrafter_shared::interaction::Interactive;
use codecrafter_shared::job::Outcome;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::retention::Kept;
use super::view;
use crate::directory::Directory;
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::ports::{Row, Tx};
use crate::sessions::store::visible;
use crate::token::Caller;

/// The tables, one statement each.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE execution (
        tenant TEXT, id TEXT, session_id TEXT, user_id TEXT, language TEXT, status TEXT,
        limits TEXT, verdict TEXT, attempt_id TEXT, attempts INTEGER, duplicates INTEGER,
        created_at INTEGER, started_at INTEGER, finished_at INTEGER,
        PRIMARY KEY (tenant, id)) WITHOUT ROWID",
    "CREATE TABLE job (
        tenant TEXT, execution_id TEXT, user_id TEXT, language TEXT, state TEXT, executor_id TEXT,
        lease_id TEXT, lease_expires_at INTEGER, deadline INTEGER,
        PRIMARY KEY (tenant, execution_id)) WITHOUT ROWID",
];

/// Step 2: what lists show without the results, the wish for an end, and indexes. `job` holds only
/// what is unfinished and each of its indexes costs two writes an execution, so it has few: what
/// the tick looks for, it finds by reading all of it.
pub const SCHEMA_2: &[&str] = &[
    "ALTER TABLE execution ADD COLUMN exit_code INTEGER",
    "ALTER TABLE execution ADD COLUMN cpu_ms INTEGER",
    "ALTER TABLE execution ADD COLUMN wall_ms INTEGER",
    "ALTER TABLE execution ADD COLUMN peak_bytes INTEGER",
    "ALTER TABLE execution ADD COLUMN cancel_requested_at INTEGER",
    "CREATE INDEX execution_by_user ON execution (tenant, user_id, id)",
    "CREATE INDEX execution_by_session ON execution (tenant, session_id, id) \
     WHERE session_id IS NOT NULL",
    "ALTER TABLE job ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX job_by_user ON job (tenant, user_id)",
    "CREATE INDEX job_waiting ON job (tenant, execution_id, language) WHERE state = 'waiting'",
    "CREATE INDEX job_by_executor ON job (tenant, executor_id) WHERE executor_id IS NOT NULL",
];

/// Step 3 of the schema: what an execution has taken as input, and the present size of its
/// terminal. `interactive` is none for those that take none.
pub const SCHEMA_3: &[&str] = &[
    "ALTER TABLE execution ADD COLUMN interactive TEXT",
    "ALTER TABLE execution ADD COLUMN inputs INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE execution ADD COLUMN input_bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE execution ADD COLUMN input_ended INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE job ADD COLUMN interactive INTEGER NOT NULL DEFAULT 0",
];

/// Step 4: the trace of whoever asked.
pub const SCHEMA_4: &[&str] = &["ALTER TABLE execution ADD COLUMN trace_id TEXT"];

/// What is notified when a job of that language waits.
pub fn jobs_topic(language: &str) -> String {
    format!("jobs/{language}")
}

/// The row of an execution that the caller may see, with the caller's role in its session: one
/// asked for by the caller, or of a session that the caller has joined.
pub(super) async fn readable(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    caller: Caller,
) -> Result<(Row, Option<Role>), Refusal> {
    let not_found = || Refusal::new(ErrorCode::ExecutionNotFound);
    let row = find_row(tx, tenant, id).await?.ok_or_else(not_found)?;
    let is_own = row.get::<UserId>("user_id")? == caller.user_id;
    let role = match row.get::<Option<SessionId>>("session_id")? {
        Some(session_id) => match visible(tx, tenant, session_id, caller.user_id).await {
            Ok(session) => session.role,
            Err(refusal) if refusal.code == ErrorCode::SessionNotFound => None,
            Err(refusal) => return Err(refusal),
        },
        None => None,
    };
    if is_own || role.is_some() {
        Ok((row, role))
    } else {
        Err(not_found())
    }
}

/// What is notified when an execution ends.
#[must_use]
pub fn topic(id: ExecutionId) -> String {
    format!("execution/{id}")
}

/// Wakes those who wait for the execution's end.
pub fn announce_end(directory: &Directory, id: ExecutionId) {
    directory.signals.notify(&topic(id));
}

/// An execution with its result, if it has ended and the result is still kept.
pub(super) async fn read(
    tx: &Tx,
    tenant: &str,
    row: &Row,
    kept: Kept,
) -> Result<Execution, Refusal> {
    view::execution(row, result(tx, tenant, row, kept).await?)
}

/// The result of an execution, without what is in its files; none before it has ended, and none that
/// is not kept any more.
pub(super) async fn result(
    tx: &Tx,
    tenant: &str,
    row: &Row,
    kept: Kept,
) -> Result<Option<Outcome>, Refusal> {
    let has_ended = row.get::<Option<Timestamp>>("finished_at")?.is_some();
    if !has_ended || !kept.has_result(row.get("created_at")?) {
        return Ok(None);
    }
    let id: String = row.get("id")?;
    let result = parts::read(tx, tenant, Kind::Result, &id).await?;
    // Removed while results were kept for less long.
    if result.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&result)
        .map(Some)
        .map_err(Refusal::internal)
}

/// An execution's row, whoever asks.
pub(super) async fn find_row(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
) -> Result<Option<Row>, Refusal> {
    let sql = "SELECT * FROM execution WHERE tenant = ? AND id = ?";
    Ok(tx.first(sql, [tenant.into(), id.into()]).await?)
}

/// As [`view::interactive_of`] reads it.
///
/// # Errors
/// None that is known of.
pub fn interactive_column(interactive: Option<&Interactive>) -> Result<Option<String>, Refusal> {
    let written = interactive.map(serde_json::to_string).transpose();
    written.map_err(Refusal::internal)
}
