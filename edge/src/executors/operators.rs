//! Executors as operators see them, in the Directory's database.

use codecrafter_shared::api::{Executor, Executors};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{List, Revoke};
use super::controls::{self, executor_topic};
use super::lease::GiveBack;
use crate::directory::Directory;
use crate::error::Refusal;
use crate::ports::Row;

/// [`List`].
///
/// # Errors
/// Those of the database.
pub async fn list(directory: &Directory, _: List) -> Result<Executors, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT x.*, (SELECT count(*) FROM job j INDEXED BY job_by_executor \
                       WHERE j.tenant = x.tenant AND j.executor_id = x.id AND j.state = 'held') AS held \
                       FROM executor x WHERE x.tenant = ? ORDER BY x.revoked_at IS NULL DESC, \
                       coalesce(x.last_seen_at, x.enrolled_at) DESC, x.id LIMIT ?";
            let max = limits::EXECUTORS_LISTED_MAX;
            let rows = tx.execute(sql, [tenant.into(), max.into()]).await?;
            let items = rows.into_iter().map(|row| executor(&row, now));
            let mut items = items.collect::<Result<Vec<_>, Refusal>>()?;
            items.sort_by_key(|executor| (executor.enrolled_at, executor.id));
            Ok(Executors { items })
        })
        .await
}

fn executor(row: &Row, now: Timestamp) -> Result<Executor, Refusal> {
    let languages: String = row.get("languages")?;
    let last_seen_at: Option<Timestamp> = row.get("last_seen_at")?;
    let revoked_at: Option<Timestamp> = row.get("revoked_at")?;
    let heard = last_seen_at.is_some_and(|at| now.since(at) <= limits::EXECUTOR_LIVE_MS);
    Ok(Executor {
        id: row.get("id")?,
        name: row.get("name")?,
        version: row.get("version")?,
        languages: serde_json::from_str(&languages).map_err(Refusal::internal)?,
        capacity: row.get("capacity")?,
        held: row.get("held")?,
        live: heard && revoked_at.is_none(),
        enrolled_at: row.get("enrolled_at")?,
        last_seen_at,
        revoked_at,
    })
}

/// Forgets executors that were revoked long ago. What they had was given to others by that.
///
/// # Errors
/// Those of the database.
pub async fn forget_revoked(directory: &Directory) -> Result<(), Refusal> {
    let tenant = &*directory.config.tenant;
    let since = directory.clock.now();
    let since = since.plus_millis(-limits::EXECUTOR_REVOKED_MS);
    directory
        .db
        .transaction(|tx| async move {
            let sql = "DELETE FROM executor WHERE tenant = ? AND revoked_at <= ?";
            tx.execute(sql, [tenant.into(), since.into()]).await?;
            Ok(())
        })
        .await
}

/// [`Revoke`].
///
/// # Errors
/// [`ErrorCode::ExecutorNotFound`].
pub async fn revoke(directory: &Directory, call: Revoke) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let id = call.executor_id;
    let given_back = directory
        .db
        .transaction(|tx| async move {
            let sql = "UPDATE executor SET revoked_at = coalesce(revoked_at, ?), poll_id = NULL \
                       WHERE tenant = ? AND id = ? RETURNING id";
            if tx
                .execute(sql, [now.into(), tenant.into(), id.into()])
                .await?
                .is_empty()
            {
                return Err(Refusal::new(ErrorCode::ExecutorNotFound));
            }
            let given_back = GiveBack::all_of(&tx, tenant, id, now).await?;
            controls::drop_all_of(&tx, tenant, id).await?;
            Ok(given_back)
        })
        .await?;
    tracing::info!(executor.id = %id, jobs = given_back.jobs(), "executor revoked");
    // Its waiting request ends.
    directory.signals.notify(&executor_topic(id));
    given_back.announce(directory).await
}
