//! What an admin has last decided about somebody, kept for when they come back: who was made a
//! viewer must not become an editor by leaving and joining, and who was removed stays out until
//! somebody adds them again.

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::role::Role;

use crate::error::Refusal;
use crate::ports::Tx;

/// The table. `role` is none for who was removed.
pub const SCHEMA: &[&str] = &["CREATE TABLE decided_role (
        tenant TEXT, session_id TEXT, user_id TEXT, role TEXT,
        PRIMARY KEY (tenant, session_id, user_id)) WITHOUT ROWID"];

/// Somebody was given `role` by an admin, or removed. The newest decision counts.
///
/// # Errors
/// Those of the database.
pub async fn decide(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
    role: Option<Role>,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO decided_role (tenant, session_id, user_id, role) VALUES (?, ?, ?, ?) \
               ON CONFLICT (tenant, session_id, user_id) DO UPDATE SET role = excluded.role";
    let key = [tenant.into(), id.into(), user_id.into()];
    let role = role.map(Role::as_str).into();
    tx.execute(sql, key.into_iter().chain([role])).await?;
    Ok(())
}

/// The role of somebody who joins by themselves: `join_role`, or the one that an admin gave them
/// if that is lower. A higher one was given to who was there then, and is given again by an admin.
///
/// # Errors
/// [`ErrorCode::ParticipantRemoved`] for who was removed.
pub async fn role_to_join_with(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
    join_role: Role,
) -> Result<Role, Refusal> {
    let sql = "SELECT role FROM decided_role WHERE tenant = ? AND session_id = ? AND user_id = ?";
    let key = [tenant.into(), id.into(), user_id.into()];
    let Some(row) = tx.first(sql, key).await? else {
        return Ok(join_role);
    };
    if row.get::<Option<String>>("role")?.is_none() {
        return Err(Refusal::new(ErrorCode::ParticipantRemoved));
    }
    Ok(row.parse("role", Role::from_name)?.min(join_role))
}

/// The session has changed hands between these two, or is gone: nothing is decided about them, or
/// about anybody if nobody is named.
///
/// # Errors
/// Those of the database.
pub async fn forget(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    users: Option<[UserId; 2]>,
) -> Result<(), Refusal> {
    let Some(users) = users else {
        let sql = "DELETE FROM decided_role WHERE tenant = ? AND session_id = ?";
        tx.execute(sql, [tenant.into(), id.into()]).await?;
        return Ok(());
    };
    for user_id in users {
        let sql = "DELETE FROM decided_role WHERE tenant = ? AND session_id = ? AND user_id = ?";
        tx.execute(sql, [tenant.into(), id.into(), user_id.into()])
            .await?;
    }
    Ok(())
}
