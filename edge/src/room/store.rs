//! How a room is stored: the newest states of its document, the updates behind them, who has
//! written in it, and its access. Here what is written; [`schema`] has the tables, and [`load`]
//! reads the document back.

mod load;
mod schema;

use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::Change;
use super::access::AccessNotice;
use super::chat::store as chat;
use super::history::store as history;
use super::logins::EndedLogin;
use super::machine::Stored;
use super::versions::store as versions;
use crate::ports::{Db, DbError, Row, Tx, Value};

pub use load::load_document;
use schema::CONTENT;
pub use schema::migrate;

/// What a room begins with; the document is not among it.
///
/// # Errors
/// What the database says.
pub async fn restore(db: &dyn Db, room: SessionId) -> Result<Stored, DbError> {
    db.transaction(|tx| async move {
        let sql = "SELECT version, locked, deleted, participants FROM room_access WHERE room = ?";
        let access = tx.first(sql, [room.into()]).await?;
        let sql = "SELECT * FROM room_ended_login WHERE room = ?";
        let ended = tx.execute(sql, [room.into()]).await?.into_iter();
        let sql = "SELECT count(*) AS tail FROM room_update WHERE room = ?";
        let tail = tx.first(sql, [room.into()]).await?;
        Ok(Stored {
            access: access.as_ref().map(read_access).transpose()?,
            ended_logins: ended
                .map(|row| read_login(&row))
                .collect::<Result<_, _>>()?,
            last_edit: versions::last_unseen_edit(&tx, room).await?,
            tail_rows: tail.map_or(Ok(0), |row| row.get("tail"))?,
        })
    })
    .await
}

fn read_access(row: &Row) -> Result<AccessNotice, DbError> {
    Ok(AccessNotice {
        access_version: row.get("version")?,
        locked: row.get("locked")?,
        deleted: row.get("deleted")?,
        participants: row.parse("participants", |json| {
            serde_json::from_str::<Vec<(UserId, Role)>>(json).ok()
        })?,
    })
}

fn read_login(row: &Row) -> Result<EndedLogin, DbError> {
    Ok(EndedLogin {
        user_id: row.get("user_id")?,
        login_session_id: row.get("login_session_id")?,
        until: row.get("until")?,
        and_before: row.get("and_before")?,
    })
}

/// Stores the changes of a step, all or none.
///
/// # Errors
/// What the database says; [`DbError::Busy`] also if another room of the same session has stored
/// a change of the document, or its end, since this one was loaded, which happens only where a room is loaded
/// for each input ([`super::stream`]). The room must then be dropped: it is ahead of what is stored.
pub async fn persist(db: &dyn Db, room: SessionId, changes: &[Change]) -> Result<(), DbError> {
    match changes {
        [] => return Ok(()),
        // By far the most frequent.
        [
            Change::AppendUpdate {
                seq,
                at,
                actors,
                data,
            },
        ] => {
            let values = appended(room, *seq, *at, actors, data);
            return db
                .statement(APPEND, values)
                .await?
                .map(drop)
                .ok_or(DbError::Busy);
        }
        _ => {}
    }
    let records = &history::record(db, room, changes).await?;
    db.transaction(|tx| async move { persist_in(&tx, room, changes, records).await })
        .await
}

/// Gives no row if the number is taken, or the session deleted.
const APPEND: &str = "INSERT INTO room_update (room, seq, at, actor, data)
    SELECT ?1, ?2, ?3, ?4, ?5
    WHERE ?2 > coalesce((SELECT base_seq FROM room_head WHERE room = ?1), 0)
    AND NOT EXISTS (SELECT 1 FROM room_access WHERE room = ?1 AND deleted)
    ON CONFLICT DO NOTHING RETURNING seq";

fn appended(
    room: SessionId,
    seq: u64,
    at: Timestamp,
    actors: &[UserId],
    data: &[u8],
) -> Vec<Value> {
    let actors: Vec<String> = actors.iter().map(ToString::to_string).collect();
    let actor = (!actors.is_empty()).then(|| actors.join(","));
    let key = [room.into(), number(seq), at.into(), actor.into()];
    key.into_iter().chain([data.to_vec().into()]).collect()
}

/// As [`persist`], as a part of a transaction; `records` are what [`history::record`] has made of the
/// changes before it began.
///
/// # Errors
/// As [`persist`]; the transaction is then to be given up.
pub async fn persist_in(
    tx: &Tx,
    room: SessionId,
    changes: &[Change],
    records: &[history::Record],
) -> Result<(), DbError> {
    for change in changes {
        persist_one(tx, room, change).await?;
    }
    for record in records {
        history::write(tx, room, record).await?;
    }
    Ok(())
}

async fn persist_one(tx: &Tx, room: SessionId, change: &Change) -> Result<(), DbError> {
    match change {
        Change::AppendUpdate {
            seq,
            at,
            actors,
            data,
        } => {
            let values = appended(room, *seq, *at, actors, data);
            tx.first(APPEND, values).await?.ok_or(DbError::Busy)?;
        }
        Change::Compact {
            generation,
            base_seq,
            parts,
            last: _,
        } => {
            // An update of that number is somebody else's, and not in this state.
            let sql = "SELECT seq FROM room_update WHERE room = ? AND seq >= ? LIMIT 1";
            let after = tx.first(sql, [room.into(), number(*base_seq)]).await?;
            let sql = "SELECT generation FROM room_head WHERE room = ? AND generation >= ?";
            let newer = tx.first(sql, [room.into(), number(*generation)]).await?;
            let sql = "SELECT 1 FROM room_access WHERE room = ? AND deleted";
            let deleted = tx.first(sql, [room.into()]).await?;
            if after.is_some() || newer.is_some() || deleted.is_some() {
                return Err(DbError::Busy);
            }
            let sql = "INSERT INTO room_snapshot (room, generation, part, data)
                       VALUES (?, ?, ?, ?)";
            for (part, data) in (0_i64..).zip(parts) {
                let data = data.clone().into();
                tx.execute(sql, [room.into(), number(*generation), part.into(), data])
                    .await?;
            }
            let sql = "INSERT INTO room_head (room, generation, base_seq, loads)
                       VALUES (?, ?, ?, 0) ON CONFLICT (room) DO UPDATE SET
                       generation = excluded.generation, base_seq = excluded.base_seq";
            tx.execute(sql, [room.into(), number(*generation), number(*base_seq)])
                .await?;
            let sql = "DELETE FROM room_update WHERE room = ? AND seq <= ?";
            tx.execute(sql, [room.into(), number(*base_seq)]).await?;
            // The state before this one stays, in case this one cannot be read one day.
            let sql = "DELETE FROM room_snapshot WHERE room = ? AND generation < ?";
            tx.execute(sql, [room.into(), number(generation.saturating_sub(1))])
                .await?;
        }
        Change::Author { client, user } => {
            let sql = "INSERT INTO room_author (room, client, user_id) VALUES (?, ?, ?)
                       ON CONFLICT DO NOTHING";
            tx.execute(sql, [room.into(), number(*client), (*user).into()])
                .await?;
        }
        Change::Access(notice) => {
            let participants = serde_json::to_string(&notice.participants)
                .map_err(|error| DbError::Failed(error.to_string()))?;
            let sql = "INSERT INTO room_access (room, version, locked, deleted, participants)
                       VALUES (?, ?, ?, ?, ?) ON CONFLICT (room) DO UPDATE SET
                       version = excluded.version, locked = excluded.locked,
                       deleted = excluded.deleted, participants = excluded.participants
                       WHERE excluded.version > room_access.version";
            let version = number(notice.access_version);
            let flags = [notice.locked.into(), notice.deleted.into()];
            let key = [room.into(), version].into_iter().chain(flags);
            tx.execute(sql, key.chain([participants.into()])).await?;
        }
        Change::Purge => {
            let of_others = versions::TABLES.into_iter().chain(chat::TABLES);
            let of_others = of_others.chain(history::TABLES);
            for table in CONTENT.into_iter().chain(of_others) {
                let sql = format!("DELETE FROM {table} WHERE room = ?");
                tx.execute(&sql, [room.into()]).await?;
            }
        }
        Change::LoginEnded(login) => {
            let sql = "INSERT INTO room_ended_login
                       (room, user_id, login_session_id, until, and_before)
                       VALUES (?, ?, ?, ?, ?)
                       ON CONFLICT (room, user_id, login_session_id) DO UPDATE SET
                       until = max(until, excluded.until),
                       and_before = max(and_before, excluded.and_before)";
            let key = [
                room.into(),
                login.user_id.into(),
                login.login_session_id.into(),
            ];
            let values = [login.until.into(), login.and_before.into()];
            tx.execute(sql, key.into_iter().chain(values)).await?;
        }
        Change::ForgetLogin(login) => {
            let sql = "DELETE FROM room_ended_login
                       WHERE room = ? AND user_id = ? AND login_session_id = ?";
            let key = [
                room.into(),
                login.user_id.into(),
                login.login_session_id.into(),
            ];
            tx.execute(sql, key).await?;
        }
    }
    Ok(())
}

fn number(n: u64) -> Value {
    // Beyond the range of the database the statement fails, as it should.
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}
