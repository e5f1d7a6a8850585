//! What sessions were forked from, as rows.

use codecrafter_shared::api::ForkOf;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;

use crate::ports::{DbError, Tx, Value};

/// The table: what each fork was made of.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE fork (
        tenant TEXT, session_id TEXT, from_session_id TEXT, from_version INTEGER,
        PRIMARY KEY (tenant, session_id)) WITHOUT ROWID",
    "CREATE INDEX fork_by_origin ON fork (tenant, from_session_id)",
];

/// How many forks of a session there are, as far as that is counted.
pub(crate) const FORKS: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM fork \
     INDEXED BY fork_by_origin WHERE tenant = ? AND from_session_id = ? LIMIT ?)";

/// Notes what a session was made of.
///
/// # Errors
/// Those of the database.
pub(super) async fn note(tx: &Tx, tenant: &str, id: SessionId, of: ForkOf) -> Result<(), DbError> {
    let sql = "INSERT INTO fork (tenant, session_id, from_session_id, from_version) \
               VALUES (?, ?, ?, ?)";
    let version = of.version.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let values = [
        tenant.into(),
        id.into(),
        of.session_id.into(),
        version.into(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What a session was forked from, and how often it was itself.
///
/// # Errors
/// Those of the database.
pub(super) async fn read(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
) -> Result<(Option<ForkOf>, u32), DbError> {
    let sql = "SELECT from_session_id, from_version FROM fork WHERE tenant = ? AND session_id = ?";
    let row = tx.first(sql, [tenant.into(), id.into()]).await?;
    let of = row.map(|row| {
        Ok::<_, DbError>(ForkOf {
            session_id: row.get("from_session_id")?,
            version: row.get("from_version")?,
        })
    });
    let key: [Value; 3] = [tenant.into(), id.into(), limits::TOTAL_MAX.into()];
    let forks = tx.first(FORKS, key).await?;
    let forks = forks.map_or(Ok(0), |row| row.get("n"))?;
    Ok((of.transpose()?, forks))
}
