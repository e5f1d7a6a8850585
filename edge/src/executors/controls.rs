//! Control messages: what an executor is to do to executions that it holds, or is about to get.
//!
//! Each is a row until the executor says that it has taken it. Input for an execution that nobody
//! holds waits under no executor's name, goes along with the job to whoever gets it, and returns
//! with it if that executor loses it before it has taken the input.

use codecrafter_shared::id::{ControlId, ExecutionId, ExecutorId};
use codecrafter_shared::interaction::Inputs;
use codecrafter_shared::job::{Control, ControlAction};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::directory::Directory;
use crate::error::Refusal;
use crate::ports::{Row, Tx};

/// The table as it was first; [`SCHEMA_3`] is what came to it.
pub const SCHEMA_2: &[&str] = &["CREATE TABLE control (
        tenant TEXT, executor_id TEXT, id TEXT, execution_id TEXT, created_at INTEGER,
        PRIMARY KEY (tenant, executor_id, id)) WITHOUT ROWID"];

/// Step 3: input beside cancelling. `inputs` is none for the latter. `position` orders the messages
/// of one executor, which their ids do not do within a millisecond.
pub const SCHEMA_3: &[&str] = &[
    "ALTER TABLE control ADD COLUMN inputs TEXT",
    "ALTER TABLE control ADD COLUMN position INTEGER NOT NULL DEFAULT 0",
];

/// The executor of messages for an execution that nobody holds.
const NOBODY: &str = "";
/// Bytes of messages after which no other is added to an answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// What is notified when there is something for one executor alone.
pub fn executor_topic(id: ExecutorId) -> String {
    format!("executor/{id}")
}

/// A message on its way, with the id that it gets.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Drawn before the transaction, which may run again.
    pub id: ControlId,
    /// About which execution.
    pub execution: ExecutionId,
    /// What to give to its program; to end it if none.
    pub inputs: Option<&'a Inputs>,
}

/// Keeps a message until `executor` has taken it, or whoever gets the execution if nobody has it.
///
/// # Errors
/// Those of the database.
pub async fn send(
    tx: &Tx,
    tenant: &str,
    executor: Option<ExecutorId>,
    message: Message<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let executor = executor.map_or_else(|| NOBODY.to_owned(), |id| id.to_string());
    let inputs = message.inputs.map(serde_json::to_string).transpose();
    let inputs = inputs.map_err(Refusal::internal)?;
    let sql = "INSERT INTO control (tenant, executor_id, id, execution_id, inputs, created_at, \
               position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1 + coalesce((SELECT max(position) \
               FROM control WHERE tenant = ?1 AND executor_id = ?2), 0))";
    let values = [
        tenant.into(),
        executor.into(),
        message.id.into(),
        message.execution.into(),
        inputs.into(),
        now.into(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// How many messages with input for the execution were not taken yet, as far as is counted.
///
/// # Errors
/// Those of the database.
pub async fn waiting(
    tx: &Tx,
    tenant: &str,
    executor: Option<ExecutorId>,
    execution: ExecutionId,
) -> Result<u32, Refusal> {
    let executor = executor.map_or_else(|| NOBODY.to_owned(), |id| id.to_string());
    let sql = "SELECT count(*) AS n FROM (SELECT 1 FROM control WHERE tenant = ? \
               AND executor_id = ? AND execution_id = ? AND inputs IS NOT NULL LIMIT ?)";
    let most = limits::INPUT_REQUESTS_WAITING_MAX;
    let values = [
        tenant.into(),
        executor.into(),
        execution.into(),
        most.into(),
    ];
    let row = tx.first(sql, values).await?;
    Ok(row.map_or(Ok(0), |row| row.get("n"))?)
}

/// What the executor is to be told now: the oldest first, at most [`limits::CONTROLS_MAX`].
///
/// # Errors
/// Those of the database.
pub async fn of_executor(
    tx: &Tx,
    tenant: &str,
    executor: ExecutorId,
) -> Result<Vec<Control>, Refusal> {
    let sql = "SELECT id, execution_id, inputs FROM control \
               WHERE tenant = ? AND executor_id = ? ORDER BY position, id LIMIT ?";
    let values = [tenant.into(), executor.into(), limits::CONTROLS_MAX.into()];
    let mut bytes = 0_usize;
    let mut controls = Vec::new();
    for row in tx.execute(sql, values).await? {
        let inputs: Option<String> = row.get("inputs")?;
        bytes = bytes.saturating_add(inputs.as_ref().map_or(0, String::len));
        controls.push(control(&row, inputs.as_deref())?);
        if bytes >= ANSWER_BYTES {
            break;
        }
    }
    Ok(controls)
}

fn control(row: &Row, inputs: Option<&str>) -> Result<Control, Refusal> {
    let action = match inputs {
        None => ControlAction::Cancel,
        Some(inputs) => {
            ControlAction::Input(serde_json::from_str(inputs).map_err(Refusal::internal)?)
        }
    };
    Ok(Control {
        id: row.get("id")?,
        execution_id: row.get("execution_id")?,
        action,
    })
}

/// The executor has taken these; they are not told again.
///
/// # Errors
/// Those of the database.
pub async fn taken(
    tx: &Tx,
    tenant: &str,
    executor: ExecutorId,
    messages: &[ControlId],
) -> Result<(), Refusal> {
    for id in messages {
        let sql = "DELETE FROM control WHERE tenant = ? AND executor_id = ? AND id = ?";
        let values = [tenant.into(), executor.into(), (*id).into()];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// Input that has waited for somebody to hold the execution goes to `executor`.
///
/// # Errors
/// Those of the database.
pub async fn go_along(
    tx: &Tx,
    tenant: &str,
    execution: ExecutionId,
    executor: ExecutorId,
) -> Result<(), Refusal> {
    let sql = "UPDATE control SET executor_id = ? \
               WHERE tenant = ? AND executor_id = ? AND execution_id = ?";
    let values = [
        executor.into(),
        tenant.into(),
        NOBODY.into(),
        execution.into(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// The execution was taken from its executor: input that it has not taken waits for the next.
///
/// # Errors
/// Those of the database.
pub async fn return_input(tx: &Tx, tenant: &str, execution: ExecutionId) -> Result<(), Refusal> {
    let sql = "UPDATE control SET executor_id = ? \
               WHERE tenant = ? AND execution_id = ? AND inputs IS NOT NULL";
    tx.execute(sql, [NOBODY.into(), tenant.into(), execution.into()])
        .await?;
    Ok(())
}

/// The execution has ended: nobody reads its input any more.
///
/// # Errors
/// Those of the database.
pub async fn drop_input(tx: &Tx, tenant: &str, execution: ExecutionId) -> Result<(), Refusal> {
    let sql = "DELETE FROM control \
               WHERE tenant = ? AND execution_id = ? AND inputs IS NOT NULL";
    tx.execute(sql, [tenant.into(), execution.into()]).await?;
    Ok(())
}

/// The executor was sent away, and its executions were given to others.
///
/// # Errors
/// Those of the database.
pub async fn drop_all_of(tx: &Tx, tenant: &str, executor: ExecutorId) -> Result<(), Refusal> {
    let sql = "DELETE FROM control WHERE tenant = ? AND executor_id = ?";
    tx.execute(sql, [tenant.into(), executor.into()]).await?;
    Ok(())
}

/// Forgets messages that no executor has taken for so long that their executions have ended.
///
/// # Errors
/// Those of the database.
pub async fn forget_old(directory: &Directory) -> Result<(), Refusal> {
    let tenant = &*directory.config.tenant;
    let before = directory.clock.now().plus_millis(-limits::EXECUTION_MS_MAX);
    directory
        .db
        .transaction(|tx| async move {
            let sql = "DELETE FROM control WHERE tenant = ? AND created_at <= ?";
            tx.execute(sql, [tenant.into(), before.into()]).await?;
            Ok(())
        })
        .await
}
