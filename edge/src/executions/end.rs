//! How executions go on and end: by what an attempt reports, by their owner's wish, or by their
//! deadline. Every end is written once, told to the session's room, and announced to those who
//! wait for it.

use codecrafter_shared::api::NotificationEvent;
use codecrafter_shared::id::{AttemptId, ExecutionId, SessionId};
use codecrafter_shared::job::{Event, Outcome, Report, Verdict};
use codecrafter_shared::time::Timestamp;

use super::files;
use super::store::{announce_end, find_row};
use super::view::{interactive_of, shown_run};
use crate::directory::Directory;
use crate::directory::outbox::{Draft, Letter, OutboxMessage, PersonMessage, RoomMessage};
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::executors::controls;
use crate::notifications::note::Note;
use crate::ports::{INTEGER_MAX, Row, Tx, Value};

/// What became of a report.
#[derive(Debug, Clone)]
pub enum Taken {
    /// It is now in the execution's row.
    Yes,
    /// It is the end of the execution. Its room shows this attempt, which need not be the one that
    /// has ended first.
    End {
        /// The last that has started.
        shown: AttemptId,
        /// For who has asked for it.
        told: Option<Box<Letter>>,
    },
    /// The execution had ended before: the first final result stays (X6).
    Duplicate {
        /// Whether by the same attempt: then the report is one that comes again.
        own: bool,
    },
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
    let own = row.get::<Option<AttemptId>>("attempt_id")? == Some(attempt);
    if has_ended(&row)? {
        return Ok(Taken::Duplicate { own });
    }
    if !own {
        let sql = "UPDATE execution SET status = 'running', attempt_id = ?, \
                   attempts = attempts + 1, started_at = ? WHERE tenant = ? AND id = ?";
        tx.execute(sql, [attempt.into(), at.into(), tenant.into(), id.into()])
            .await?;
    }
    Ok(Taken::Yes)
}

/// Whether it is the last attempt at an execution that has started, or the one that has ended it.
///
/// # Errors
/// Those of the database.
pub async fn is_last_attempt(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    attempt: AttemptId,
) -> Result<bool, Refusal> {
    let row = find_row(tx, tenant, id).await?;
    let last = row.map_or(Ok(None), |row| row.get::<Option<AttemptId>>("attempt_id"))?;
    Ok(last == Some(attempt))
}

/// An attempt has ended: writes the result, if it is the first, and removes the job.
///
/// # Errors
/// Those of the database.
pub async fn finish(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    attempt: AttemptId,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<Taken, Refusal> {
    let Some(row) = find_row(tx, tenant, id).await? else {
        return Ok(Taken::Unknown);
    };
    let last = row.get::<Option<AttemptId>>("attempt_id")?;
    if has_ended(&row)? {
        let sql = "UPDATE execution SET duplicates = duplicates + 1 WHERE tenant = ? AND id = ?";
        tx.execute(sql, [tenant.into(), id.into()]).await?;
        let own = last == Some(attempt);
        return Ok(Taken::Duplicate { own });
    }
    write_end(tx, tenant, &row, Some(attempt), outcome, now).await?;
    let shown = last.unwrap_or(attempt);
    let told = told_to_owner(tx, tenant, &row, outcome.verdict, now).await?;
    let told = told.map(Box::new);
    Ok(Taken::End { shown, told })
}

/// For who has asked for an execution of a session: that it has ended. Not what was cancelled, which
/// somebody has just asked for.
async fn told_to_owner(
    tx: &Tx,
    tenant: &str,
    row: &Row,
    verdict: Verdict,
    now: Timestamp,
) -> Result<Option<Letter>, Refusal> {
    let session: Option<SessionId> = row.get("session_id")?;
    let Some(session_id) = session.filter(|_| verdict != Verdict::Cancelled) else {
        return Ok(None);
    };
    let sql = "SELECT title FROM session WHERE tenant = ? AND id = ? AND deleted_at IS NULL";
    let Some(session) = tx.first(sql, [tenant.into(), session_id.into()]).await? else {
        return Ok(None);
    };
    let event = NotificationEvent::RunFinished {
        session_id,
        title: session.get("title")?,
        execution_id: row.get("id")?,
        verdict,
    };
    let note = Note {
        at: now,
        event,
        mark: None,
    };
    let message = PersonMessage::Note {
        note,
        unless_in: Some(session_id),
    };
    Ok(Some(Letter::Person {
        user_id: row.get("user_id")?,
        message,
    }))
}

fn has_ended(row: &Row) -> Result<bool, Refusal> {
    Ok(row.get::<Option<Timestamp>>("finished_at")?.is_some())
}

async fn write_end(
    tx: &Tx,
    tenant: &str,
    row: &Row,
    attempt: Option<AttemptId>,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Refusal> {
    let id: ExecutionId = row.get("id")?;
    files::write(tx, tenant, id, outcome).await?;
    let result = files::without_content(outcome);
    let result = serde_json::to_vec(&result).map_err(Refusal::internal)?;
    parts::write(tx, tenant, Kind::Result, &id.to_string(), &result).await?;
    let run = shown_run(outcome);
    let has_run = run.is_some() || outcome.compile.is_some();
    tx.execute(
        "UPDATE execution SET status = 'finished', verdict = ?, finished_at = ?, \
         attempt_id = coalesce(?, attempt_id), attempts = max(attempts, ?), exit_code = ?, \
         cpu_ms = ?, wall_ms = ?, peak_bytes = ? WHERE tenant = ? AND id = ?",
        [
            outcome.verdict.as_str().into(),
            now.into(),
            attempt.into(),
            // That it had started may never have been heard of.
            i64::from(has_run).into(),
            run.and_then(|run| run.exit_code).map(i64::from).into(),
            run.map(|run| measured(run.usage.cpu_ms)).into(),
            run.map(|run| measured(run.usage.wall_ms)).into(),
            run.map(|run| measured(run.usage.peak_bytes)).into(),
            tenant.into(),
            id.into(),
        ],
    )
    .await?;
    if interactive_of(row)?.is_some() {
        controls::drop_input(tx, tenant, id).await?;
    }
    let sql = "DELETE FROM job WHERE tenant = ? AND execution_id = ?";
    tx.execute(sql, [tenant.into(), id.into()]).await?;
    parts::delete(tx, tenant, Kind::Job, &id.to_string()).await
}

/// What an executor measured, as far as every platform can keep it.
fn measured(n: u64) -> Value {
    Value::Integer(i64::try_from(n).map_or(INTEGER_MAX, |n| n.min(INTEGER_MAX)))
}

/// An end that no attempt reports. Its ids are drawn before the transaction, which may run again.
pub struct Ending {
    draft: Draft,
    /// Names the end to the room, if no attempt has started.
    attempt: AttemptId,
}

impl Ending {
    /// An end whose message is sent by the draft's sender.
    pub fn new(directory: &Directory, draft: Draft) -> Self {
        let attempt = AttemptId::random(directory.rng.bytes());
        Self { draft, attempt }
    }

    /// Ends the execution, unless it has ended; gives what the room is to be told.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write(
        &self,
        tx: &Tx,
        tenant: &str,
        id: ExecutionId,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Vec<OutboxMessage>, Refusal> {
        let Some(row) = find_row(tx, tenant, id).await? else {
            return Ok(Vec::new());
        };
        if has_ended(&row)? {
            return Ok(Vec::new());
        }
        write_end(tx, tenant, &row, None, &outcome, now).await?;
        let told = told_to_owner(tx, tenant, &row, outcome.verdict, now).await?;
        let Some(session_id) = row.get::<Option<SessionId>>("session_id")? else {
            return Ok(Vec::new());
        };
        let attempt = row.get::<Option<AttemptId>>("attempt_id")?;
        let report = Report {
            execution_id: id,
            session_id: Some(session_id),
            report_token: String::new(),
            attempt_id: attempt.unwrap_or(self.attempt),
            // After all that the attempt has reported: what it still reports comes too late.
            seq: u32::MAX,
            at: now,
            event: Event::Finished {
                outcome: Box::new(outcome),
            },
            traceparent: None,
        };
        let message = RoomMessage::Finished {
            report: Box::new(report),
        };
        let mut letters = vec![(session_id, message).into()];
        letters.extend(told);
        let committed = self.draft.commit_each(tx, tenant, letters, ());
        Ok(committed.await?.outbox)
    }
}

/// How many executions one transaction ends at most.
const REAPED_MAX: u32 = 100;

/// Ends what is past its deadline: `cancelled` where somebody had asked for that, `internal_error`
/// where nobody could have run it, else `expired`.
///
/// # Errors
/// Those of the database.
pub async fn reap(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let due: Vec<(ExecutionId, Outcome)> = directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT execution_id, cancelled, state = 'over' AS is_over FROM job \
                       WHERE tenant = ? AND deadline <= ? ORDER BY execution_id LIMIT ?";
            let rows = tx
                .execute(sql, [tenant.into(), now.into(), REAPED_MAX.into()])
                .await?;
            let past = |row: Row| {
                let outcome = past_deadline(row.get("cancelled")?, row.get("is_over")?);
                Ok::<_, Refusal>((row.get("execution_id")?, outcome))
            };
            rows.into_iter().map(past).collect()
        })
        .await?;
    if due.is_empty() {
        return Ok(());
    }
    let ending = |_: &_| Ending::new(directory, Draft::of_the_tick(directory, now));
    let endings: Vec<Ending> = due.iter().map(ending).collect();
    let (ends, endings) = (&due, &endings);
    directory
        .db
        .transaction(|tx| async move {
            for ((id, outcome), ending) in ends.iter().zip(endings) {
                ending.write(&tx, tenant, *id, outcome.clone(), now).await?;
            }
            Ok::<_, Refusal>(())
        })
        .await?;
    for (id, _) in due {
        announce_end(directory, id);
    }
    Ok(())
}

fn past_deadline(cancelled: bool, over: bool) -> Outcome {
    if cancelled {
        Outcome::without_run(Verdict::Cancelled, "cancelled; its executor did not say so")
    } else if over {
        Outcome::without_run(Verdict::InternalError, "what was to be run is not readable")
    } else {
        Outcome::without_run(Verdict::Expired, "no executor answered within an hour")
    }
}
