//! The Directory's tables, by version. A version that was released is never changed; what comes
//! after it is a step of its own.

use crate::accounts::{passes, store as accounts};
use crate::directory::{outbox, parts};
use crate::executions::{store as executions, wait};
use crate::executors::{controls, store as executors, turns};
use crate::notifications::online;
use crate::ports::{Db, DbError};
use crate::sessions::{decided, origin, store as sessions};

/// Steps in order; the number of steps that were taken is the version.
const STEPS: &[&[&[&str]]] = &[
    &[
        accounts::SCHEMA,
        passes::SCHEMA,
        sessions::SCHEMA,
        decided::SCHEMA,
        executions::SCHEMA,
        wait::SCHEMA,
        executors::SCHEMA,
        outbox::SCHEMA,
        parts::SCHEMA,
    ],
    // Lists and ends of executions, controls of executors.
    &[
        executions::SCHEMA_2,
        executors::SCHEMA_2,
        controls::SCHEMA_2,
    ],
    // Input for programs that run.
    &[executions::SCHEMA_3, controls::SCHEMA_3],
    // Whose turn it is, and traces.
    &[turns::SCHEMA_4, executions::SCHEMA_4],
    // What sessions were forked from.
    &[origin::SCHEMA],
    // What people are told, and who is online.
    &[outbox::SCHEMA_6, online::SCHEMA],
];

/// Takes the steps that are missing, each as one transaction.
///
/// # Errors
/// Those of the database.
pub async fn migrate(db: &dyn Db) -> Result<(), DbError> {
    loop {
        let more = db
            .transaction(|tx| async move {
                let create =
                    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)";
                tx.execute(create, []).await?;
                let row = tx
                    .first("SELECT max(version) AS version FROM schema_version", [])
                    .await?;
                let version: Option<u32> = row.map_or(Ok(None), |row| row.get("version"))?;
                let version = version.unwrap_or(0);
                let Some(step) = usize::try_from(version)
                    .ok()
                    .and_then(|taken| STEPS.get(taken))
                else {
                    return Ok(false);
                };
                for sql in step.iter().flat_map(|tables| tables.iter()) {
                    tx.execute(sql, []).await?;
                }
                let next = version.saturating_add(1);
                let sql = "INSERT INTO schema_version (version) VALUES (?)";
                tx.execute(sql, [next.into()]).await?;
                Ok::<_, DbError>(true)
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}
