//! Bytes that may be longer than a row: jobs, results and long messages, cut into parts.

use crate::error::Refusal;
use crate::ports::{Tx, Value};

/// The table.
pub const SCHEMA: &[&str] = &["CREATE TABLE part (
        tenant TEXT, kind TEXT, id TEXT, part INTEGER, data BLOB,
        PRIMARY KEY (tenant, kind, id, part)) WITHOUT ROWID"];

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A job, until its execution has ended.
    Job,
    /// The outcome of an execution.
    Result,
    /// A file that an execution has left.
    File,
    /// A message of the outbox that is too long for its row.
    Message,
}

impl Kind {
    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Result => "result",
            Self::File => "file",
            Self::Message => "message",
        }
    }
}

/// Half of what a row may hold.
pub const PART_BYTES: usize = 500_000;

/// Writes `bytes` under a name that has none yet.
///
/// # Errors
/// Those of the database.
pub async fn write(
    tx: &Tx,
    tenant: &str,
    kind: Kind,
    id: &str,
    bytes: &[u8],
) -> Result<(), Refusal> {
    for (part, data) in (0_u32..).zip(bytes.chunks(PART_BYTES)) {
        let sql = "INSERT INTO part (tenant, kind, id, part, data) VALUES (?, ?, ?, ?, ?)";
        let values: [Value; 5] = [
            tenant.into(),
            kind.as_str().into(),
            id.into(),
            part.into(),
            data.to_vec().into(),
        ];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// What was written under that name; nothing if nothing was.
///
/// # Errors
/// Those of the database.
pub async fn read(tx: &Tx, tenant: &str, kind: Kind, id: &str) -> Result<Vec<u8>, Refusal> {
    let sql = "SELECT data FROM part WHERE tenant = ? AND kind = ? AND id = ? ORDER BY part";
    let rows = tx
        .execute(sql, [tenant.into(), kind.as_str().into(), id.into()])
        .await?;
    let mut bytes = Vec::new();
    for row in rows {
        bytes.extend(row.get::<Vec<u8>>("data")?);
    }
    Ok(bytes)
}

/// Forgets what was written under that name.
///
/// # Errors
/// Those of the database.
pub async fn delete(tx: &Tx, tenant: &str, kind: Kind, id: &str) -> Result<(), Refusal> {
    let sql = "DELETE FROM part WHERE tenant = ? AND kind = ? AND id = ?";
    tx.execute(sql, [tenant.into(), kind.as_str().into(), id.into()])
        .await?;
    Ok(())
}
