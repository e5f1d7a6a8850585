//! Messages in the room's database. They are numbered without a gap; a message that is deleted
//! leaves its row, without what was said.

use codecrafter_shared::api::{ChatMessage, ChatMessages};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::error::Refusal;
use crate::ports::{Db, DbError, INTEGER_MAX, Row, Tx, Value};
use crate::room::versions::Author;

/// The table.
pub(in crate::room) const SCHEMA: [&str; 1] = ["CREATE TABLE IF NOT EXISTS room_chat (
        room TEXT NOT NULL,
        seq INTEGER NOT NULL,
        sent_at INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        display_name TEXT NOT NULL,
        text TEXT NOT NULL,
        message_key TEXT,
        deleted INTEGER NOT NULL,
        PRIMARY KEY (room, seq)
    ) WITHOUT ROWID"];

/// The tables of what goes when the session is deleted.
pub(in crate::room) const TABLES: [&str; 1] = ["room_chat"];

/// Messages that are looked through for one with the same key, and for those that somebody has sent
/// a moment ago.
const RECENT: u32 = 200;

/// A message that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// Who sends it.
    pub author: &'a Author,
    /// When.
    pub at: Timestamp,
    /// What is said.
    pub text: &'a str,
    /// What tells it from the author's other messages.
    pub key: Option<&'a str>,
}

/// Stores a message, and forgets the oldest that is too many. Gives also whether it is new: a
/// repeated one is there already.
///
/// # Errors
/// [`ErrorCode::TooManyMessages`]; [`ErrorCode::SessionNotFound`] of a room whose session is deleted;
/// those of the database.
pub async fn send(
    db: &dyn Db,
    room: SessionId,
    new: NewMessage<'_>,
) -> Result<(ChatMessage, bool), Refusal> {
    db.transaction(|tx| async move {
        let sql = "SELECT 1 FROM room_access WHERE room = ? AND deleted";
        if tx.first(sql, [room.into()]).await?.is_some() {
            return Err(Refusal::new(ErrorCode::SessionNotFound));
        }
        let user_id = new.author.user_id;
        if let Some(key) = new.key {
            let sql = "SELECT * FROM (SELECT * FROM room_chat WHERE room = ? \
                       ORDER BY seq DESC LIMIT ?) WHERE user_id = ? AND message_key = ?";
            let values = [room.into(), RECENT.into(), user_id.into(), key.into()];
            if let Some(row) = tx.first(sql, values).await? {
                return Ok((message(&row)?, false));
            }
        }
        slowly(&tx, room, new).await?;
        let sql = "INSERT INTO room_chat (room, seq, sent_at, user_id, display_name, text, \
                   message_key, deleted) SELECT ?1, \
                   coalesce((SELECT max(seq) FROM room_chat WHERE room = ?1), 0) + 1, \
                   ?2, ?3, ?4, ?5, ?6, 0 RETURNING *";
        let values = [
            room.into(),
            new.at.into(),
            user_id.into(),
            new.author.display_name.as_str().into(),
            new.text.into(),
            new.key.into(),
        ];
        let row = tx.first(sql, values).await?;
        let row = row.ok_or_else(|| Refusal::internal("a message was not stored"))?;
        let message = message(&row)?;
        let oldest = message.seq.saturating_sub(limits::CHAT_MESSAGES_MAX.into());
        let sql = "DELETE FROM room_chat WHERE room = ? AND seq <= ?";
        tx.execute(sql, [room.into(), integer(oldest)]).await?;
        Ok((message, true))
    })
    .await
}

/// Refuses who has just sent many.
async fn slowly(tx: &Tx, room: SessionId, new: NewMessage<'_>) -> Result<(), Refusal> {
    let sql = "SELECT count(*) AS sent, min(sent_at) AS first FROM (SELECT user_id, sent_at \
               FROM room_chat WHERE room = ? ORDER BY seq DESC LIMIT ?) \
               WHERE user_id = ? AND sent_at > ?";
    let since = new.at.plus_millis(-limits::CHAT_BURST_MS);
    let values = [
        room.into(),
        RECENT.into(),
        new.author.user_id.into(),
        since.into(),
    ];
    let Some(row) = tx.first(sql, values).await? else {
        return Ok(());
    };
    if row.get::<u32>("sent")? < limits::CHAT_BURST_MAX {
        return Ok(());
    }
    let first: Option<Timestamp> = row.get("first")?;
    let wait = first.map_or(0, |first| first.since(since).max(0));
    let seconds = u32::try_from(wait.saturating_add(999) / 1_000).unwrap_or(1);
    Err(Refusal::retry_after(
        ErrorCode::TooManyMessages,
        seconds.max(1),
    ))
}

/// The newest messages before one, or of all, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn read(
    db: &dyn Db,
    room: SessionId,
    before: Option<u64>,
    limit: u32,
) -> Result<ChatMessages, DbError> {
    db.transaction(|tx| async move {
        let sql = "SELECT * FROM room_chat WHERE room = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
        let before = before.map_or(Value::Integer(INTEGER_MAX), integer);
        let rows = tx
            .execute(sql, [room.into(), before, limit.saturating_add(1).into()])
            .await?;
        let mut items = rows
            .into_iter()
            .map(|row| message(&row))
            .collect::<Result<Vec<_>, DbError>>()?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        items.reverse();
        Ok(ChatMessages { items, more })
    })
    .await
}

/// Deletes a message that `who` may delete: their own, or any of a moderator. Says whether it was
/// not deleted before.
///
/// # Errors
/// [`ErrorCode::MessageNotFound`]; [`ErrorCode::Forbidden`]; those of the database.
pub async fn delete(
    db: &dyn Db,
    room: SessionId,
    seq: u64,
    who: &Author,
    moderates: bool,
) -> Result<bool, Refusal> {
    db.transaction(|tx| async move {
        let sql = "SELECT * FROM room_chat WHERE room = ? AND seq = ?";
        let row = tx.first(sql, [room.into(), integer(seq)]).await?;
        let row = row.ok_or_else(|| Refusal::new(ErrorCode::MessageNotFound))?;
        let found = message(&row)?;
        if !moderates && found.user_id != who.user_id {
            let detail = "needs the role admin or owner, or to have sent it";
            return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
        }
        let sql = "UPDATE room_chat SET text = '', deleted = 1 WHERE room = ? AND seq = ?";
        tx.execute(sql, [room.into(), integer(seq)]).await?;
        Ok(!found.deleted)
    })
    .await
}

fn message(row: &Row) -> Result<ChatMessage, DbError> {
    Ok(ChatMessage {
        seq: row.get("seq")?,
        sent_at: row.get("sent_at")?,
        user_id: row.get("user_id")?,
        display_name: row.get("display_name")?,
        text: row.get("text")?,
        deleted: row.get("deleted")?,
    })
}

fn integer(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(INTEGER_MAX).min(INTEGER_MAX))
}
