//! Whose job is next, when more wait than can run. The queues behind the edge are first in, first
//! out, and hold no more than there are slots, so this is where fairness is made (X4).
//!
//! 1. What a person waits for goes before what is only judged, meaning compared with an expected
//!    output; except that what has waited for [`JUDGED_WAITS_MS`] has waited long enough.
//! 2. Users take turns. The one for whom the least is on its way and before it in line is next, so
//!    whoever has a thousand jobs waiting keeps somebody with one from no more than the next slot.
//! 3. Of those whose turn it is alike, the oldest.

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::error::Refusal;
use crate::ports::{Rows, Tx, Value};

/// Step 4: what is judged, and an index with all that decides whose turn it is.
pub const SCHEMA_4: &[&str] = &[
    "ALTER TABLE job ADD COLUMN judged INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX job_waiting",
    "CREATE INDEX job_waiting ON job \
     (tenant, execution_id, language, user_id, judged, interactive) WHERE state = 'waiting'",
];

/// A job that is judged waits for people's jobs no longer than this.
pub const JUDGED_WAITS_MS: i64 = 60_000;

/// What an executor can take.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// In one of these.
    pub languages: &'a [AnnouncedLanguage],
    /// Also those whose program is given input while it runs.
    pub interactive: bool,
    /// At most so many.
    pub slots: u32,
}

/// The executions that are next among those that wait for what is wanted.
///
/// # Errors
/// Those of the database.
pub async fn next(
    tx: &Tx,
    tenant: &str,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Rows, Refusal> {
    let Wanted {
        languages, slots, ..
    } = *wanted;
    if slots == 0 || languages.is_empty() {
        return Ok(Rows::default());
    }
    // Ids begin with the time at which they were drawn.
    let patient = ExecutionId::at(now.plus_millis(-JUDGED_WAITS_MS), [0; 10]);
    let mut values: Vec<Value> = vec![patient.into(), tenant.into()];
    values.extend(languages.iter().map(|offered| (&offered.id).into()));
    values.push(tenant.into());
    values.push(slots.min(limits::LEASE_JOBS_MAX).into());
    Ok(tx
        .execute(&in_turn(languages.len(), wanted.interactive), values)
        .await?)
}

/// All that waits is read once; that is at most [`limits::EXECUTIONS_WAITING_MAX`] entries of an
/// index unless a deployment has raised it. What executors have is as much as they have slots.
pub(crate) fn in_turn(languages: usize, interactive: bool) -> String {
    let places = vec!["?"; languages].join(", ");
    let which = if interactive {
        ""
    } else {
        "AND interactive = 0"
    };
    format!(
        "SELECT w.execution_id FROM ( \
           SELECT execution_id, user_id, later, row_number() OVER \
             (PARTITION BY user_id ORDER BY later, execution_id) AS turn \
           FROM (SELECT execution_id, user_id, (judged AND execution_id > ?) AS later \
             FROM job INDEXED BY job_waiting WHERE tenant = ? AND state = 'waiting' \
             AND language IN ({places}) {which})) AS w \
         LEFT JOIN (SELECT user_id, count(*) AS jobs FROM job INDEXED BY job_by_executor \
           WHERE tenant = ? AND executor_id IS NOT NULL GROUP BY user_id) AS h \
           ON h.user_id = w.user_id \
         ORDER BY w.later, w.turn + coalesce(h.jobs, 0), w.execution_id LIMIT ?"
    )
}
