//! Executions in the Directory's database.
//!
//! An execution is a row for ever; its job is a row only while somebody still has to run it. Both
//! are written in one transaction, and the job goes in the transaction that writes the result
//! ([`super::end`]).

use codecrafter_shared::api::{Execution, ExecutionStatus};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ExecutionId, SessionId, UserId};
use codecrafter_shared::job::{Job, PROTOCOL_VERSION, RunSpec};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::{Create, Get, Prepare};
use super::wait::Place;
use super::{end, view};
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

/// What is notified when a job of that language waits.
pub fn jobs_topic(language: &str) -> String {
    format!("jobs/{language}")
}

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
            expected: call.expected,
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
            admit(&tx, directory, caller).await?;
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
            match find_row(&tx, tenant, id).await? {
                Some(row) => read(&tx, tenant, &row).await,
                None => Err(Refusal::internal("an execution vanished while it was made")),
            }
        })
        .await?;
    directory.signals.notify_one(&jobs_topic(language));
    Ok(created)
}

/// Rows of one user that are unfinished, as many as may be.
pub(crate) const UNFINISHED_OF_USER: &str =
    "SELECT count(*) AS n FROM (SELECT 1 FROM job WHERE tenant = ? AND user_id = ? LIMIT ?)";
/// Rows that wait for an executor, as many as may.
pub(crate) const WAITING: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM job INDEXED BY job_waiting \
     WHERE tenant = ? AND state = 'waiting' LIMIT ?)";

/// Who waits for too much already is refused before anything is written.
async fn admit(tx: &Tx, directory: &Directory, caller: Caller) -> Result<(), Refusal> {
    let tenant = &*directory.config.tenant;
    let count = |row: Option<Row>| row.map_or(Ok(0), |row| row.get::<u32>("n"));
    let max = limits::EXECUTIONS_PER_USER_MAX;
    let values = [tenant.into(), caller.user_id.into(), max.into()];
    if count(tx.first(UNFINISHED_OF_USER, values).await?)? >= max {
        return Err(Refusal::retry_after(ErrorCode::TooManyExecutions, 2));
    }
    let max = directory.config.waiting_max;
    if count(tx.first(WAITING, [tenant.into(), max.into()]).await?)? >= max {
        return Err(Refusal::retry_after(ErrorCode::QueueFull, 5));
    }
    Ok(())
}

/// [`Get`]: at once, or when it has ended, or when the time is over; at once, too, if the caller
/// waits for as many answers as one may.
///
/// # Errors
/// [`ErrorCode::ExecutionNotFound`], also for an execution of others outside the caller's
/// sessions.
pub async fn get(directory: &Directory, call: Get) -> Result<Execution, Refusal> {
    let mut place = None;
    let execution = get_in_time(directory, &call, &mut place).await;
    if let Some(place) = place {
        place.leave(directory).await;
    }
    execution
}

async fn get_in_time(
    directory: &Directory,
    call: &Get,
    place: &mut Option<Place>,
) -> Result<Execution, Refusal> {
    let wait_ms = call.wait_ms.clamp(0, limits::WAIT_MS_MAX);
    let until = directory.clock.now().plus_millis(wait_ms);
    loop {
        // Listen, then look, then wait: an end between looking and waiting is not missed.
        let listener = directory.signals.listen(&[topic(call.execution_id)]);
        let mut execution = get_now(directory, call).await?;
        if is_overdue(&execution, directory.clock.now()) {
            // Where nothing rings by itself and no link asks, nobody else ends it.
            end::reap(directory).await?;
            execution = get_now(directory, call).await?;
        }
        let left = until.since(directory.clock.now());
        if execution.status == ExecutionStatus::Finished || left <= 0 {
            return Ok(execution);
        }
        if place.is_none() {
            *place = Place::take(directory, call.caller, until).await?;
            if place.is_none() {
                return Ok(execution);
            }
        }
        listener.wait(u32::try_from(left).unwrap_or(0)).await;
    }
}

/// Whether it should have ended by now.
fn is_overdue(execution: &Execution, now: Timestamp) -> bool {
    let cancelled = execution.cancel_requested_at;
    let asked_to = cancelled.is_some_and(|at| now.since(at) >= limits::CANCEL_MS_MAX);
    let is_old = now.since(execution.created_at) >= limits::EXECUTION_MS_MAX;
    execution.status != ExecutionStatus::Finished && (asked_to || is_old)
}

async fn get_now(directory: &Directory, call: &Get) -> Result<Execution, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let (row, _) = readable(&tx, tenant, call.execution_id, call.caller).await?;
            read(&tx, tenant, &row).await
        })
        .await
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

/// An execution with its result, if it has ended.
pub(super) async fn read(tx: &Tx, tenant: &str, row: &Row) -> Result<Execution, Refusal> {
    let outcome = if row.get::<Option<Timestamp>>("finished_at")?.is_some() {
        let id: String = row.get("id")?;
        let result = parts::read(tx, tenant, Kind::Result, &id).await?;
        Some(serde_json::from_slice(&result).map_err(Refusal::internal)?)
    } else {
        None
    };
    view::execution(row, outcome)
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
