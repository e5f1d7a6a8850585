//! Executions in the Directory's database.
//!
//! An execution is a row for ever; its job is a row only while somebody still has to run it. Both
//! are written in one transaction, and the job goes in the transaction that writes the result.

use codecrafter_shared::api::{Execution, ExecutionStatus};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::job::{Job, Outcome, PROTOCOL_VERSION, RunSpec, Verdict};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::{Create, Get, Prepare};
use super::view;
use crate::accounts::store::authorize;
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

/// What is notified when a job waits.
pub const JOBS_TOPIC: &str = "jobs";

/// [`Prepare`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] below the role editor.
pub async fn prepare(directory: &Directory, call: Prepare) -> Result<String, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let session = visible(&tx, tenant, call.session_id, call.caller.user_id).await?;
            if session.role.is_some_and(Role::may_execute) {
                Ok(session.language)
            } else {
                let detail = "running a session's code needs the role editor";
                Err(Refusal::with_detail(ErrorCode::Forbidden, detail))
            }
        })
        .await
}

/// [`Create`].
///
/// # Errors
/// Those of [`prepare`]; [`ErrorCode::TooManyExecutions`]; [`ErrorCode::QueueFull`].
pub async fn create(directory: &Directory, call: Create) -> Result<Execution, Refusal> {
    if let Some(session_id) = call.session_id {
        prepare(
            directory,
            Prepare {
                caller: call.caller,
                session_id,
            },
        )
        .await?;
    }
    let now = directory.clock.now();
    let id = ExecutionId::at(now, directory.rng.bytes());
    let tenant = &*directory.config.tenant;
    let (caller, session_id, language) = (call.caller, call.session_id, call.language.clone());
    let limits = serde_json::to_string(&call.limits).map_err(Refusal::internal)?;
    let deadline = now.plus_millis(limits::EXECUTION_MS_MAX);
    let job = Job {
        schema: PROTOCOL_VERSION,
        execution_id: id,
        session_id,
        tenant: tenant.to_owned(),
        language: call.language,
        code: call.code,
        files: call.files,
        runs: vec![RunSpec {
            stdin: call.stdin,
            args: call.args,
        }],
        limits: call.limits,
        // Made when the job is leased, for the executor that gets it.
        report_token: String::new(),
        deadline,
    };
    let job = serde_json::to_vec(&job).map_err(Refusal::internal)?;
    let (job, limits, language) = (&job, &limits, &language);
    let created = directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            admit(&tx, tenant, caller).await?;
            tx.execute(
                "INSERT INTO execution (tenant, id, session_id, user_id, language, status, \
                 limits, attempts, duplicates, created_at) \
                 VALUES (?, ?, ?, ?, ?, 'queued', ?, 0, 0, ?)",
                [
                    tenant.into(),
                    id.into(),
                    session_id.into(),
                    caller.user_id.into(),
                    language.into(),
                    limits.into(),
                    now.into(),
                ],
            )
            .await?;
            tx.execute(
                "INSERT INTO job (tenant, execution_id, user_id, language, state, deadline) \
                 VALUES (?, ?, ?, ?, 'waiting', ?)",
                [
                    tenant.into(),
                    id.into(),
                    caller.user_id.into(),
                    language.into(),
                    deadline.into(),
                ],
            )
            .await?;
            parts::write(&tx, tenant, Kind::Job, &id.to_string(), job).await?;
            find(&tx, tenant, id).await
        })
        .await?;
    directory.signals.notify(JOBS_TOPIC);
    created.ok_or_else(|| Refusal::internal("an execution vanished while it was made"))
}

/// Who waits for too much already is refused before anything is written.
async fn admit(tx: &Tx, tenant: &str, caller: Caller) -> Result<(), Refusal> {
    let sql = "SELECT count(*) AS everybody, \
               coalesce(sum(CASE WHEN user_id = ? THEN 1 ELSE 0 END), 0) AS own, \
               coalesce(sum(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END), 0) AS waiting \
               FROM job WHERE tenant = ?";
    let Some(row) = tx
        .first(sql, [caller.user_id.into(), tenant.into()])
        .await?
    else {
        return Ok(());
    };
    if row.get::<u32>("own")? >= limits::EXECUTIONS_PER_USER_MAX {
        return Err(Refusal::retry_after(ErrorCode::TooManyExecutions, 2));
    }
    if row.get::<u32>("waiting")? >= limits::EXECUTIONS_WAITING_MAX {
        return Err(Refusal::retry_after(ErrorCode::QueueFull, 5));
    }
    Ok(())
}

/// [`Get`]: at once, or when it has ended, or when the time is over.
///
/// # Errors
/// [`ErrorCode::ExecutionNotFound`], also for an execution of others outside the caller's
/// sessions.
pub async fn get(directory: &Directory, call: Get) -> Result<Execution, Refusal> {
    let wait_ms = call.wait_ms.clamp(0, limits::WAIT_MS_MAX);
    let until = directory.clock.now().plus_millis(wait_ms);
    loop {
        // Listen, then look, then wait: an end between looking and waiting is not missed.
        let listener = directory.signals.listen(&topic(call.execution_id));
        let execution = get_now(directory, &call).await?;
        let left = until.since(directory.clock.now());
        if execution.status == ExecutionStatus::Finished || left <= 0 {
            return Ok(execution);
        }
        listener.wait(u32::try_from(left).unwrap_or(0)).await;
    }
}

async fn get_now(directory: &Directory, call: &Get) -> Result<Execution, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let user_id = call.caller.user_id;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let not_found = || Refusal::new(ErrorCode::ExecutionNotFound);
            let found = find(&tx, tenant, call.execution_id)
                .await?
                .ok_or_else(not_found)?;
            if found.user_id == user_id {
                return Ok(found);
            }
            let session_id = found.session_id.ok_or_else(not_found)?;
            let session = visible(&tx, tenant, session_id, user_id).await;
            match session {
                Ok(session) if session.role.is_some() => Ok(found),
                _ => Err(not_found()),
            }
        })
        .await
}

/// What is notified when an execution ends.
fn topic(id: ExecutionId) -> String {
    format!("execution/{id}")
}

async fn find(tx: &Tx, tenant: &str, id: ExecutionId) -> Result<Option<Execution>, Refusal> {
    let Some(row) = find_row(tx, tenant, id).await? else {
        return Ok(None);
    };
    let outcome = if row.get::<Option<Timestamp>>("finished_at")?.is_some() {
        let result = parts::read(tx, tenant, Kind::Result, &id.to_string()).await?;
        Some(serde_json::from_slice(&result).map_err(Refusal::internal)?)
    } else {
        None
    };
    view::execution(&row, outcome).map(Some)
}

async fn find_row(tx: &Tx, tenant: &str, id: ExecutionId) -> Result<Option<Row>, Refusal> {
    let sql = "SELECT * FROM execution WHERE tenant = ? AND id = ?";
    Ok(tx.first(sql, [tenant.into(), id.into()]).await?)
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is now in the execution's row.
    Yes,
    /// The execution had ended before: the first final result stays (X6).
    Duplicate,
    /// There is no such execution.
    Unknown,
}

/// An attempt has started. Harmless to repeat.
///
/// # Errors
/// Those of the database.
pub async fn start(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    attempt: AttemptId,
    at: Timestamp,
) -> Result<Taken, Refusal> {
    let Some(row) = find_row(tx, tenant, id).await? else {
        return Ok(Taken::Unknown);
    };
    if row.get::<Option<Timestamp>>("finished_at")?.is_some() {
        return Ok(Taken::Duplicate);
    }
    let repeated = row.get::<Option<AttemptId>>("attempt_id")? == Some(attempt);
    if !repeated {
        let sql = "UPDATE execution SET status = 'running', attempt_id = ?, \
                   attempts = attempts + 1, started_at = ? WHERE tenant = ? AND id = ?";
        tx.execute(sql, [attempt.into(), at.into(), tenant.into(), id.into()])
            .await?;
    }
    Ok(Taken::Yes)
}

/// An attempt has ended: writes the result, if it is the first, and removes the job.
///
/// # Errors
/// Those of the database.
pub async fn finish(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    attempt: Option<AttemptId>,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<Taken, Refusal> {
    let Some(row) = find_row(tx, tenant, id).await? else {
        return Ok(Taken::Unknown);
    };
    if row.get::<Option<Timestamp>>("finished_at")?.is_some() {
        let sql = "UPDATE execution SET duplicates = duplicates + 1 WHERE tenant = ? AND id = ?";
        tx.execute(sql, [tenant.into(), id.into()]).await?;
        return Ok(Taken::Duplicate);
    }
    let result = serde_json::to_vec(outcome).map_err(Refusal::internal)?;
    parts::write(tx, tenant, Kind::Result, &id.to_string(), &result).await?;
    tx.execute(
        "UPDATE execution SET status = 'finished', verdict = ?, finished_at = ?, \
         attempt_id = coalesce(?, attempt_id) WHERE tenant = ? AND id = ?",
        [
            outcome.verdict.as_str().into(),
            now.into(),
            attempt.into(),
            tenant.into(),
            id.into(),
        ],
    )
    .await?;
    let sql = "DELETE FROM job WHERE tenant = ? AND execution_id = ?";
    tx.execute(sql, [tenant.into(), id.into()]).await?;
    parts::delete(tx, tenant, Kind::Job, &id.to_string()).await?;
    Ok(Taken::Yes)
}

/// Wakes those who wait for the execution's end.
pub fn announce_end(directory: &Directory, id: ExecutionId) {
    directory.signals.notify(&topic(id));
}

/// How many executions one tick ends at most.
const REAPED_MAX: u32 = 100;

/// Ends what no executor answered before its deadline.
///
/// # Errors
/// Those of the database.
pub async fn reap(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let outcome = &Outcome::without_run(Verdict::Expired, "no executor answered within an hour");
    let reaped: Vec<ExecutionId> = directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT execution_id FROM job WHERE tenant = ? AND deadline <= ? LIMIT ?";
            let rows = tx
                .execute(sql, [tenant.into(), now.into(), REAPED_MAX.into()])
                .await?;
            let mut reaped = Vec::new();
            for row in rows {
                let id = row.get("execution_id")?;
                finish(&tx, tenant, id, None, outcome, now).await?;
                reaped.push(id);
            }
            Ok::<_, Refusal>(reaped)
        })
        .await?;
    for id in reaped {
        announce_end(directory, id);
    }
    Ok(())
}
