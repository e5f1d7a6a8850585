//! Cancelling: at once what waits, and by its executor what somebody has.

use codecrafter_shared::api::Execution;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ControlId, ExecutorId, UserId};
use codecrafter_shared::job::{Outcome, Verdict};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::Cancel;
use super::end::Ending;
use super::retention::Kept;
use super::store::{announce_end, find_row, read, readable};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft};
use crate::error::Refusal;
use crate::executors::controls::{self, Message, executor_topic};
use crate::ports::{Row, Tx};

/// [`Cancel`]. Harmless to repeat.
///
/// # Errors
/// [`ErrorCode::ExecutionNotFound`]; [`ErrorCode::Forbidden`] for those who did not ask for it and
/// do not administer its session; [`ErrorCode::ExecutionFinished`] if it has ended otherwise.
pub async fn cancel(directory: &Directory, call: Cancel) -> Result<Committed<Execution>, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let kept = Kept::at(&directory.config, now);
    let ending = &Ending::new(directory, Draft::new(directory, now));
    let control = ControlId::at(now, directory.rng.bytes());
    let id = call.execution_id;
    let cancel = Message {
        id: control,
        execution: id,
        inputs: None,
    };
    let (committed, executor) = directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let (row, role) = readable(&tx, tenant, id, call.caller).await?;
            let is_own = row.get::<UserId>("user_id")? == call.caller.user_id;
            if !is_own && !role.is_some_and(Role::may_administer) {
                let detail = "needs the role admin, or to have asked for the execution";
                return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
            }
            if let Some(verdict) = row.get::<Option<String>>("verdict")? {
                if verdict != Verdict::Cancelled.as_str() {
                    return Err(Refusal::new(ErrorCode::ExecutionFinished));
                }
                let ended = read(&tx, tenant, &row, kept).await?;
                return Ok((Committed::nothing_to_send(ended), None));
            }
            let mut committed = Committed::nothing_to_send(());
            let mut told = None;
            match job_of(&tx, tenant, &row)
                .await?
                .get::<Option<ExecutorId>>("executor_id")?
            {
                Some(executor) => {
                    if request(&tx, tenant, &row, now).await? {
                        controls::send(&tx, tenant, Some(executor), cancel, now).await?;
                        told = Some(executor);
                    }
                }
                None => {
                    request(&tx, tenant, &row, now).await?;
                    let message = "cancelled before it started";
                    let outcome = Outcome::without_run(Verdict::Cancelled, message);
                    committed.outbox = ending.write(&tx, tenant, id, outcome, now).await?;
                }
            }
            let row = find_row(&tx, tenant, id).await?;
            let row = row.ok_or_else(|| Refusal::new(ErrorCode::ExecutionNotFound))?;
            let execution = read(&tx, tenant, &row, kept).await?;
            let outbox = committed.outbox;
            Ok((
                Committed {
                    value: execution,
                    outbox,
                },
                told,
            ))
        })
        .await?;
    if let Some(executor) = executor {
        directory.signals.notify(&executor_topic(executor));
    }
    announce_end(directory, id);
    Ok(committed)
}

/// The job of an execution that has not ended.
async fn job_of(tx: &Tx, tenant: &str, execution: &Row) -> Result<Row, Refusal> {
    let id: String = execution.get("id")?;
    let sql = "SELECT executor_id FROM job WHERE tenant = ? AND execution_id = ?";
    let job = tx.first(sql, [tenant.into(), id.into()]).await?;
    job.ok_or_else(|| Refusal::internal("an unfinished execution has no job"))
}

/// Notes the wish, and brings the deadline forward; whether it is the first.
async fn request(tx: &Tx, tenant: &str, execution: &Row, now: Timestamp) -> Result<bool, Refusal> {
    if execution
        .get::<Option<Timestamp>>("cancel_requested_at")?
        .is_some()
    {
        return Ok(false);
    }
    let id: String = execution.get("id")?;
    let sql = "UPDATE execution SET cancel_requested_at = ? WHERE tenant = ? AND id = ?";
    tx.execute(sql, [now.into(), tenant.into(), (&id).into()])
        .await?;
    let sql = "UPDATE job SET cancelled = 1, deadline = min(deadline, ?) \
               WHERE tenant = ? AND execution_id = ?";
    let deadline = now.plus_millis(limits::CANCEL_MS_MAX);
    tx.execute(sql, [deadline.into(), tenant.into(), id.into()])
        .await?;
    Ok(true)
}
