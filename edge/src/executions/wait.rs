//! How many requests of one user are held open until an execution has ended. Each is a row while it
//! is held, because requests of one user need not meet in one memory. One that breaks off leaves
//! its row, which counts until the wait would have been over.

use codecrafter_shared::id::RequestId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::directory::Directory;
use crate::error::Refusal;
use crate::token::Caller;

/// The table.
pub const SCHEMA: &[&str] = &["CREATE TABLE waiter (
        tenant TEXT, user_id TEXT, id TEXT, until INTEGER,
        PRIMARY KEY (tenant, user_id, id)) WITHOUT ROWID"];

/// A place among those of the caller who may wait.
pub(super) struct Place {
    caller: Caller,
    id: RequestId,
}

impl Place {
    /// Takes a place up to `until`, if one is left.
    pub(super) async fn take(
        directory: &Directory,
        caller: Caller,
        until: Timestamp,
    ) -> Result<Option<Self>, Refusal> {
        let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
        let id = RequestId::at(now, directory.rng.bytes());
        let user = || [tenant.into(), caller.user_id.into()].into_iter();
        let taken = directory.db.transaction(|tx| async move {
            let sql = "DELETE FROM waiter WHERE tenant = ? AND user_id = ? AND until <= ?";
            tx.execute(sql, user().chain([now.into()])).await?;
            let sql = "SELECT count(*) AS n FROM waiter WHERE tenant = ? AND user_id = ?";
            let held: u32 = tx
                .first(sql, user())
                .await?
                .map_or(Ok(0), |row| row.get("n"))?;
            if held >= limits::WAITS_PER_USER_MAX {
                return Ok(false);
            }
            let sql = "INSERT INTO waiter (tenant, user_id, id, until) VALUES (?, ?, ?, ?)";
            tx.execute(sql, user().chain([id.into(), until.into()]))
                .await?;
            Ok::<_, Refusal>(true)
        });
        Ok(taken.await?.then_some(Self { caller, id }))
    }

    /// Gives the place back.
    pub(super) async fn leave(self, directory: &Directory) {
        let tenant = &*directory.config.tenant;
        let key = || [tenant.into(), self.caller.user_id.into(), self.id.into()];
        let left = directory.db.transaction(|tx| async move {
            let sql = "DELETE FROM waiter WHERE tenant = ? AND user_id = ? AND id = ?";
            tx.execute(sql, key()).await?;
            Ok::<_, Refusal>(())
        });
        if let Err(refusal) = left.await {
            // It is free when its time is over. What was waited for is not held back for that.
            tracing::warn!(
                code = refusal.code.as_str(),
                "a place to wait was not given back"
            );
        }
    }
}
