//! Which rooms a login session has passes for: who logs out, or is logged out, must not go on in
//! a room by a token that it has handed out (E7). A row is written with every pass, and when the
//! login session ends each of them is a message to its room, in the same transaction.

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::directory::outbox::{Letter, PersonMessage, RoomMessage};
use crate::error::Refusal;
use crate::ports::Tx;
use crate::room::EndedLogin;
use crate::token::Caller;

/// The table.
pub const SCHEMA: &[&str] = &["CREATE TABLE pass (
        tenant TEXT, user_id TEXT, login_session_id TEXT, session_id TEXT, expires_at INTEGER,
        PRIMARY KEY (tenant, user_id, login_session_id, session_id)) WITHOUT ROWID"];

/// Notes a pass that the caller is about to get, for the room of `session_id`, until `expires_at`.
///
/// # Errors
/// [`ErrorCode::TooManyRooms`] if the login has good passes for as many others as it may have.
pub async fn note(
    tx: &Tx,
    tenant: &str,
    caller: Caller,
    session_id: SessionId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    let sql = "DELETE FROM pass WHERE tenant = ? AND user_id = ? AND login_session_id = ? \
               AND expires_at <= ?";
    let good_after = now.plus_millis(-limits::CLOCK_TOLERANCE_MS);
    let of = || {
        [
            tenant.into(),
            caller.user_id.into(),
            caller.login_session_id.into(),
        ]
    };
    tx.execute(sql, of().into_iter().chain([good_after.into()]))
        .await?;
    let sql = "INSERT INTO pass (tenant, user_id, login_session_id, session_id, expires_at) \
               VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET \
               expires_at = max(expires_at, excluded.expires_at)";
    let pass = [session_id.into(), expires_at.into()];
    tx.execute(sql, of().into_iter().chain(pass)).await?;
    let sql = "SELECT count(*) AS n FROM pass \
               WHERE tenant = ? AND user_id = ? AND login_session_id = ?";
    let rooms = tx.first(sql, of()).await?;
    let rooms: u32 = rooms.map_or(Ok(0), |row| row.get("n"))?;
    if rooms > limits::ROOMS_PER_LOGIN_SESSION_MAX {
        return Err(Refusal::new(ErrorCode::TooManyRooms));
    }
    Ok(())
}

/// Ends a login session; gives what those are to be told that it has passes for.
///
/// # Errors
/// Those of the database.
pub(super) async fn end(
    tx: &Tx,
    tenant: &str,
    caller: Caller,
    now: Timestamp,
) -> Result<Vec<Letter>, Refusal> {
    let sql = "DELETE FROM login_session WHERE tenant = ? AND user_id = ? AND id = ? \
               RETURNING feed_until";
    let values = [
        tenant.into(),
        caller.user_id.into(),
        caller.login_session_id.into(),
    ];
    let row = tx.first(sql, values).await?;
    let feed_until = row.map_or(Ok(None), |row| row.get("feed_until"))?;
    let mut told = revoke(tx, tenant, caller, now).await?;
    told.extend(login_ended(caller, feed_until, now));
    Ok(told)
}

/// What the shard of a person is told when one of their logins ends that was given feed tokens until
/// then.
fn login_ended(caller: Caller, feed_until: Option<Timestamp>, now: Timestamp) -> Option<Letter> {
    let until = feed_until?.plus_millis(limits::CLOCK_TOLERANCE_MS);
    let login = EndedLogin {
        user_id: caller.user_id,
        login_session_id: caller.login_session_id,
        until,
        and_before: false,
    };
    (until > now).then_some(Letter::Person {
        user_id: caller.user_id,
        message: PersonMessage::LoginEnded { login },
    })
}

/// What its rooms are to be told. Nothing the second time.
async fn revoke(
    tx: &Tx,
    tenant: &str,
    caller: Caller,
    now: Timestamp,
) -> Result<Vec<Letter>, Refusal> {
    let sql = "DELETE FROM pass WHERE tenant = ? AND user_id = ? AND login_session_id = ? \
               RETURNING session_id, expires_at";
    let of = [
        tenant.into(),
        caller.user_id.into(),
        caller.login_session_id.into(),
    ];
    let rows = tx.execute(sql, of).await?;
    let mut told = Vec::new();
    for row in rows {
        let expires_at: Timestamp = row.get("expires_at")?;
        let until = expires_at.plus_millis(limits::CLOCK_TOLERANCE_MS);
        if until > now {
            let login = EndedLogin {
                user_id: caller.user_id,
                login_session_id: caller.login_session_id,
                until,
                and_before: false,
            };
            let room: SessionId = row.get("session_id")?;
            told.push((room, RoomMessage::LoginEnded { login }).into());
        }
    }
    Ok(told)
}
