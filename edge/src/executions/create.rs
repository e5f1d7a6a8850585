//! Taking an execution in: whether it may be, and its rows. From the answer on it ends with exactly
//! one result.

use codecrafter_shared::api::Execution;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{Job, PROTOCOL_VERSION, RunSpec};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;

use super::calls::{Create, Prepare};
use super::retention::Kept;
use super::store::{find_row, interactive_column, jobs_topic, read};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::ports::{Row, Tx};
use crate::sessions::store::visible;
use crate::token::Caller;

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
    let is_judged = call.expected.is_some();
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
        interactive: call.interactive,
        // Made when the job is leased, for the executor that gets it.
        report_token: String::new(),
        deadline,
        traceparent: Some(call.traceparent),
    };
    let job = serde_json::to_vec(&job).map_err(Refusal::internal)?;
    let kept = Kept::at(&directory.config, now);
    let is_interactive = call.interactive.is_some();
    let interactive = interactive_column(call.interactive.as_ref())?;
    let trace_id = call.traceparent.trace_id();
    let (job, limits, language) = (&job, &limits, &language);
    let (interactive, trace_id) = (&interactive, &trace_id);
    let created = directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            admit(&tx, directory, caller, is_interactive).await?;
            tx.execute(
                "INSERT INTO execution (tenant, id, session_id, user_id, language, status, \
                 limits, interactive, trace_id, attempts, duplicates, created_at) \
                 VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, 0, 0, ?)",
                [
                    tenant.into(),
                    id.into(),
                    session_id.into(),
                    caller.user_id.into(),
                    language.into(),
                    limits.into(),
                    interactive.clone().into(),
                    trace_id.into(),
                    now.into(),
                ],
            )
            .await?;
            tx.execute(
                "INSERT INTO job (tenant, execution_id, user_id, language, state, deadline, \
                 interactive, judged) VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?)",
                [
                    tenant.into(),
                    id.into(),
                    caller.user_id.into(),
                    language.into(),
                    deadline.into(),
                    i64::from(is_interactive).into(),
                    i64::from(is_judged).into(),
                ],
            )
            .await?;
            parts::write(&tx, tenant, Kind::Job, &id.to_string(), job).await?;
            match find_row(&tx, tenant, id).await? {
                Some(row) => read(&tx, tenant, &row, kept).await,
                None => Err(Refusal::internal("an execution vanished while it was made")),
            }
        })
        .await?;
    tracing::info!(execution.id = %id, trace.id = %trace_id, "execution accepted");
    directory.signals.notify_one(&jobs_topic(language));
    Ok(created)
}

/// Rows of one user that are unfinished, as many as may be.
pub(crate) const UNFINISHED_OF_USER: &str =
    "SELECT count(*) AS n FROM (SELECT 1 FROM job WHERE tenant = ? AND user_id = ? LIMIT ?)";
/// Those of them that are interactive.
pub(crate) const INTERACTIVE_OF_USER: &str = "SELECT count(*) AS n \
     FROM (SELECT 1 FROM job INDEXED BY job_by_user \
     WHERE tenant = ? AND user_id = ? AND interactive = 1 LIMIT ?)";
/// Rows that wait for an executor, as many as may.
pub(crate) const WAITING: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM job INDEXED BY job_waiting \
     WHERE tenant = ? AND state = 'waiting' LIMIT ?)";

/// Who waits for too much already is refused before anything is written.
async fn admit(
    tx: &Tx,
    directory: &Directory,
    caller: Caller,
    is_interactive: bool,
) -> Result<(), Refusal> {
    let tenant = &*directory.config.tenant;
    let count = |row: Option<Row>| row.map_or(Ok(0), |row| row.get::<u32>("n"));
    let max = limits::EXECUTIONS_PER_USER_MAX;
    let values = [tenant.into(), caller.user_id.into(), max.into()];
    if count(tx.first(UNFINISHED_OF_USER, values).await?)? >= max {
        return Err(Refusal::retry_after(ErrorCode::TooManyExecutions, 2));
    }
    let max = limits::INTERACTIVE_PER_USER_MAX;
    let values = [tenant.into(), caller.user_id.into(), max.into()];
    if is_interactive && count(tx.first(INTERACTIVE_OF_USER, values).await?)? >= max {
        return Err(Refusal {
            detail: Some(format!("at most {max} of them may be interactive")),
            ..Refusal::retry_after(ErrorCode::TooManyExecutions, 2)
        });
    }
    let max = directory.config.waiting_max;
    if count(tx.first(WAITING, [tenant.into(), max.into()]).await?)? >= max {
        return Err(Refusal::retry_after(ErrorCode::QueueFull, 5));
    }
    Ok(())
}
