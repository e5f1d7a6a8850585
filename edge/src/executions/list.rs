//! Lists of executions, newest first. They are read from the rows alone, never from the results,
//! and by an index of the user or of the session, never through a whole tenant.

use codecrafter_shared::api::{ExecutionStatus, ExecutionSummary, Page};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::job::Verdict;
use codecrafter_shared::limits;

use super::calls::{Filter, List, ListOfSession};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::error::Refusal;
use crate::ports::{Row, Tx, Value};
use crate::sessions::store::visible;

/// [`List`].
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`].
pub async fn list(directory: &Directory, call: List) -> Result<Page<ExecutionSummary>, Refusal> {
    let (now, tenant, call) = (directory.clock.now(), &*directory.config.tenant, &call);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let whose = Whose::User(call.caller.user_id.into());
            page(&tx, tenant, whose, &call.filter).await
        })
        .await
}

/// [`ListOfSession`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for those who may see the session and
/// have not joined it.
pub async fn list_of_session(
    directory: &Directory,
    call: ListOfSession,
) -> Result<Page<ExecutionSummary>, Refusal> {
    let (now, tenant, call) = (directory.clock.now(), &*directory.config.tenant, &call);
    let session_id: SessionId = call.session_id;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let session = visible(&tx, tenant, session_id, call.caller.user_id).await?;
            if session.role.is_none() {
                let detail = "only participants see what ran here; join the session";
                return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
            }
            page(&tx, tenant, Whose::Session(session_id.into()), &call.filter).await
        })
        .await
}

/// Whose executions are listed.
pub(crate) enum Whose {
    User(Value),
    Session(Value),
}

async fn page(
    tx: &Tx,
    tenant: &str,
    whose: Whose,
    filter: &Filter,
) -> Result<Page<ExecutionSummary>, Refusal> {
    let (from, values) = selected(tenant, whose, filter);
    let max = limits::TOTAL_MAX.into();
    let counting = values.clone().into_iter().chain([max]);
    let total = tx
        .first(&counted(&from), counting.collect::<Vec<Value>>())
        .await?;
    let total: u64 = total.map_or(Ok(0), |row| row.get("n"))?;
    let skipped = i64::from(filter.page.saturating_sub(1)).saturating_mul(filter.limit.into());
    let values = values
        .into_iter()
        .chain([filter.limit.into(), skipped.into()]);
    let rows = tx
        .execute(&shown(&from), values.collect::<Vec<Value>>())
        .await?;
    let items = rows.into_iter().map(|row| summary(&row));
    Ok(Page {
        items: items.collect::<Result<_, Refusal>>()?,
        page: filter.page,
        limit: filter.limit,
        total,
    })
}

pub(crate) fn counted(from: &str) -> String {
    format!("SELECT count(*) AS n FROM (SELECT 1 {from} LIMIT ?)")
}

pub(crate) fn shown(from: &str) -> String {
    format!(
        "SELECT e.id, e.session_id, e.user_id, e.language, e.status, e.verdict, e.exit_code, \
         e.cpu_ms, e.wall_ms, e.peak_bytes, e.created_at, e.started_at, e.finished_at, \
         coalesce((SELECT a.display_name FROM account a \
         WHERE a.tenant = e.tenant AND a.id = e.user_id), '') AS display_name \
         {from} ORDER BY e.id DESC LIMIT ? OFFSET ?"
    )
}

/// Only the conditions that are asked for, so that counting without any reads the index alone.
pub(crate) fn selected(tenant: &str, whose: Whose, filter: &Filter) -> (String, Vec<Value>) {
    let (index, column, id) = match whose {
        Whose::User(id) => ("execution_by_user", "user_id", id),
        Whose::Session(id) => ("execution_by_session", "session_id", id),
    };
    // Named, because SQLite would rather walk the whole tenant in the order of the primary key.
    let mut from =
        format!("FROM execution e INDEXED BY {index} WHERE e.tenant = ? AND e.{column} = ?");
    let mut values: Vec<Value> = vec![tenant.into(), id];
    let wanted = [
        ("status", filter.status.map(ExecutionStatus::as_str)),
        ("verdict", filter.verdict.map(Verdict::as_str)),
        ("language", filter.language.as_deref()),
    ];
    for (column, wanted) in wanted {
        if let Some(wanted) = wanted {
            from.push_str(&format!(" AND e.{column} = ?"));
            values.push(wanted.into());
        }
    }
    (from, values)
}

fn summary(row: &Row) -> Result<ExecutionSummary, Refusal> {
    Ok(ExecutionSummary {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        user_id: row.get("user_id")?,
        display_name: row.get("display_name")?,
        language: row.get("language")?,
        status: row.parse("status", ExecutionStatus::from_name)?,
        verdict: row
            .get::<Option<String>>("verdict")?
            .and_then(|verdict| Verdict::from_name(&verdict)),
        exit_code: row.get("exit_code")?,
        cpu_ms: row.get("cpu_ms")?,
        wall_ms: row.get("wall_ms")?,
        peak_bytes: row.get("peak_bytes")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}
