//! The Directory's side: who may open a feed, and who is online.
//!
//! Online is who holds a lease here. An open feed renews it: each event stream when it begins, a
//! person's sockets by the alarm of the person's shard. So whoever vanishes without a word is online
//! until the lease has run out, and never longer.

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::questions::{KeepOnline, OnlineIn, OpenFeed, SeenOnline, SetOnline};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::error::Refusal;
use crate::ports::{DbError, Tx};
use crate::sessions::store::visible;

/// The tables.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE online (
        tenant TEXT, user_id TEXT, until INTEGER, PRIMARY KEY (tenant, user_id)) WITHOUT ROWID",
    // When the last feed token ends that a login was given.
    "ALTER TABLE login_session ADD COLUMN feed_until INTEGER",
];

/// A lease that ends no later than this before the one that is wanted is not written anew.
const NEAR_MS: i64 = 5_000;

/// [`OpenFeed`].
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`].
pub async fn open_feed(directory: &Directory, call: OpenFeed) -> Result<Timestamp, Refusal> {
    let (now, tenant, caller) = (
        directory.clock.now(),
        &*directory.config.tenant,
        call.caller,
    );
    directory
        .db
        .transaction(|tx| async move {
            let login_ends_at = authorize(&tx, tenant, caller, now).await?;
            let until = now.plus_millis(limits::FEED_TOKEN_MS).min(login_ends_at);
            let sql = "UPDATE login_session SET feed_until = max(coalesce(feed_until, 0), ?) \
                       WHERE tenant = ? AND user_id = ? AND id = ?";
            let values = [
                until.into(),
                tenant.into(),
                caller.user_id.into(),
                caller.login_session_id.into(),
            ];
            tx.execute(sql, values).await?;
            Ok(until)
        })
        .await
}

/// [`KeepOnline`].
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`].
pub async fn keep(directory: &Directory, call: KeepOnline) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let user = call.caller.user_id;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let sql = "SELECT 1 FROM online WHERE tenant = ? AND user_id = ? AND until > ?";
            let near = call.until.plus_millis(-NEAR_MS);
            let known = tx.first(sql, [tenant.into(), user.into(), near.into()]);
            if known.await?.is_none() {
                write(&tx, tenant, user, call.until).await?;
            }
            Ok(())
        })
        .await
}

/// [`SetOnline`].
///
/// # Errors
/// Those of the database.
pub async fn set(directory: &Directory, call: SetOnline) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            if call.until > now {
                return Ok(write(&tx, tenant, call.user_id, call.until).await?);
            }
            let sql = "DELETE FROM online WHERE tenant = ? AND user_id = ?";
            tx.execute(sql, [tenant.into(), call.user_id.into()])
                .await?;
            Ok(())
        })
        .await
}

/// [`OnlineIn`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for who has not joined.
pub async fn online_in(directory: &Directory, call: OnlineIn) -> Result<SeenOnline, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let id = call.session_id;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let session = visible(&tx, tenant, id, call.caller.user_id).await?;
            if session.role.is_none() {
                let detail = "who is online is for participants: join the session";
                return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
            }
            let sql = "SELECT o.user_id FROM participant p JOIN online o \
                       ON o.tenant = p.tenant AND o.user_id = p.user_id \
                       WHERE p.tenant = ? AND p.session_id = ? AND o.until > ?";
            let rows = tx.execute(sql, [tenant.into(), id.into(), now.into()]);
            let online = rows.await?.into_iter().map(|row| row.get("user_id"));
            Ok(SeenOnline {
                participants: session.participants.iter().map(|p| p.user_id).collect(),
                online: online.collect::<Result<_, DbError>>()?,
            })
        })
        .await
}

async fn write(tx: &Tx, tenant: &str, user: UserId, until: Timestamp) -> Result<(), DbError> {
    let sql = "INSERT INTO online (tenant, user_id, until) VALUES (?, ?, ?) \
               ON CONFLICT (tenant, user_id) DO UPDATE SET until = excluded.until";
    let values = [tenant.into(), user.into(), until.into()];
    tx.execute(sql, values).await.map(drop)
}
